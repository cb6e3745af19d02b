//! Row filters: as the policy file says them, and what they say of a row, worked out without the product.

use std::cmp::Ordering;

use crate::cells::{Cell, Column, Kind, Row, text};
use crate::generated::lake::{Subject, usual};
use crate::generated::tape::{Dice, Tape};

/// The tenant of the analyst who asks.
pub const TENANT: &str = "a";
/// Their attribute `clinic`; they have no other.
pub const CLINIC: &str = "north";

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `<>`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

const OPERATORS: [Operator; 6] =
    [Operator::Equal, Operator::Unequal, Operator::Less, Operator::AtMost, Operator::More, Operator::AtLeast];

impl Operator {
    fn word(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// A value in a filter. Columns by index.
#[derive(Debug, Clone)]
pub enum Value {
    /// A column.
    Column(usize),
    /// A literal.
    Literal(Cell),
    /// `principal.tenant`
    Tenant,
    /// `principal.attr('…')`
    Attribute(&'static str),
    /// `lower`, `upper`, `btrim`
    Changed(&'static str, Box<Value>),
    /// `character_length`
    Length(Box<Value>),
    /// `coalesce(…, …)`
    Coalesce(Box<Value>, Box<Value>),
    /// `nullif(…, …)`
    NullIf(Box<Value>, Box<Value>),
    /// `… || …`
    Joined(Box<Value>, Box<Value>),
    /// `try_cast(… AS bigint)`
    Number(Box<Value>),
    /// `CASE WHEN … THEN … ELSE … END`
    Case(Box<Filter>, Box<Value>, Box<Value>),
}

/// A condition.
#[derive(Debug, Clone)]
pub enum Filter {
    /// `true`
    True,
    /// A comparison.
    Compare(Value, Operator, Value),
    /// `IN`
    In(Value, Vec<Value>, bool),
    /// `BETWEEN`
    Between(Value, Value, Value, bool),
    /// `IS NULL`
    Null(Value, bool),
    /// `LIKE`
    Like(Value, &'static str, bool),
    /// `starts_with`
    Starts(Value, &'static str),
    /// A column of booleans.
    Bool(usize),
    /// `IS TRUE`, `IS NOT TRUE`, `IS FALSE` …
    Is(Box<Filter>, Option<bool>, bool),
    /// `NOT`
    Not(Box<Filter>),
    /// `AND`
    And(Box<Filter>, Box<Filter>),
    /// `OR`
    Or(Box<Filter>, Box<Filter>),
}

/// A literal of SQL.
#[must_use]
pub fn literal(cell: &Cell) -> String {
    match cell {
        Cell::Long(value) => value.to_string(),
        Cell::Double(value) => format!("{value:?}"),
        Cell::Text(value) => format!("'{}'", value.replace('\'', "''")),
        Cell::Bool(value) => value.to_string(),
        Cell::Date(day) => {
            let date = chrono::NaiveDate::default() + chrono::Duration::days(i64::from(*day));
            format!("date '{date}'")
        }
        Cell::Decimal(value) => format!("{}.{:02}", value / 100, value % 100),
        _ => "NULL".to_owned(),
    }
}

/// Order of two values, as PostgreSQL has it: NaN is equal to itself and greater than all numbers.
fn order(left: &Cell, right: &Cell) -> Option<Ordering> {
    match (left, right) {
        (Cell::Long(left), Cell::Long(right)) => Some(left.cmp(right)),
        (Cell::Text(left), Cell::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Cell::Bool(left), Cell::Bool(right)) => Some(left.cmp(right)),
        (Cell::Date(left), Cell::Date(right)) => Some(left.cmp(right)),
        (Cell::Double(left), Cell::Double(right)) => {
            Some(left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan())))
        }
        _ => None,
    }
}

fn like(value: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some(('%', rest)) => (0..=value.len()).any(|skipped| like(&value[skipped..], rest)),
        Some((wanted, rest)) => value
            .split_first()
            .is_some_and(|(first, tail)| (*wanted == '_' || first == wanted) && like(tail, rest)),
    }
}

impl Value {
    fn sql(&self, columns: &[Column]) -> String {
        let sql = |value: &Self| value.sql(columns);
        match self {
            Self::Column(index) => columns[*index].name.to_owned(),
            Self::Literal(cell) => literal(cell),
            Self::Tenant => "principal.tenant".to_owned(),
            Self::Attribute(name) => format!("principal.attr('{name}')"),
            Self::Changed(function, value) => format!("{function}({})", sql(value)),
            Self::Length(value) => format!("character_length({})", sql(value)),
            Self::Coalesce(value, other) => format!("coalesce({}, {})", sql(value), sql(other)),
            Self::NullIf(value, other) => format!("nullif({}, {})", sql(value), sql(other)),
            Self::Joined(value, other) => format!("({} || {})", sql(value), sql(other)),
            Self::Number(value) => format!("try_cast({} AS bigint)", sql(value)),
            Self::Case(when, then, other) => {
                format!("CASE WHEN {} THEN {} ELSE {} END", when.sql(columns), sql(then), sql(other))
            }
        }
    }

    fn of(&self, row: &Row) -> Cell {
        let of = |value: &Self| value.of(row);
        match self {
            Self::Column(index) => row[*index].clone(),
            Self::Literal(cell) => cell.clone(),
            Self::Tenant => text(TENANT),
            Self::Attribute(_) => text(CLINIC),
            Self::Changed(function, value) => match (*function, of(value)) {
                ("lower", Cell::Text(value)) => text(value.to_lowercase()),
                ("upper", Cell::Text(value)) => text(value.to_uppercase()),
                (_, Cell::Text(value)) => text(value.trim_matches(' ')),
                _ => Cell::Null,
            },
            Self::Length(value) => match of(value) {
                Cell::Text(value) => Cell::Long(value.chars().count() as i64),
                _ => Cell::Null,
            },
            Self::Coalesce(value, other) => match of(value) {
                Cell::Null => of(other),
                value => value,
            },
            Self::NullIf(value, other) => {
                let (value, other) = (of(value), of(other));
                if order(&value, &other) == Some(Ordering::Equal) { Cell::Null } else { value }
            }
            Self::Joined(value, other) => match (of(value), of(other)) {
                (Cell::Text(value), Cell::Text(other)) => text(value + other.as_str()),
                _ => Cell::Null,
            },
            Self::Number(value) => match of(value) {
                Cell::Text(value) => value.parse().map_or(Cell::Null, Cell::Long),
                _ => Cell::Null,
            },
            Self::Case(when, then, other) => {
                if when.of(row) == Some(true) {
                    of(then)
                } else {
                    of(other)
                }
            }
        }
    }

    fn asks(&self) -> bool {
        match self {
            Self::Attribute(name) => *name != "clinic",
            Self::Changed(_, value) | Self::Length(value) | Self::Number(value) => value.asks(),
            Self::Coalesce(value, other) | Self::NullIf(value, other) | Self::Joined(value, other) => {
                value.asks() || other.asks()
            }
            Self::Case(when, then, other) => when.lacks() || then.asks() || other.asks(),
            Self::Column(_) | Self::Literal(_) | Self::Tenant => false,
        }
    }
}

impl Filter {
    /// The text of `using`.
    #[must_use]
    pub fn sql(&self, columns: &[Column]) -> String {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match self {
            Self::True => "true".to_owned(),
            Self::Compare(left, operator, right) => {
                format!("{} {} {}", left.sql(columns), operator.word(), right.sql(columns))
            }
            Self::In(value, list, negated) => {
                let list: Vec<_> = list.iter().map(|value| value.sql(columns)).collect();
                format!("{} {}IN ({})", value.sql(columns), not(negated), list.join(", "))
            }
            Self::Between(value, low, high, negated) => format!(
                "{} {}BETWEEN {} AND {}",
                value.sql(columns),
                not(negated),
                low.sql(columns),
                high.sql(columns)
            ),
            Self::Null(value, negated) => format!("{} IS {}NULL", value.sql(columns), not(negated)),
            Self::Like(value, pattern, negated) => {
                format!("{} {}LIKE '{pattern}'", value.sql(columns), not(negated))
            }
            Self::Starts(value, prefix) => format!("starts_with({}, '{prefix}')", value.sql(columns)),
            Self::Bool(index) => columns[*index].name.to_owned(),
            Self::Is(inner, what, negated) => {
                let what = what.map_or("UNKNOWN", |what| if what { "TRUE" } else { "FALSE" });
                format!("({}) IS {}{what}", inner.sql(columns), not(negated))
            }
            Self::Not(inner) => format!("NOT ({})", inner.sql(columns)),
            Self::And(left, right) => format!("({}) AND ({})", left.sql(columns), right.sql(columns)),
            Self::Or(left, right) => format!("({}) OR ({})", left.sql(columns), right.sql(columns)),
        }
    }

    /// What it says of a row; None is NULL.
    #[must_use]
    pub fn of(&self, row: &Row) -> Option<bool> {
        match self {
            Self::True => Some(true),
            Self::Compare(left, operator, right) => {
                order(&left.of(row), &right.of(row)).map(|order| operator.holds(order))
            }
            Self::In(value, list, negated) => {
                let value = value.of(row);
                if value == Cell::Null {
                    return None;
                }
                let mut unknown = false;
                for other in list {
                    match order(&value, &other.of(row)) {
                        Some(Ordering::Equal) => return Some(!negated),
                        Some(_) => {}
                        None => unknown = true,
                    }
                }
                if unknown { None } else { Some(*negated) }
            }
            Self::Between(value, low, high, negated) => {
                let value = value.of(row);
                let above = order(&value, &low.of(row)).map(Ordering::is_ge);
                let below = order(&value, &high.of(row)).map(Ordering::is_le);
                both(above, below).map(|within| within != *negated)
            }
            Self::Null(value, negated) => Some((value.of(row) == Cell::Null) != *negated),
            Self::Like(value, pattern, negated) => match value.of(row) {
                Cell::Text(value) => {
                    let (value, pattern): (Vec<_>, Vec<_>) =
                        (value.chars().collect(), pattern.chars().collect());
                    Some(like(&value, &pattern) != *negated)
                }
                _ => None,
            },
            Self::Starts(value, prefix) => match value.of(row) {
                Cell::Text(value) => Some(value.starts_with(prefix)),
                _ => None,
            },
            Self::Bool(index) => match row[*index] {
                Cell::Bool(value) => Some(value),
                _ => None,
            },
            Self::Is(inner, what, negated) => Some((inner.of(row) == *what) != *negated),
            Self::Not(inner) => inner.of(row).map(|value| !value),
            Self::And(left, right) => both(left.of(row), right.of(row)),
            Self::Or(left, right) => {
                both(left.of(row).map(|value| !value), right.of(row).map(|value| !value)).map(|value| !value)
            }
        }
    }

    /// Whether it asks for an attribute that the analyst lacks: then it shows no row.
    #[must_use]
    pub fn lacks(&self) -> bool {
        match self {
            Self::True | Self::Bool(_) => false,
            Self::Compare(left, _, right) => left.asks() || right.asks(),
            Self::In(value, list, _) => value.asks() || list.iter().any(Value::asks),
            Self::Between(value, low, high, _) => value.asks() || low.asks() || high.asks(),
            Self::Null(value, _) | Self::Like(value, _, _) | Self::Starts(value, _) => value.asks(),
            Self::Is(inner, _, _) | Self::Not(inner) => inner.lacks(),
            Self::And(left, right) | Self::Or(left, right) => left.lacks() || right.lacks(),
        }
    }
}

/// AND of three-valued logic.
fn both(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// Draws filters on one table.
pub struct Draw<'a, 'b> {
    /// The table.
    pub subject: &'a Subject,
    /// Choices.
    pub tape: &'a Tape<'b>,
}

impl Draw<'_, '_> {
    /// A filter, nested to at most `depth`.
    pub fn filter(&self, depth: usize) -> Filter {
        // What policies mostly say, and most likely to show some of the rows.
        let choice = if self.tape.chance(60) { self.tape.below(if depth == 0 { 9 } else { 15 }) } else { 0 };
        match choice {
            0 | 1 => match self.column(Kind::Text, Some("tenant_id")) {
                Some(tenant) => Filter::Compare(tenant, Operator::Equal, Value::Tenant),
                None => Filter::True,
            },
            2 => self.comparison(),
            3 => {
                let kind = self.kind();
                let list = (0..=self.tape.below(4)).map(|_| self.literal(kind)).collect();
                Filter::In(self.value(kind, depth), list, self.tape.chance(25))
            }
            4 => {
                let kind = self.kind();
                let (low, high) = (self.literal(kind), self.literal(kind));
                Filter::Between(self.value(kind, depth), low, high, self.tape.chance(25))
            }
            5 => {
                let kind = self.kind();
                Filter::Null(self.value(kind, depth), self.tape.chance(70))
            }
            6 => {
                let pattern = self.tape.one_of(&["%1%", "a%", "_", "%e_ght", "LS6%", "%", ""]);
                Filter::Like(self.value(Kind::Text, depth), pattern, self.tape.chance(30))
            }
            7 => {
                let prefix = self.tape.one_of(&["a", "Person 1", "LS", "", "MRN0000"]);
                Filter::Starts(self.value(Kind::Text, depth), prefix)
            }
            8 => match self.subject.columns.iter().position(|column| column.kind == Kind::Bool) {
                Some(index) => Filter::Bool(index),
                None => self.comparison(),
            },
            9 | 10 => Filter::And(Box::new(self.filter(depth - 1)), Box::new(self.filter(depth - 1))),
            11 | 12 => Filter::Or(Box::new(self.filter(depth - 1)), Box::new(self.filter(depth - 1))),
            13 => Filter::Not(Box::new(self.filter(depth - 1))),
            _ => {
                let what = self.tape.one_of(&[Some(true), Some(false), None]);
                let negated = self.tape.chance(50);
                Filter::Is(Box::new(self.filter(depth - 1)), what, negated)
            }
        }
    }

    fn comparison(&self) -> Filter {
        let kind = self.kind();
        let operator = self.tape.one_of(&OPERATORS);
        let left = self.value(kind, 1);
        let right = if self.tape.chance(20) { self.value(kind, 0) } else { self.literal(kind) };
        Filter::Compare(left, operator, right)
    }

    /// A type that the table has and filters compare.
    fn kind(&self) -> Kind {
        let kinds = [Kind::Text, Kind::Long, Kind::Date, Kind::Double];
        let kind = self.tape.one_of(&kinds);
        if self.subject.columns.iter().any(|column| column.kind == kind) { kind } else { Kind::Long }
    }

    fn column(&self, kind: Kind, name: Option<&str>) -> Option<Value> {
        let fitting: Vec<usize> = (0..self.subject.columns.len())
            .filter(|index| {
                let column = self.subject.columns[*index];
                column.kind == kind && name.is_none_or(|name| name == column.name)
            })
            .collect();
        if fitting.is_empty() { None } else { Some(Value::Column(self.tape.one_of(&fitting))) }
    }

    fn literal(&self, kind: Kind) -> Value {
        if kind == Kind::Text && self.tape.chance(15) {
            return Value::Attribute("clinic");
        }
        // Of the values that a column of the type has, so that filters show some rows and hide others.
        let of_kind: Vec<_> = self.subject.columns.iter().filter(|column| column.kind == kind).collect();
        let Some(column) = of_kind.get(self.tape.below(of_kind.len())) else {
            return Value::Literal(Cell::Null);
        };
        let index = self.tape.below(60) as i64;
        let mut dice = Dice::new(index as u64);
        let cell = usual(self.subject.name, column.name, index, &mut dice);
        Value::Literal(if cell == Cell::Null {
            usual(self.subject.name, column.name, index, &mut dice)
        } else {
            cell
        })
    }

    fn value(&self, kind: Kind, depth: usize) -> Value {
        let plain = self.column(kind, None);
        if depth == 0 || !self.tape.chance(50) {
            return plain.unwrap_or_else(|| self.literal(kind));
        }
        let inner = |kind| Box::new(self.value(kind, depth - 1));
        match kind {
            Kind::Text => {
                let value = inner(Kind::Text);
                match self.tape.below(6) {
                    0 => Value::Changed("lower", value),
                    1 => Value::Changed("upper", value),
                    2 => Value::Changed("btrim", value),
                    3 => Value::Coalesce(value, Box::new(Value::Literal(text("none")))),
                    4 => Value::Joined(value, Box::new(Value::Literal(text("1")))),
                    _ if self.tape.chance(20) => Value::Attribute("missing"),
                    _ => Value::NullIf(value, Box::new(Value::Literal(text("a")))),
                }
            }
            Kind::Long => match self.tape.below(5) {
                3 => Value::Length(inner(Kind::Text)),
                0 => Value::Coalesce(inner(Kind::Long), Box::new(Value::Literal(Cell::Long(7)))),
                1 => Value::NullIf(inner(Kind::Long), Box::new(Value::Literal(Cell::Long(10)))),
                2 => Value::Number(inner(Kind::Text)),
                _ => {
                    let (then, other) = (inner(Kind::Long), inner(Kind::Long));
                    Value::Case(Box::new(self.filter(0)), then, other)
                }
            },
            _ => plain.unwrap_or_else(|| self.literal(kind)),
        }
    }
}
