//! How many statements were compared, for the summary at the end of `scripts/test.sh`.

use std::fs;
use std::path::Path;

/// Keeps the number below `directory`, which cargo gives to tests; `name` begins with what was counted.
///
/// # Errors
/// The file cannot be written.
pub fn keep(directory: &str, name: &str, statements: usize) -> std::io::Result<()> {
    let directory = Path::new(directory).join("non-interference");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), format!("{statements}\n"))
}
