//! Statements drawn over what the analyst sees.
//!
//! What is not determined by the rows that are shown is not drawn: no LIMIT without an order of all output columns, no
//! numbering of rows that tie, no frame of rows, no approximate aggregate (their last digits depend on where
//! batches end), and no sum of numbers that do not add up exactly.

use crate::cells::Kind;
use crate::generated::expression::{PLAIN, Scope};
use crate::generated::tape::Tape;

/// A table as statements know it.
#[derive(Debug, Clone)]
pub struct Relation {
    /// `schema.table`.
    pub name: &'static str,
    /// Columns as they are shown.
    pub columns: Vec<(&'static str, Kind)>,
}

/// A statement, and whether its rows come in an order that it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Text.
    pub sql: String,
    /// Whether rows are compared in the order they come.
    pub ordered: bool,
}

/// A query and the types of its columns.
struct Query {
    sql: String,
    kinds: Vec<Kind>,
}

/// Draws one statement over `readable` tables; now and then over one of `others`.
#[must_use]
pub fn draw(tape: &Tape<'_>, readable: &[Relation], others: &[Relation]) -> Statement {
    let shape = tape.below(24);
    if shape == 20 && !others.is_empty() {
        let other = &others[tape.below(others.len())];
        let column = other.columns[tape.below(other.columns.len())].0;
        let sql = match tape.below(3) {
            0 => format!("SELECT count(*) FROM {}", other.name),
            1 => format!("SELECT o.{column} FROM {} o WHERE o.id > 7", other.name),
            _ => format!("SELECT c.id FROM silver.codes c WHERE c.id IN (SELECT o.id FROM {} o)", other.name),
        };
        return Statement { sql, ordered: false };
    }
    if shape == 21 {
        let sql = tape.one_of(&[
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns \
             WHERE table_schema = 'silver' ORDER BY 1, ordinal_position",
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c \
             JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'silver' AND a.attnum > 0 ORDER BY 1, a.attnum",
        ]);
        return Statement { sql: sql.to_owned(), ordered: true };
    }
    if shape >= 22 || shape == 19 {
        return fallible(tape, readable);
    }
    let query = query(tape, readable, shape);
    finish(tape, query)
}

/// Orders and limits a query, or has its plan shown.
fn finish(tape: &Tape<'_>, query: Query) -> Statement {
    let Query { mut sql, kinds } = query;
    if tape.chance(6) {
        return Statement { sql: format!("EXPLAIN {sql}"), ordered: true };
    }
    let sortable = kinds.iter().all(|kind| PLAIN.contains(kind));
    let ordered = sortable && tape.chance(50);
    if ordered {
        let keys: Vec<_> = (1..=kinds.len())
            .map(|position| {
                format!("{position}{}", tape.one_of(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]))
            })
            .collect();
        sql = format!("{sql} ORDER BY {}", keys.join(", "));
        if tape.chance(60) {
            sql = format!("{sql} LIMIT {}", tape.one_of(&[3, 1, 10, 50]));
        }
        if tape.chance(15) {
            sql = format!("{sql} OFFSET 2");
        }
    }
    Statement { sql, ordered }
}

fn fallible(tape: &Tape<'_>, readable: &[Relation]) -> Statement {
    let table = &readable[tape.below(readable.len())];
    let scope = Scope::of("t", table, &[], 9);
    let expression = scope.fallible(tape);
    let kind = scope.kind(tape);
    let column = scope.column(tape, kind).unwrap_or_else(|| "1".to_owned());
    let from = table.name;
    let sql = match tape.below(6) {
        0 => format!("SELECT {column}, {expression} FROM {from} t"),
        1 => format!("SELECT {column} FROM {from} t WHERE {expression} > 1"),
        2 => format!("SELECT max({expression}), count(*) FROM {from} t"),
        3 => format!("SELECT {expression} AS x, count(*) FROM {from} t GROUP BY 1"),
        4 => format!("SELECT {column} FROM {from} t WHERE {expression} IS NULL"),
        _ => {
            format!("SELECT {column} FROM {from} t WHERE CASE WHEN {expression} > 3 THEN true ELSE false END")
        }
    };
    Statement { sql, ordered: false }
}

fn query(tape: &Tape<'_>, tables: &[Relation], shape: usize) -> Query {
    match shape {
        0..=2 => select(tape, &from_one(tape_table(tape, tables), tables), None),
        3..=6 => aggregate(tape, tables),
        7..=10 => {
            let (scope, from) = join(tape, tables);
            select(tape, &(scope, from), None)
        }
        11 | 12 => window(tape, tables),
        13 | 14 => set_operation(tape, tables),
        15 | 16 => derived(tape, tables),
        _ => select(tape, &from_one(tape_table(tape, tables), tables), None),
    }
}

