//! The paths that every statement goes, and what is found on one.

use std::fmt;

use anyhow::Result;

use crate::cases::Case;
use crate::delta::Layout;
use crate::doors::Door;
use crate::lakes::{Filter, Which};
use crate::observe::{Answer, difference};
use crate::play::Stage;
use crate::service::{Service, Tuning};

/// One way from a client to the rows and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Name.
    pub name: &'static str,
    /// How tables lie in their files.
    pub layout: Layout,
    /// What row filters cost.
    pub filter: Filter,
    /// The way in.
    pub door: Door,
    /// How plans are made.
    pub tuning: Tuning,
}

const fn path(
    name: &'static str,
    layout: Layout,
    filter: Filter,
    door: Door,
    partitions: usize,
    pushdown_filters: bool,
) -> Path {
    Path { name, layout, filter, door, tuning: Tuning { partitions, pushdown_filters } }
}

use Door::{Extended, Inside, Simple};
use Filter::{Cheap, Expensive};
use Layout::{Plain, Vectors};

/// Every path: a line here, and its test in `tests/suite.rs`.
pub const MATRIX: &[Path] = &[
    path("plain_1", Plain, Cheap, Inside, 1, false),
    path("plain_8", Plain, Cheap, Inside, 8, false),
    path("plain_8_pushdown", Plain, Cheap, Inside, 8, true),
    path("plain_1_pushdown_expensive", Plain, Expensive, Inside, 1, true),
    path("plain_8_expensive", Plain, Expensive, Inside, 8, false),
    path("vectors_1", Vectors, Cheap, Inside, 1, false),
    path("vectors_8_pushdown", Vectors, Cheap, Inside, 8, true),
    path("plain_8_simple", Plain, Cheap, Simple, 8, false),
    path("plain_1_extended", Plain, Cheap, Extended, 1, false),
    path("vectors_8_extended_expensive", Vectors, Expensive, Extended, 8, true),
    // The service itself reads Delta tables only, so this one is there with the feature `mutations` alone.
    #[cfg(feature = "mutations")]
    path("parquet_8_pushdown", Layout::Listed, Cheap, Inside, 8, true),
];

/// The path of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Path> {
    MATRIX.iter().find(|path| path.name == name)
}

/// A case that did not hold.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Where the case is, and its name.
    pub case: String,
    /// Name of the case alone.
    pub name: String,
    /// What was observed.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.case, self.what)
    }
}

/// The three lakes of one path.
pub struct Trio {
    a: Stage,
    b: Stage,
    copy: Stage,
}

impl Trio {
    /// Writes the lakes and starts a service over each.
    pub async fn start(path: &Path) -> Result<Self> {
        let stage = async |which| -> Result<Stage> {
            Ok(Stage::new(Service::start(which, path.layout, path.filter, path.tuning).await?, path.door))
        };
        let (a, b, copy) = futures::try_join!(stage(Which::A), stage(Which::B), stage(Which::Copy))?;
        Ok(Self { a, b, copy })
    }

    /// Over the lakes A, B and copy that are served already.
    #[must_use]
    pub fn of([a, b, copy]: [Service; 3], door: Door) -> Self {
        Self { a: Stage::new(a, door), b: Stage::new(b, door), copy: Stage::new(copy, door) }
    }

    /// What A, B and the copy answer to a case.
    pub async fn answers(&mut self, case: &Case) -> Result<[Vec<Answer>; 3]> {
        let (a, b, copy) = futures::try_join!(self.a.play(case), self.b.play(case), self.copy.play(case))?;
        Ok([a, b, copy])
    }

    /// Plays a case on all three; None where nothing tells them apart.
    pub async fn judge(&mut self, case: &Case) -> Result<Option<Finding>> {
        if !self.a.suits(case) {
            return Ok(None);
        }
        let [a, b, copy] = self.answers(case).await?;
        Ok(verdict(case, &a, &b, &copy).map(|what| Finding {
            case: format!("{} `{}`", case.place, case.name),
            name: case.name.clone(),
            what,
        }))
    }

    /// Plays all cases.
    pub async fn judge_all<'a>(&mut self, cases: impl IntoIterator<Item = &'a Case>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for case in cases {
            findings.extend(self.judge(case).await?);
        }
        Ok(findings)
    }
}

/// What tells the lakes apart.
#[must_use]
pub fn told_apart(case: &Case, a: &[Answer], b: &[Answer], copy: &[Answer]) -> Option<String> {
    if let Some(told) = difference(a, b) {
        return Some(format!("lake B differs from lake A, {told}"));
    }
    if case.copy
        && let Some(told) = difference(copy, a)
    {
        return Some(format!("the lakes differ from the physical copy, {told}"));
    }
    None
}

fn verdict(case: &Case, a: &[Answer], b: &[Answer], copy: &[Answer]) -> Option<String> {
    if let Some(told) = told_apart(case, a, b, copy) {
        return Some(told);
    }
    // No error quotes a value, not even one that is shown.
    let quoted = |answer: &&Answer| {
        answer.code.is_some() && ["somebody", "withheld", "**"].iter().any(|value| answer.end.contains(value))
    };
    if let Some(answer) = a.iter().find(quoted) {
        return Some(format!("an error quotes a value: {}", answer.end));
    }
    // A statement that fails for a reason of its own proves nothing.
    let failed = a.last().and_then(|answer| answer.code.as_deref());
    (failed != case.code.as_deref()).then(|| {
        let ends: Vec<_> = a.iter().map(|answer| answer.end.as_str()).collect();
        format!("ends with {failed:?} instead of {:?}: {}", case.code, ends.join(" / "))
    })
}
