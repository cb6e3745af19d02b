//! Names of control records.

use std::fmt;

use super::ControlError;

/// The name of a record: segments of `a-z`, `0-9`, `_` and `-`, joined by `/`.
///
/// So narrow because a key must mean the same in every backend: as a path on a file system that
/// ignores case, as an object's name, as a database column. A key may also name a folder, which
/// holds all keys that continue it after a `/`; a record and a folder of one name do not disturb
/// each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Longest key, in bytes.
    pub const MAX_LENGTH: usize = 256;
    /// Longest segment, in bytes: with an ending it is still a file name everywhere.
    pub const MAX_SEGMENT: usize = 128;
    /// Most segments.
    pub const MAX_SEGMENTS: usize = 8;

    /// Checks `text`.
    ///
    /// # Errors
    /// [`ControlError::InvalidKey`] when it breaks one of the rules above.
    pub fn new(text: impl Into<String>) -> Result<Self, ControlError> {
        let text = text.into();
        let reason = if text.len() > Self::MAX_LENGTH {
            Some(format!("longer than {} bytes", Self::MAX_LENGTH))
        } else if text.split('/').count() > Self::MAX_SEGMENTS {
            Some(format!("more than {} segments", Self::MAX_SEGMENTS))
        } else {
            text.split('/').find_map(wrong_segment)
        };
        match reason {
            None => Ok(Self(text)),
            Some(reason) => Err(ControlError::InvalidKey { key: text, reason }),
        }
    }

    /// This key as a folder, continued by `segment`.
    ///
    /// # Errors
    /// [`ControlError::InvalidKey`] when the result is no key.
    pub fn child(&self, segment: &str) -> Result<Self, ControlError> {
        Self::new(format!("{}/{segment}", self.0))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`.
    pub fn last_segment(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether this key lies in `folder`, at any depth.
    pub fn is_in(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn wrong_segment(segment: &str) -> Option<String> {
    if segment.is_empty() {
        return Some("an empty segment".to_owned());
    }
    if segment.len() > Key::MAX_SEGMENT {
        return Some(format!("a segment longer than {} bytes", Key::MAX_SEGMENT));
    }
    let wrong = segment.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_' | '-'))?;
    Some(format!("the character {wrong:?}"))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
