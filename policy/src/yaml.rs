//! Strict YAML: one document, known keys once each, every complaint with its position.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_saphyr::{DefaultMessageFormatter, DeserializeError, Location, MessageFormatter};

use crate::document::{Diagnostic, Diagnostics};

/// Reads one strict document. Unknown keys are the type's part: `deny_unknown_fields`.
pub(crate) fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Diagnostics> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| diagnose(file, &error).into())
}

/// A complaint at a place of the file.
pub(crate) fn at(file: &Path, place: Location, message: impl Into<String>) -> Diagnostic {
    Diagnostic {
        file: file.to_path_buf(),
        line: usize::try_from(place.line()).unwrap_or(0),
        column: usize::try_from(place.column()).unwrap_or(0),
        message: message.into(),
    }
}

fn diagnose(file: &Path, error: &DeserializeError) -> Diagnostic {
    let error = error.without_snippet();
    let message = match error {
        DeserializeError::SerdeUnknownField { field, expected, .. } if expected.is_empty() => {
            format!("unknown key `{}`, expected none", field.escape_debug())
        }
        DeserializeError::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key `{}`, expected one of {}", field.escape_debug(), expected.join(", "))
        }
        DeserializeError::SerdeMissingField { field, .. } => format!("missing key `{field}`"),
        DeserializeError::DuplicateMappingKey { key: Some(key), .. } => {
            format!("key `{}` is given twice", key.escape_debug())
        }
        DeserializeError::DuplicateMappingKey { key: None, .. } => "a key is given twice".to_owned(),
        // A value that was put at the wrong place may be a secret: say what was expected, not what stood there.
        DeserializeError::SerdeInvalidType { expected, .. }
        | DeserializeError::SerdeInvalidValue { expected, .. } => format!("expected {expected}"),
        other => DefaultMessageFormatter.format_message(other).escape_debug().to_string(),
    };
    let place = error.location().unwrap_or(Location::UNKNOWN);
    at(file, place, message)
}
