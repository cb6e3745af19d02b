//! Rules by the tables that they may concern, so that nobody asks each rule about each table.

use std::collections::HashMap;

use crate::pattern::ObjectPattern;

/// Numbers of rules by what they name.
#[derive(Debug, Default)]
pub(crate) struct ObjectIndex {
    /// Patterns without `*`: by schema, then table.
    exact: HashMap<String, HashMap<String, Vec<usize>>>,
    /// Patterns whose schema holds no `*`.
    in_schema: HashMap<String, Vec<(ObjectPattern, usize)>>,
    elsewhere: Vec<(ObjectPattern, usize)>,
    tags: HashMap<String, Vec<usize>>,
}

impl ObjectIndex {
    /// Rule number `rule` concerns the tables that `pattern` names.
    pub(crate) fn add_pattern(&mut self, pattern: &ObjectPattern, rule: usize) {
        match (pattern.exact(), pattern.exact_schema()) {
            (Some((schema, table)), _) => {
                let tables = self.exact.entry(schema.to_owned()).or_default();
                tables.entry(table.to_owned()).or_default().push(rule);
            }
            (None, Some(schema)) => {
                self.in_schema.entry(schema.to_owned()).or_default().push((pattern.clone(), rule));
            }
            (None, None) => self.elsewhere.push((pattern.clone(), rule)),
        }
    }

    /// Rule number `rule` concerns what carries `tag`.
    pub(crate) fn add_tag(&mut self, tag: &str, rule: usize) {
        self.tags.entry(tag.to_owned()).or_default().push(rule);
    }

    /// The rules that name the table `schema`.`table` or one of `tags`; ascending, each once.
    pub(crate) fn concerning<'a>(
        &self,
        schema: &str,
        table: &str,
        tags: impl Iterator<Item = &'a String>,
    ) -> Vec<usize> {
        let mut rules = Vec::new();
        rules.extend(self.exact.get(schema).and_then(|tables| tables.get(table)).into_iter().flatten());
        let globs = self.in_schema.get(schema).into_iter().flatten().chain(&self.elsewhere);
        rules.extend(globs.filter(|(pattern, _)| pattern.matches(schema, table)).map(|(_, rule)| *rule));
        if !self.tags.is_empty() {
            rules.extend(tags.filter_map(|tag| self.tags.get(tag)).flatten());
        }
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_rule_is_found_once_and_in_order() {
        let patterns = ["silver.*", "silver.patients", "*.patients", "gold.*", "silver.patients*"];
        let mut index = ObjectIndex::default();
        for (rule, pattern) in patterns.iter().enumerate() {
            index.add_pattern(&pattern.parse().unwrap(), rule);
        }
        index.add_tag("pii.id", 4);
        index.add_tag("pii.id", 5);
        index.add_tag("other", 6);
        let tags = ["pii.id".to_owned(), "pii.id".to_owned()];
        assert_eq!(index.concerning("silver", "patients", tags.iter()), [0, 1, 2, 4, 5]);
        assert_eq!(index.concerning("gold", "patients", [].iter()), [2, 3]);
        assert_eq!(index.concerning("bronze", "x", [].iter()), [0_usize; 0]);
    }
}
