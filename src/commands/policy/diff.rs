//! Who gains or loses what.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use lakeward_policy::{Explanation, Right};

use super::lake::PolicyLake;

/// What changes for whom, and whether nothing does.
pub(super) async fn between(config: &Path, old: &Path, new: &Path) -> anyhow::Result<(String, bool)> {
    let lake = PolicyLake::open(config).await?;
    let (before, _) = lake.policies_of(files(&lake, old)?).await?;
    let (after, _) = lake.policies_of(files(&lake, new)?).await?;
    let mut text = String::new();
    for person in lake.people(&[])? {
        let (user, person) = (person.user.clone(), Arc::new(person));
        let (was, is) = (before.resolve(&person), after.resolve(&person));
        for table in &lake.tables {
            let (was, is) = (was.explain(table), is.explain(table));
            let changes = changes(&was, &is);
            if !changes.is_empty() {
                let _ = writeln!(text, "{user} on {}:", table.full_name());
                changes.iter().for_each(|change| {
                    let _ = writeln!(text, "  {change}");
                });
            }
        }
    }
    let same = text.is_empty();
    if same {
        text.push_str("nobody sees more or less than before");
    }
    Ok((text.trim_end().to_owned(), same))
}

/// The policy files that a path stands for.
pub(super) fn files(lake: &PolicyLake, path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        bail!("{} is neither a file nor a folder", path.display());
    }
    let configured = &lake.config.policy.files;
    configured
        .iter()
        .map(|file| {
            let name = file.path.file_name().context("a policy file without a name")?;
            Ok(path.join(name))
        })
        .collect()
}

/// What `is` has that `was` has not, and the other way round: `+` where more is seen, `-` where less.
pub(super) fn changes(was: &Explanation, is: &Explanation) -> Vec<String> {
    let mut changes = Vec::new();
    if was.right != is.right {
        let sign = if is.right > was.right { '+' } else { '-' };
        changes.push(format!("{sign} {} instead of {}: {}", is.right, was.right, is.because));
    }
    if was.right == Right::Invisible || is.right == Right::Invisible {
        return changes;
    }
    let filters = |explanation: &Explanation| -> BTreeSet<String> {
        explanation.row_filters.iter().map(|rule| format!("{} {}", rule.name, rule.says)).collect()
    };
    let masks = |explanation: &Explanation| -> BTreeSet<String> {
        explanation.masks.iter().map(|mask| format!("{} shown as {}", mask.column, mask.mask)).collect()
    };
    for (what, was, is) in [("row filter", filters(was), filters(is)), ("column", masks(was), masks(is))] {
        changes.extend(is.difference(&was).map(|rule| format!("- {what} {rule}")));
        changes.extend(was.difference(&is).map(|rule| format!("+ no longer: {what} {rule}")));
    }
    changes
}

#[cfg(test)]
mod tests {
    use lakeward_policy::{AppliedMask, AppliedRule};

    use super::*;

    fn explanation(right: Right) -> Explanation {
        Explanation {
            table: "silver.patients".to_owned(),
            user: "ann".to_owned(),
            right,
            because: "so".to_owned(),
            roles: Vec::new(),
            grants: Vec::new(),
            row_filters: Vec::new(),
            no_rows: false,
            masks: Vec::new(),
            sql: None,
        }
    }

    #[test]
    fn gains_and_losses_have_their_signs() {
        let rule =
            AppliedRule { name: "own".to_owned(), place: "p:1:1".to_owned(), says: "x = 1".to_owned() };
        let open = explanation(Right::Select);
        let mut closed = open.clone();
        closed.row_filters.push(rule.clone());
        closed.masks.push(AppliedMask { column: "name".to_owned(), mask: "null".to_owned(), rule });
        assert_eq!(changes(&open, &open), Vec::<String>::new());
        assert_eq!(changes(&open, &closed), ["- row filter own x = 1", "- column name shown as null"]);
        assert_eq!(
            changes(&closed, &open),
            ["+ no longer: row filter own x = 1", "+ no longer: column name shown as null"]
        );
        assert_eq!(changes(&open, &explanation(Right::Invisible)), ["- invisible instead of select: so"]);
        assert_eq!(changes(&explanation(Right::Describe), &open), ["+ select instead of describe only: so"]);
    }
}
