//! Where the bytes of mask keys come from: by reference only.

use std::path::Path;

use zeroize::Zeroizing;

/// Reads what `reference` names: `file:PATH` (relative to `base`) or `env:NAME`.
///
/// A file that others than its owner may read is refused. The error names the reference, never the bytes.
pub(crate) fn read_secret(reference: &str, base: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    if let Some(name) = reference.strip_prefix("env:") {
        return std::env::var(name)
            .map(|value| Zeroizing::new(value.into_bytes()))
            .map_err(|_| format!("environment variable {name} is not set"));
    }
    let Some(path) = reference.strip_prefix("file:") else {
        return Err(format!("`{reference}` is no reference to a secret; expected `file:PATH` or `env:NAME`"));
    };
    let path = base.join(path);
    refuse_open_permissions(&path)?;
    std::fs::read(&path)
        .map(Zeroizing::new)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

#[cfg(unix)]
fn refuse_open_permissions(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        std::fs::metadata(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if metadata.permissions().mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(format!("{} may be read by others than its owner; run `chmod 600` on it", path.display()))
    }
}

#[cfg(not(unix))]
fn refuse_open_permissions(_: &Path) -> Result<(), String> {
    Ok(())
}