fn tape_table<'a>(tape: &Tape<'_>, tables: &'a [Relation]) -> &'a Relation {
    &tables[tape.below(tables.len())]
}

type From<'a> = (Scope<'a>, String);

fn from_one<'a>(table: &Relation, tables: &'a [Relation]) -> From<'a> {
    (Scope::of("t", table, tables, 0), format!("{} t", table.name))
}

fn join<'a>(tape: &Tape<'_>, tables: &'a [Relation]) -> From<'a> {
    let (left, right) = (tape_table(tape, tables), tape_table(tape, tables));
    let mut scope = Scope::of("t", left, tables, 0);
    let other = Scope::of("u", right, tables, 0);
    let kind = tape.one_of(&[Kind::Long, Kind::Text, Kind::Date]);
    let keys = (scope.column(tape, kind), other.column(tape, kind));
    let (Some(ours), Some(theirs)) = keys else {
        return from_one(left, tables);
    };
    scope.from.extend(other.from);
    let word = tape.one_of(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    let more = if word != "FULL JOIN" && tape.chance(25) {
        format!(" AND ({})", Scope { tables: &[], level: 9, ..scope.clone() }.condition(tape, 1))
    } else {
        String::new()
    };
    let from = format!("{} t {word} {} u ON {ours} = {theirs}{more}", left.name, right.name);
    (scope, from)
}

fn condition(tape: &Tape<'_>, scope: &Scope<'_>) -> String {
    if tape.chance(60) { format!(" WHERE {}", scope.condition(tape, 2)) } else { String::new() }
}

fn select(tape: &Tape<'_>, (scope, from): &From<'_>, kinds: Option<&[Kind]>) -> Query {
    let mut drawn = Vec::new();
    let mut items = Vec::new();
    let count = kinds.map_or_else(|| 1 + tape.below(4), <[Kind]>::len);
    for index in 0..count {
        let kind = match kinds {
            Some(kinds) => kinds[index],
            None if tape.chance(8) && !scope.columns(Kind::Person).is_empty() => Kind::Person,
            None if tape.chance(8) && !scope.columns(Kind::Texts).is_empty() => Kind::Texts,
            None => scope.kind(tape),
        };
        let depth = if PLAIN.contains(&kind) { 2 } else { 0 };
        items.push(format!("{} AS c{}", scope.value(tape, kind, depth), index + 1));
        drawn.push(kind);
    }
    let distinct = if tape.chance(15) { "DISTINCT " } else { "" };
    let sql = format!("SELECT {distinct}{} FROM {from}{}", items.join(", "), condition(tape, scope));
    Query { sql, kinds: drawn }
}

/// An aggregate that adds exactly, and its type.
fn aggregated(tape: &Tape<'_>, scope: &Scope<'_>) -> (String, Kind) {
    let kind = scope.kind(tape);
    let value = scope.value(tape, kind, 1);
    let filter = if tape.chance(12) {
        format!(" FILTER (WHERE {})", Scope { tables: &[], level: 9, ..scope.clone() }.condition(tape, 0))
    } else {
        String::new()
    };
    let (call, kind) = match (tape.below(7), kind) {
        (0, _) => ("count(*)".to_owned(), Kind::Long),
        (1, _) => (format!("count(DISTINCT {value})"), Kind::Long),
        (2, Kind::Long | Kind::Double | Kind::Decimal) => (format!("sum({value})"), kind),
        (3, Kind::Long | Kind::Double | Kind::Decimal) => (format!("avg({value})"), Kind::Decimal),
        (4, Kind::Bool) => (format!("bool_or({value})"), kind),
        (4, Kind::Text) => (format!("string_agg({value}, ',' ORDER BY {value})"), kind),
        (5, Kind::Long | Kind::Text) => (format!("array_agg({value} ORDER BY {value})"), Kind::Texts),
        (6, kind) if kind != Kind::Bool => (format!("max({value})"), kind),
        (_, kind) if kind != Kind::Bool => (format!("min({value})"), kind),
        _ => (format!("count({value})"), Kind::Long),
    };
    (call + filter.as_str(), kind)
}

fn aggregate(tape: &Tape<'_>, tables: &[Relation]) -> Query {
    let (scope, from) =
        if tape.chance(35) { join(tape, tables) } else { from_one(tape_table(tape, tables), tables) };
    let keys = tape.below(3);
    let (mut items, mut kinds) = (Vec::new(), Vec::new());
    for index in 0..keys {
        let kind = scope.kind(tape);
        // A subquery as a key is another matter.
        let flat = Scope { tables: &[], level: 9, ..scope.clone() };
        items.push(format!("{} AS c{}", flat.value(tape, kind, 1), index + 1));
        kinds.push(kind);
    }
    for index in 0..=tape.below(3) {
        let (call, kind) = aggregated(tape, &Scope { tables: &[], level: 9, ..scope.clone() });
        items.push(format!("{call} AS c{}", keys + index + 1));
        kinds.push(kind);
    }
    let mut sql = format!("SELECT {} FROM {from}{}", items.join(", "), condition(tape, &scope));
    if keys > 0 {
        let positions: Vec<_> = (1..=keys).map(|position| position.to_string()).collect();
        sql = format!("{sql} GROUP BY {}", positions.join(", "));
    }
    if tape.chance(25) {
        sql = format!("{sql} HAVING count(*) {}", tape.one_of(&["> 1", "= 1", "< 20"]));
    }
    Query { sql, kinds }
}

fn window(tape: &Tape<'_>, tables: &[Relation]) -> Query {
    let (scope, from) = from_one(tape_table(tape, tables), tables);
    let flat = Scope { tables: &[], level: 9, ..scope.clone() };
    let mut columns = Vec::new();
    let (mut items, mut kinds) = (Vec::new(), Vec::new());
    for index in 0..3 {
        let kind = scope.kind(tape);
        columns.push(flat.value(tape, kind, usize::from(index < 2)));
        kinds.push(kind);
    }
    let partition = if tape.chance(50) { format!("PARTITION BY {} ", columns[0]) } else { String::new() };
    let direction = tape.one_of(&["", " DESC", " NULLS FIRST"]);
    let over = format!("OVER ({partition}ORDER BY {}{direction})", columns[1]);
    let call = match (tape.below(5), kinds[2]) {
        (0, _) => "rank()".to_owned(),
        (1, _) => "dense_rank()".to_owned(),
        (2, Kind::Long | Kind::Decimal | Kind::Double) => format!("sum({})", columns[2]),
        (3, kind) if kind != Kind::Bool => format!("max({})", columns[2]),
        _ => "count(*)".to_owned(),
    };
    for (index, column) in columns.iter().enumerate() {
        items.push(format!("{column} AS c{}", index + 1));
    }
    items.push(format!("{call} {over} AS c4"));
    // Its type is not one of the columns', and statements around it would have to know it.
    kinds.push(Kind::Long);
    Query { sql: format!("SELECT {} FROM {from}{}", items.join(", "), condition(tape, &scope)), kinds }
}

fn set_operation(tape: &Tape<'_>, tables: &[Relation]) -> Query {
    let kinds: Vec<Kind> = (0..=tape.below(2)).map(|_| tape.one_of(&PLAIN[..4])).collect();
    let left = select(tape, &from_one(tape_table(tape, tables), tables), Some(&kinds));
    let right = select(tape, &from_one(tape_table(tape, tables), tables), Some(&kinds));
    let word = tape.one_of(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
    // In parentheses, so that ORDER BY is that of both.
    Query { sql: format!("SELECT * FROM ({} {word} {}) s", left.sql, right.sql), kinds }
}

/// A query of a query, in FROM or before it.
fn derived(tape: &Tape<'_>, tables: &[Relation]) -> Query {
    let shape = tape.one_of(&[0, 3, 7, 11, 13]);
    let inner = query(tape, tables, shape);
    let names = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];
    let columns: Vec<_> = names.into_iter().zip(inner.kinds.iter().copied()).collect();
    // What has computed types is only counted or passed on.
    let relation = Relation { name: "d", columns: columns.clone() };
    let inner_sql = if tape.chance(30) {
        let keys: Vec<_> = (1..=inner.kinds.len()).map(|position| position.to_string()).collect();
        let sortable = inner.kinds.iter().all(|kind| PLAIN.contains(kind));
        if sortable { format!("{} ORDER BY {} LIMIT 20", inner.sql, keys.join(", ")) } else { inner.sql }
    } else {
        inner.sql
    };
    let scope = Scope::of("d", &relation, tables, 0);
    let plain: Vec<_> = columns.iter().filter(|(_, kind)| PLAIN.contains(kind)).collect();
    let (items, kinds) = if plain.is_empty() || tape.chance(30) {
        ("count(*) AS c1".to_owned(), vec![Kind::Long])
    } else {
        let list: Vec<_> = plain.iter().map(|(name, _)| format!("d.{name}")).collect();
        (list.join(", "), plain.iter().map(|(_, kind)| *kind).collect())
    };
    let condition = condition(tape, &scope);
    let sql = if tape.chance(50) {
        format!("WITH d AS ({inner_sql}) SELECT {items} FROM d{condition}")
    } else {
        format!("SELECT {items} FROM ({inner_sql}) d{condition}")
    };
    Query { sql, kinds }
}
