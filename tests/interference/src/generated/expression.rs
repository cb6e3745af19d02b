//! Values and conditions over the columns in scope. None of them fails on a value that is shown: see
//! [`Scope::fallible`] for those that do.

use crate::cells::Kind;
use crate::generated::statement::Relation;
use crate::generated::tape::Tape;

/// The relations that a statement may name columns of.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    /// Alias and relation.
    pub from: Vec<(String, Relation)>,
    /// What subqueries may read.
    pub tables: &'a [Relation],
    /// How deep in subqueries: their aliases are named by it.
    pub level: usize,
}

/// Types that can be compared, sorted and grouped.
pub const PLAIN: [Kind; 7] =
    [Kind::Long, Kind::Text, Kind::Date, Kind::Double, Kind::Decimal, Kind::Bool, Kind::Instant];

impl<'a> Scope<'a> {
    /// A scope of one table.
    #[must_use]
    pub fn of(alias: &str, relation: &Relation, tables: &'a [Relation], level: usize) -> Self {
        Self { from: vec![(alias.to_owned(), relation.clone())], tables, level }
    }

    /// Every column of a type.
    #[must_use]
    pub fn columns(&self, kind: Kind) -> Vec<String> {
        let of_one = |(alias, relation): &(String, Relation)| {
            let fitting = relation.columns.iter().filter(|(_, of)| *of == kind);
            fitting.map(|(name, _)| format!("{alias}.{name}")).collect::<Vec<_>>()
        };
        self.from.iter().flat_map(of_one).collect()
    }

    /// A column of a type, if there is one.
    pub fn column(&self, tape: &Tape<'_>, kind: Kind) -> Option<String> {
        let columns = self.columns(kind);
        (!columns.is_empty()).then(|| columns[tape.below(columns.len())].clone())
    }

    /// A type that some column has.
    pub fn kind(&self, tape: &Tape<'_>) -> Kind {
        let kinds: Vec<Kind> = PLAIN.into_iter().filter(|kind| !self.columns(*kind).is_empty()).collect();
        if kinds.is_empty() { Kind::Long } else { tape.one_of(&kinds) }
    }

    /// A literal such as columns hold, or hidden rows do.
    pub fn literal(tape: &Tape<'_>, kind: Kind) -> String {
        match kind {
            Kind::Long => tape.one_of(&["0", "7", "100", "40", "-1", "20", "9223372036854775807"]).to_owned(),
            Kind::Text => tape
                .one_of(&[
                    "'a'",
                    "'b'",
                    "'Person 1'",
                    "'somebody'",
                    "'MRN00007'",
                    "'LS6'",
                    "'532'",
                    "'53201'",
                    "'pulse'",
                    "'x''y'",
                    "''",
                    "'M**'",
                    "'12'",
                    "'LS6 1AA'",
                    "'not a number'",
                ])
                .to_owned(),
            Kind::Date => tape
                .one_of(&["date '2020-01-01'", "date '1980-06-15'", "date '2001-02-03'", "date '1970-01-01'"])
                .to_owned(),
            Kind::Double => tape.one_of(&["1.5", "10.25", "0.0", "15.0"]).to_owned() + "::double precision",
            Kind::Decimal => tape.one_of(&["12.50", "300.00", "0.01"]).to_owned(),
            Kind::Bool => tape.one_of(&["true", "false"]).to_owned(),
            Kind::Instant => "timestamp '2018-05-05 12:00:00'".to_owned(),
            Kind::Person | Kind::Texts => "NULL".to_owned(),
        }
    }

    /// A value of a type.
    pub fn value(&self, tape: &Tape<'_>, kind: Kind, depth: usize) -> String {
        let column = self.column(tape, kind);
        if depth == 0 || !tape.chance(55) {
            return column.unwrap_or_else(|| Self::literal(tape, kind));
        }
        let next = depth - 1;
        match tape.below(9) {
            0 => Self::literal(tape, kind),
            1 => format!("coalesce({}, {})", self.value(tape, kind, next), Self::literal(tape, kind)),
            2 => {
                let when = self.condition(tape, next);
                let (then, other) = (self.value(tape, kind, next), self.value(tape, kind, next));
                format!("CASE WHEN {when} THEN {then} ELSE {other} END")
            }
            3 => format!("nullif({}, {})", self.value(tape, kind, next), Self::literal(tape, kind)),
            4 if kind != Kind::Bool => {
                self.scalar_subquery(tape, kind).unwrap_or_else(|| Self::literal(tape, kind))
            }
            _ => self.computed(tape, kind, next),
        }
    }

