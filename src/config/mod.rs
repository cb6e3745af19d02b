//! The configuration file: one YAML file, every setting declared once in [`keys`].

mod checks;
mod environment;
mod keys;
mod node;
mod places;
mod reference;
mod secret;
mod setting;
mod stores;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use lakeward_policy::document::Diagnostics;

use setting::{Reader, Setting};

pub use keys::*;
pub use node::Origin;
pub use places::{Endpoint, Location, StorePrefix};
pub use reference::reference;
pub use secret::{Secret, SecretError, SecretRef};
pub use values::{
    Addressing, ConfigPath, Count, EncryptionKind, ListenAddress, LogFormat, LogLevel, Name, Period, Signing,
    Size,
};

/// Where the configuration is unless the command line says otherwise.
pub const DEFAULT_FILE: &str = "lakeward.yaml";

impl Config {
    /// Reads `file` and the environment's overrides; says everything that is wrong, with positions.
    pub fn load(file: &Path) -> Result<Self, Diagnostics> {
        Self::load_with(
            file,
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// [`Self::load`] with `variables` in place of the environment.
    pub fn load_with(
        file: &Path,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Diagnostics> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => "; `lakeward config reference` prints one to start from",
                _ => "",
            };
            Diagnostics::file(file, format!("cannot read the configuration: {error}{hint}"))
        })?;
        Self::parse(&text, file, variables)
    }

    fn parse(
        text: &str,
        file: &Path,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Diagnostics> {
        let file: Arc<Path> = Arc::from(file);
        let mut root = node::compose(text, &file, None)?;
        let mut problems = environment::apply(&mut root, Self::KEYS, &file, variables);
        let mut reader = Reader::new(&file);
        let value = Self::read(&root, &mut reader);
        let value = match reader.finish(value) {
            Ok(value) => {
                problems.extend(checks::across(&value, &file));
                Some(value)
            }
            Err(Diagnostics(found)) => {
                problems.extend(found);
                None
            }
        };
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Diagnostics(problems)),
        }
    }
}
