//! The statements, read from `statements/*.sql`.
//!
//! A case begins with `-- name: …` and ends where the next one begins. Until its first statement it may say
//!
//! | header | meaning |
//! | --- | --- |
//! | `-- as: dora` | who asks; default alice, whose physical copy the third lake is |
//! | `-- order: none` | rows come in no promised order |
//! | `-- expect: code 42P01` | the statement fails with this SQLSTATE; default: it succeeds |
//! | `-- compare: lakes` | lake A with lake B only, where a physical copy differs for other reasons |
//! | `-- door: extended` | on paths with this door only: `inside`, `simple` or `extended` |
//! | `-- known: commits` | it does leak, for a reason that is known and not mended yet |
//!
//! and between its statements, each ended by `;` at the end of a line, `-- step: …`:
//! `as PERSON`, `quietly as PERSON` (what they are told is not compared), `reload original`, `reload broken`,
//! `reload deny TABLE`, `reload withhold TABLE`, `prepare NAME` (the statement that follows), `execute NAME` with parameters after it,
//! separated by commas, `fetch NAME ROWS` (by the extended protocol, from a portal that stays). Other comments are for readers.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::doors::Door;

/// What happens in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A statement.
    Run(String),
    /// From here on somebody else asks; quietly: without being compared.
    As {
        /// Who.
        person: String,
        /// Whether their answers are left out.
        quietly: bool,
    },
    /// The policies change.
    Reload(String),
    /// A statement is prepared under a name.
    Prepare {
        /// Name.
        name: String,
        /// Text.
        sql: String,
    },
    /// A prepared statement runs.
    Execute {
        /// Name.
        name: String,
        /// Values as text.
        parameters: Vec<String>,
    },
    /// Some more rows of a prepared statement.
    Fetch {
        /// Name.
        name: String,
        /// How many at most.
        rows: i32,
    },
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Where it is: `file:line`.
    pub place: String,
    /// Name, the only one of all files.
    pub name: String,
    /// Who asks first.
    pub person: String,
    /// Whether rows are compared in the order they come.
    pub ordered: bool,
    /// SQLSTATE of the last statement, where it must fail.
    pub code: Option<String>,
    /// Whether the physical copy must answer the same.
    pub copy: bool,
    /// The only door it is for.
    pub door: Option<Door>,
    /// Why it leaks, where it does.
    pub known: Option<String>,
    /// What happens.
    pub steps: Vec<Step>,
}

impl Case {
    /// Statements that are sent.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.steps.iter().filter(|step| !matches!(step, Step::As { .. } | Step::Reload(_))).count()
    }

    /// Whether it leaves its session as it was, so that the next case may use it.
    #[must_use]
    pub fn leaves_no_trace(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Run(sql) => {
                let word: String = sql.chars().take_while(char::is_ascii_alphabetic).collect();
                ["select", "with", "explain", "values", "table", "show"]
                    .contains(&word.to_ascii_lowercase().as_str())
                    && !sql.contains("set_config")
            }
            Step::As { .. } => true,
            Step::Reload(_) | Step::Prepare { .. } | Step::Execute { .. } | Step::Fetch { .. } => false,
        })
    }
}

/// Reads every file of `directory`, in order of names.
pub fn read_all(directory: &Path) -> Result<Vec<Case>> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        cases.extend(read(&name, &text)?);
    }
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for case in &cases {
        if let Some(other) = seen.insert(&case.name, &case.place) {
            bail!("{}: the name `{}` is taken by {other}", case.place, case.name);
        }
    }
    Ok(cases)
}

/// Reads the cases of one file.
pub fn read(file: &str, text: &str) -> Result<Vec<Case>> {
    let mut reader = Reader { cases: Vec::new(), sql: String::new(), prepare: None };
    let mut place = String::new();
    for (index, line) in text.lines().enumerate() {
        place = format!("{file}:{}", index + 1);
        reader.line(line.trim_end(), &place).with_context(|| place.clone())?;
    }
    reader.complete().with_context(|| format!("{place}: at the end"))?;
    Ok(reader.cases)
}