    fn computed(&self, tape: &Tape<'_>, kind: Kind, depth: usize) -> String {
        let value = |kind| self.value(tape, kind, depth);
        match kind {
            Kind::Long => {
                let number = value(Kind::Long);
                match tape.below(9) {
                    // On hidden rows these overflow.
                    0 => format!("({number} + 1)"),
                    1 => format!("({number} * 3)"),
                    2 => format!("abs({number})"),
                    3 => format!("(- {number})"),
                    4 => format!("character_length({})::bigint", self.value(tape, Kind::Text, depth)),
                    5 => format!("extract(year FROM {})::bigint", self.value(tape, Kind::Date, depth)),
                    6 => format!("strpos({}, '1')::bigint", self.value(tape, Kind::Text, depth)),
                    7 => match self.column(tape, Kind::Texts) {
                        Some(list) => format!("cardinality({list})::bigint"),
                        None => number,
                    },
                    _ => match self.column(tape, Kind::Person) {
                        Some(person) => format!("{person}['age']"),
                        None => number,
                    },
                }
            }
            Kind::Text => {
                let text = value(Kind::Text);
                match tape.below(11) {
                    0 => format!("upper({text})"),
                    1 => format!("({text} || '!')"),
                    2 => format!("substr({text}, 1, 3)"),
                    3 => format!("right({text}, 2)"),
                    4 => format!("replace({text}, '1', '#')"),
                    5 => format!("CAST({} AS text)", self.value(tape, Kind::Long, depth)),
                    6 => format!("split_part({text}, ' ', 2)"),
                    7 => format!("md5({text})"),
                    8 => format!("concat({text}, '-', {})", self.value(tape, Kind::Long, depth)),
                    9 => match self.column(tape, Kind::Person) {
                        Some(person) => format!("{person}['name']"),
                        None => format!("reverse({text})"),
                    },
                    _ => match self.column(tape, Kind::Texts) {
                        Some(list) if tape.chance(50) => format!("{list}[1]"),
                        Some(list) => format!("array_to_string({list}, ',')"),
                        None => format!("btrim({text})"),
                    },
                }
            }
            Kind::Double => {
                let number = value(Kind::Double);
                match tape.below(3) {
                    0 => format!("({number} + 0.5::double precision)"),
                    1 => format!("({number} * 2.0::double precision)"),
                    _ => format!("CAST({} AS double precision)", self.value(tape, Kind::Long, depth)),
                }
            }
            Kind::Decimal => format!("({} + 1.00)", value(Kind::Decimal)),
            Kind::Bool => format!("({})", self.condition(tape, depth)),
            Kind::Date | Kind::Instant | Kind::Person | Kind::Texts => value(kind),
        }
    }

    /// A subquery of one value, mostly one that depends on the row around it.
    fn scalar_subquery(&self, tape: &Tape<'_>, kind: Kind) -> Option<String> {
        if self.level >= 2 {
            return None;
        }
        let (inner, alias) = self.inner(tape);
        let link = self.link(tape, &inner);
        let value = inner.column(tape, kind)?;
        let aggregate = match kind {
            Kind::Long => tape.one_of(&["max", "min", "sum", "count"]),
            _ => tape.one_of(&["max", "min"]),
        };
        let table = inner.from[0].1.name;
        let limit = if kind == Kind::Long { "::bigint" } else { "" };
        Some(format!("(SELECT {aggregate}({value}){limit} FROM {table} {alias} WHERE {link})"))
    }

    fn inner(&self, tape: &Tape<'_>) -> (Scope<'a>, String) {
        let table = self.tables[tape.below(self.tables.len())].clone();
        let alias = format!("s{}", self.level);
        (Scope::of(&alias, &table, self.tables, self.level + 1), alias)
    }

