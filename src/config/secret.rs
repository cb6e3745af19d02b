//! Secrets are named in the configuration, never written in it.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::node::{Node, Origin};
use super::setting::{Reader, Setting, Shape};

/// Where a secret is: `env:NAME` or `file:PATH`.
///
/// It holds the name only, so it may be printed; the value is read when it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    source: Source,
    /// Where it was set.
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Variable(String),
    File(PathBuf),
}

/// A secret's value: wiped when dropped, never printed.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, for an owner that wipes them too.
    #[must_use]
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a secret cannot be read. Names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or empty.
    #[error("environment variable {0} is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("cannot read secret file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is empty.
    #[error("secret file {0} is empty")]
    Empty(PathBuf),
    /// Others than the owner may read the file.
    #[error(
        "secret file {path} can be read by others than its owner (mode {mode:03o}); run `chmod 600 {path}`"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl SecretRef {
    /// The file, where the secret is in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Variable(_) => None,
        }
    }

    /// Reads the secret. Line ends at the end of a text are not part of it.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        let mut value = match &self.source {
            Source::Variable(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Zeroizing::new(value.into_bytes()),
                _ => return Err(SecretError::NotSet(name.clone())),
            },
            Source::File(path) => read_owner_only(path)?,
        };
        // Binary keys may end in any byte; only what is text loses the line end an editor added.
        if std::str::from_utf8(&value).is_ok() {
            while matches!(value.last(), Some(b'\n' | b'\r')) {
                value.pop();
            }
        }
        match &self.source {
            Source::File(path) if value.is_empty() => Err(SecretError::Empty(path.clone())),
            _ => Ok(Secret(value)),
        }
    }
}

impl lakeward_catalog::SecretSource for SecretRef {
    fn read(&self) -> Result<Zeroizing<String>, String> {
        let bytes = self.resolve().map_err(|error| error.to_string())?.into_bytes();
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(match &self.source {
                Source::Variable(name) => format!("environment variable {name} is not text"),
                Source::File(path) => format!("secret file {} is not text", path.display()),
            }),
        }
    }
}

fn read_owner_only(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    use std::io::Read;

    let unreadable = |source| SecretError::Unreadable { path: path.to_path_buf(), source };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Asked of the open file: what is checked is what is read.
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed { path: path.to_path_buf(), mode });
        }
    }
    let mut value = Zeroizing::new(Vec::new());
    file.read_to_end(&mut value).map_err(unreadable)?;
    Ok(value)
}

impl Setting for SecretRef {
    fn shape() -> Shape {
        Shape::Scalar
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let what = "a reference to a secret, `env:NAME` or `file:PATH`";
        let text = reader.text(node, what)?;
        let source = match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Source::Variable(name.to_owned()),
            Some(("file", path)) if !path.is_empty() => Source::File(reader.base().join(path)),
            _ => {
                // What was written may be the secret itself, so it is not repeated.
                reader
                    .complain(&node.origin, format!("expected {what}; secrets are not written in this file"));
                return None;
            }
        };
        Some(Self { source, origin: node.origin.clone() })
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file_ref(path: &Path) -> SecretRef {
        SecretRef { source: Source::File(path.to_path_buf()), origin: Origin::variable("X") }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "hunter2hunter2\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = file_ref(&path).resolve().unwrap_err().to_string();
        assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let secret = file_ref(&path).resolve().unwrap();
        assert_eq!(secret.bytes(), b"hunter2hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error =
            SecretRef { source: Source::Variable("NO_SUCH_SECRET".into()), origin: Origin::variable("X") };
        assert_eq!(
            error.resolve().unwrap_err().to_string(),
            "environment variable NO_SUCH_SECRET is not set"
        );
    }
}