struct Reader {
    cases: Vec<Case>,
    /// The statement that is being read.
    sql: String,
    /// Name to prepare it under.
    prepare: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str, place: &str) -> Result<()> {
        if let Some(comment) = line.strip_prefix("--") {
            let Some((key, value)) = comment.trim().split_once(':') else { return Ok(()) };
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_lowercase()) {
                return Ok(());
            }
            return self.header(key, value.trim(), place);
        }
        if line.trim().is_empty() {
            return Ok(());
        }
        ensure!(!self.cases.is_empty(), "a statement without `-- name:`");
        if !self.sql.is_empty() {
            self.sql.push('\n');
        }
        self.sql.push_str(line);
        if let Some(statement) = self.sql.strip_suffix(';') {
            let sql = statement.to_owned();
            self.sql.clear();
            let step = match self.prepare.take() {
                Some(name) => Step::Prepare { name, sql },
                None => Step::Run(sql),
            };
            self.case()?.steps.push(step);
        }
        Ok(())
    }

    fn case(&mut self) -> Result<&mut Case> {
        self.cases.last_mut().context("a header before the first `-- name:`")
    }

    fn header(&mut self, key: &str, value: &str, place: &str) -> Result<()> {
        ensure!(self.sql.is_empty(), "a header inside a statement");
        ensure!(!value.is_empty(), "`{key}` without a value");
        if key == "name" {
            self.complete()?;
            self.cases.push(Case {
                place: place.to_owned(),
                name: value.to_owned(),
                person: "alice".to_owned(),
                ordered: true,
                code: None,
                copy: true,
                door: None,
                known: None,
                steps: Vec::new(),
            });
            return Ok(());
        }
        if key == "step" {
            return self.step(value);
        }
        let case = self.case()?;
        ensure!(case.steps.is_empty(), "`{key}` after the first statement");
        match (key, value.split_once(' ')) {
            ("as", _) => case.person = value.to_owned(),
            ("order", None) if value == "none" => case.ordered = false,
            ("expect", Some(("code", code))) => case.code = Some(code.to_owned()),
            ("compare", None) if value == "lakes" => case.copy = false,
            ("door", None) => case.door = Some(Door::of_name(value).context("there is no such door")?),
            ("known", _) => case.known = Some(value.to_owned()),
            _ => bail!("`{key}: {value}` is not known"),
        }
        Ok(())
    }

    fn step(&mut self, value: &str) -> Result<()> {
        let step = match value.split_once(' ') {
            Some(("as", person)) => Step::As { person: person.to_owned(), quietly: false },
            Some(("quietly", rest)) => {
                let person = rest.strip_prefix("as ").context("`quietly` is followed by `as PERSON`")?;
                Step::As { person: person.to_owned(), quietly: true }
            }
            Some(("reload", what)) => Step::Reload(what.to_owned()),
            Some(("prepare", name)) => {
                self.prepare = Some(name.to_owned());
                return Ok(());
            }
            Some(("execute", rest)) => {
                let (name, values) = rest.split_once(' ').unwrap_or((rest, ""));
                let values = values.split(',').map(|value| value.trim().to_owned());
                let parameters = values.filter(|value| !value.is_empty()).collect();
                Step::Execute { name: name.to_owned(), parameters }
            }
            Some(("fetch", rest)) => {
                let (name, rows) = rest.split_once(' ').context("`fetch NAME ROWS`")?;
                Step::Fetch { name: name.to_owned(), rows: rows.parse()? }
            }
            _ => bail!("the step `{value}` is not known"),
        };
        self.case()?.steps.push(step);
        Ok(())
    }

    fn complete(&self) -> Result<()> {
        ensure!(self.sql.is_empty(), "a statement that does not end with `;` at the end of a line");
        ensure!(self.prepare.is_none(), "`prepare` without a statement");
        if let Some(case) = self.cases.last() {
            ensure!(case.statements() > 0, "`{}` has no statement", case.name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", read("x.sql", text).unwrap_err())
    }

    #[test]
    fn headers_and_steps_are_read() {
        let text =
            "-- Prose.\n\n-- name: one\n-- as: dora\n-- order: none\n-- expect: code 42P01\n-- why: not\n";
        assert!(refused(text).contains("`why: not` is not known"), "{}", refused(text));
        let text = "-- name: one\n-- as: dora\n-- order: none\n-- expect: code 42P01\n-- known: commits\nSELECT\n  1;\n\
                    -- step: quietly as bob\n-- step: prepare q\nSELECT $1;\n-- step: execute q a, 5\n";
        let case = read("x.sql", text).unwrap().remove(0);
        assert_eq!(
            (case.person.as_str(), case.ordered, case.code.as_deref()),
            ("dora", false, Some("42P01"))
        );
        assert_eq!(case.place, "x.sql:1");
        assert_eq!(
            case.steps,
            [
                Step::Run("SELECT\n  1".to_owned()),
                Step::As { person: "bob".to_owned(), quietly: true },
                Step::Prepare { name: "q".to_owned(), sql: "SELECT $1".to_owned() },
                Step::Execute { name: "q".to_owned(), parameters: vec!["a".to_owned(), "5".to_owned()] },
            ]
        );
        assert!(!case.leaves_no_trace());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert!(refused("SELECT 1;").starts_with("x.sql:1: a statement without `-- name:`"));
        assert!(refused("-- name: a\nSELECT 1;\n-- order: none\n").starts_with("x.sql:3: `order`"));
        assert!(refused("-- name: a\nSELECT 1\n").contains("does not end with `;`"));
        assert!(refused("-- name: a\n-- name: b\nSELECT 1;").starts_with("x.sql:2: `a` has no statement"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.sql"), "-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n")
            .unwrap();
        let error = read_all(folder.path()).unwrap_err().to_string();
        assert_eq!(error, "x.sql:3: the name `a` is taken by x.sql:1");
    }
}