    /// What ties an inner row to an outer one; sometimes nothing does.
    fn link(&self, tape: &Tape<'_>, inner: &Scope<'_>) -> String {
        let kind = tape.one_of(&[Kind::Long, Kind::Text, Kind::Date]);
        match (inner.column(tape, kind), self.column(tape, kind)) {
            (Some(theirs), Some(ours)) if !tape.chance(20) => format!("{theirs} = {ours}"),
            _ => inner.condition(tape, 0),
        }
    }

    /// A condition.
    pub fn condition(&self, tape: &Tape<'_>, depth: usize) -> String {
        match tape.below(if depth == 0 { 7 } else { 12 }) {
            0 | 1 => {
                let kind = self.kind(tape);
                let operator = tape.one_of(&["=", "<", ">", "<=", ">=", "<>"]);
                format!("{} {operator} {}", self.value(tape, kind, depth), Self::literal(tape, kind))
            }
            2 => {
                let kind = self.kind(tape);
                let operator = tape.one_of(&["=", "<", "IS DISTINCT FROM", ">="]);
                format!("{} {operator} {}", self.value(tape, kind, depth), self.value(tape, kind, depth))
            }
            3 => {
                let kind = self.kind(tape);
                let list: Vec<_> = (0..=tape.below(3)).map(|_| Self::literal(tape, kind)).collect();
                let not = tape.one_of(&["", "NOT "]);
                format!("{} {not}IN ({})", self.value(tape, kind, depth), list.join(", "))
            }
            4 => {
                let kind = self.kind(tape);
                let (low, high) = (Self::literal(tape, kind), Self::literal(tape, kind));
                format!("{} BETWEEN {low} AND {high}", self.value(tape, kind, depth))
            }
            5 => {
                let kind = self.kind(tape);
                let not = tape.one_of(&["NOT ", ""]);
                format!("{} IS {not}NULL", self.value(tape, kind, depth))
            }
            6 => {
                let pattern = tape.one_of(&["%1%", "P%", "%*%", "_", "x%", "%e_ght%", "LS6%", "Hid%"]);
                let like = tape.one_of(&["LIKE", "NOT LIKE", "ILIKE"]);
                format!("{} {like} '{pattern}'", self.value(tape, Kind::Text, depth))
            }
            7 => format!("({}) AND ({})", self.condition(tape, depth - 1), self.condition(tape, depth - 1)),
            8 => format!("({}) OR ({})", self.condition(tape, depth - 1), self.condition(tape, depth - 1)),
            9 => format!("NOT ({})", self.condition(tape, depth - 1)),
            choice => self.subquery_condition(tape, choice == 10, depth - 1),
        }
    }

    fn subquery_condition(&self, tape: &Tape<'_>, exists: bool, depth: usize) -> String {
        if self.level >= 2 {
            return self.condition(tape, 0);
        }
        let (inner, alias) = self.inner(tape);
        let table = inner.from[0].1.name;
        let not = tape.one_of(&["", "NOT "]);
        if exists {
            let link = self.link(tape, &inner);
            let more = inner.condition(tape, depth);
            return format!("{not}EXISTS (SELECT 1 FROM {table} {alias} WHERE {link} AND ({more}))");
        }
        let kind = tape.one_of(&[Kind::Long, Kind::Text]);
        let Some(theirs) = inner.column(tape, kind) else { return self.condition(tape, 0) };
        let ours = self.value(tape, kind, 0);
        let more = inner.condition(tape, depth);
        format!("{ours} {not}IN (SELECT {theirs} FROM {table} {alias} WHERE {more})")
    }

    /// A number whose computation fails on some values, which rows that are shown may have, too. It fails in one way
    /// only. Whether another condition spares a row from it may depend on hidden rows, because rows are
    /// computed in batches (`docs/policies.md`), so a statement with one has no other condition, join or limit.
    pub fn fallible(&self, tape: &Tape<'_>) -> String {
        let number = self.column(tape, Kind::Long).unwrap_or_else(|| "1".to_owned());
        match tape.below(5) {
            0 => format!("(100 / {number})"),
            1 => format!("(7 % {number})"),
            2 => format!("(1000 / ({number} % 7))"),
            3 => match self.column(tape, Kind::Text) {
                Some(text) => format!("CAST({text} AS bigint)"),
                None => format!("(100 / ({number} - 7))"),
            },
            // Fails on hidden rows only.
            _ => format!("({number} * 1000000000000)"),
        }
    }
}
