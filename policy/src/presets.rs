//! Sets of mask records that come with the service, written as policy files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::audience::Audience;
use crate::document::Diagnostic;
use crate::mask::MaskKey;
use crate::mask_rules::{MaskRule, MaskTarget};
use crate::records::{MaskSpec, PresetRecord, at, parse};

/// Names and texts; the files are kept as people read them.
pub(crate) const PRESETS: [(&str, &str); 2] = [
    ("hipaa-safe-harbor", include_str!("../presets/hipaa-safe-harbor.yaml")),
    ("nhs-pseudonymised", include_str!("../presets/nhs-pseudonymised.yaml")),
];

/// The rules of the preset that `record` names, for its audience and with its key.
///
/// A tag that no column carries is no mistake here: a preset knows more tags than a lake has.
pub(crate) fn expand(
    path: &Path,
    record: &PresetRecord,
    keys: &BTreeMap<String, Arc<MaskKey>>,
) -> Result<Vec<MaskRule>, Vec<Diagnostic>> {
    let Some((name, text)) = PRESETS.iter().find(|(name, _)| *name == record.name.value) else {
        let known: Vec<_> = PRESETS.iter().map(|(name, _)| format!("`{name}`")).collect();
        let why = format!("there is no preset `{}`; there are {}", record.name.value, known.join(" and "));
        return Err(vec![at(path, &record.name, why)]);
    };
    let file = parse(Path::new(name), text).map_err(|problems| problems.0)?;
    if let Some(key) = &record.key
        && !keys.contains_key(&key.value)
    {
        let why = format!("key `{}` is not declared under `keys`", key.value);
        return Err(vec![at(path, key, why)]);
    }
    let mut rules = Vec::new();
    for mask in file.masks {
        let Some(tag) = mask.tag else { continue };
        let spec = match (mask.mask.value, &record.key) {
            (MaskSpec::Token { domain, .. }, Some(key)) => MaskSpec::Token { domain, key: key.value.clone() },
            (MaskSpec::Noise { amount, domain, .. }, Some(key)) => {
                MaskSpec::Noise { amount, domain, key: key.value.clone() }
            }
            (spec, None) if spec.key().is_some() => {
                let why =
                    format!("preset `{name}` makes tokens; expected `key`, a name declared under `keys`");
                return Err(vec![at(path, &record.name, why)]);
            }
            (spec, _) => spec,
        };
        rules.push(MaskRule {
            name: format!("{name}/{}", mask.name.value),
            target: MaskTarget::Tag(tag.value),
            audience: Audience::new(record.to.as_deref(), &record.except),
            place: at(path, &record.name, ""),
            spec,
        });
    }
    Ok(rules)
}

/// The text of a preset, for the digest of the policies that use it.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
