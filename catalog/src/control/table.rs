//! Which table a record is about.

use std::fmt;

use sha2::{Digest as _, Sha256};
use url::Url;

use super::{ControlError, Key};

/// A table by its location, as leases and pins name it.
///
/// Two spellings of one place are two tables here, so every process must use the same URL. The
/// writer resolves symbolic links of local paths for that reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableId {
    location: String,
    /// The location as a segment of a key.
    segment: String,
}

impl TableId {
    /// The table at `url`; a trailing `/` makes no difference.
    pub fn new(url: &Url) -> Self {
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let location = url.as_str().trim_end_matches('/').to_owned();
        let digest = Sha256::digest(location.as_bytes());
        // 128 bits: no two tables of a deployment meet. Records carry the location, too.
        let segment = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { location, segment }
    }

    /// URL without a trailing `/`.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// A name for it that is a segment of a [`Key`] and of a path.
    pub(crate) fn segment(&self) -> &str {
        &self.segment
    }

    /// The key of this table's record in `folder`.
    pub(super) fn key(&self, folder: &str) -> Result<Key, ControlError> {
        Key::new(format!("{folder}/{}", self.segment))
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)
    }
}
