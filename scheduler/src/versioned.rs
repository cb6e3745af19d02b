//! Older versions, history and changes of tables, by name.
//!
//! What a statement says in one of several ways becomes one name that the governed catalog knows:
//! `silver.t VERSION AS OF 5` is `silver."t@v5"`, `table_changes('silver.t', 2, 5)` is
//! `silver."t@changes(2,5)"`. A name with a version can be written as it is, too, as in Delta's own SQL.

use std::ops::ControlFlow;

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use chrono::{NaiveDateTime, Utc};
use lakeward_catalog::TableVersion;
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Statement, TableAlias,
    TableFactor, Value, VisitMut, VisitorMut,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::{Keyword, RESERVED_FOR_TABLE_ALIAS};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{QueryError, SqlState};

/// Before what a clause or a function asks for. Unseen, so that a table whose own name looks like that
/// of a version of another is not taken for it: names that people write have a plain `@`.
const ASKED: &str = "\u{2063}@";

const HISTORY: &str = "table_history";
const CHANGES: &str = "table_changes";
/// A time in a name: year to millisecond, in UTC.
const TIME_FORMAT: &str = "%Y%m%d%H%M%S%3f";
const TIME_DIGITS: usize = 17;

/// What a name asks for besides a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// The table as it was.
    Version(TableVersion),
    /// Its commits.
    History,
    /// What changed, both versions included.
    Changes { from: u64, to: u64 },
}

impl Request {
    /// Takes a name apart into that of the table and what is asked of it.
    pub(crate) fn of_name(name: &str) -> Option<(&str, Self)> {
        let (table, asked) = name.rsplit_once(ASKED).or_else(|| name.rsplit_once('@'))?;
        if table.is_empty() {
            return None;
        }
        if asked == "history" {
            return Some((table, Self::History));
        }
        if let Some(range) = asked.strip_prefix("changes(").and_then(|range| range.strip_suffix(')')) {
            let (from, to) = range.split_once(',')?;
            return Some((table, Self::Changes { from: from.parse().ok()?, to: to.parse().ok()? }));
        }
        if let Some(version) = asked.strip_prefix('v') {
            let digits = version.bytes().all(|b| b.is_ascii_digit());
            return Some((
                table,
                Self::Version(TableVersion::Number(digits.then(|| version.parse().ok())??)),
            ));
        }
        if asked.len() == TIME_DIGITS {
            let time = NaiveDateTime::parse_from_str(asked, TIME_FORMAT).ok()?.and_utc();
            return Some((table, Self::Version(TableVersion::Time(time))));
        }
        None
    }

    /// Whether the name is one that only a clause or a function makes.
    pub(crate) fn is_asked(name: &str) -> bool {
        name.contains(ASKED)
    }

    fn name(self, table: &str) -> String {
        match self {
            Self::Version(TableVersion::Number(version)) => format!("{table}{ASKED}v{version}"),
            Self::Version(TableVersion::Time(time)) => format!("{table}{ASKED}{}", time.format(TIME_FORMAT)),
            Self::History => format!("{table}{ASKED}history"),
            Self::Changes { from, to } => format!("{table}{ASKED}changes({from},{to})"),
        }
    }
}

/// Parses statements that PostgreSQL's grammar does not have: `VERSION AS OF`, `TIMESTAMP AS OF` and
/// `SYSTEM_TIME AS OF` after a table, each with or without `FOR`. The name of the table then says it.
///
/// Only for what PostgreSQL's own grammar refuses: the words are fine as aliases there.
pub(crate) fn parse(sql: &str, recursion_limit: usize) -> Result<Vec<Statement>, ParserError> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize()?;
    let tokens = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    Parser::new(&dialect)
        .with_recursion_limit(recursion_limit)
        .with_tokens(named_versions(tokens))
        .parse_statements()
}

fn named_versions(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut rest = &tokens[..];
    while let Some((token, after)) = rest.split_first() {
        if let Some((asked, after)) = version_clause(rest)
            && let Some(Token::Word(table)) = kept.last().cloned()
        {
            kept.pop();
            let folded =
                if table.quote_style.is_some() { table.value.clone() } else { table.value.to_lowercase() };
            kept.push(Token::make_word(&format!("{folded}{ASKED}{asked}"), Some('"')));
            let aliased = matches!(after.first(), Some(Token::Word(next))
                if next.keyword == Keyword::AS || !RESERVED_FOR_TABLE_ALIAS.contains(&next.keyword));
            if !aliased {
                kept.extend([Token::make_keyword("AS"), Token::make_word(&folded, Some('"'))]);
            }
            rest = after;
            continue;
        }
        kept.push(token.clone());
        rest = after;
    }
    kept
}

/// The end of a name that says what the clause at the start of `tokens` says, and what follows it.
fn version_clause(tokens: &[Token]) -> Option<(String, &[Token])> {
    let word = |tokens: &[Token], keywords: &[Keyword]| matches!(tokens.first(), Some(Token::Word(word)) if keywords.contains(&word.keyword));
    let tokens = if word(tokens, &[Keyword::FOR]) { &tokens[1..] } else { tokens };
    let by_number = word(tokens, &[Keyword::VERSION]);
    let by_time = word(tokens, &[Keyword::TIMESTAMP, Keyword::SYSTEM_TIME]);
    let as_of = word(tokens.get(1..)?, &[Keyword::AS]) && word(tokens.get(2..)?, &[Keyword::OF]);
    if !as_of || !(by_number || by_time) {
        return None;
    }
    let mut literal = tokens.get(3..)?;
    // `TIMESTAMP '…'` says no more than `'…'`.
    if by_time && word(literal, &[Keyword::TIMESTAMP, Keyword::TIMESTAMPTZ, Keyword::DATE]) {
        literal = &literal[1..];
    }
    match literal.split_first()? {
        (Token::Number(version, _), after)
            if by_number && version.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some((format!("v{version}"), after))
        }
        (Token::SingleQuotedString(time), after) if by_time => Some((format!("'{time}'"), after)),
        _ => None,
    }
}

/// Puts names in the place of versions and table functions. `zone` is the session's time zone.
pub(crate) fn rewrite(statement: &mut Statement, zone: Option<&str>) -> Result<(), QueryError> {
    let zone = zone.unwrap_or("+00:00").parse().map_err(|_| {
        QueryError::new(SqlState::InvalidParameterValue, "the session's time zone is not known")
    })?;
    match VisitMut::visit(statement, &mut Rewriter { zone }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter {
    zone: Tz,
}

impl VisitorMut for Rewriter {
    type Break = QueryError;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        match self.factor(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rewriter {
    fn factor(&self, factor: &mut TableFactor) -> Result<(), QueryError> {
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                if let Some(function) = args.as_ref().and_then(|_| function_name(name)) {
                    let found = args.as_ref().map(|args| &args.args[..]).unwrap_or_default();
                    *name = self.function(function, found)?;
                    *args = None;
                    alias.get_or_insert_with(|| named(function));
                }
                if let Some(end) = last(name).and_then(|table| table.value.strip_suffix('\''))
                    && let Some((table, time)) =
                        end.split_once(&format!("{ASKED}'")).or_else(|| end.split_once("@'"))
                {
                    let time = string_to_datetime(&self.zone, time).map_err(|_| {
                        QueryError::new(
                            SqlState::InvalidParameterValue,
                            "the time of a table version is a literal, such as '2026-01-31 12:00:00'",
                        )
                    })?;
                    let request = Request::Version(TableVersion::Time(time.with_timezone(&Utc)));
                    let named = request.name(table);
                    set_last(name, named);
                }
            }
            TableFactor::Function { name, args, alias, lateral: false, .. } => {
                if let Some(function) = function_name(name) {
                    let name = self.function(function, args)?;
                    let alias = alias.take().unwrap_or_else(|| named(function));
                    *factor = table(name, alias);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn function(&self, function: &str, args: &[FunctionArg]) -> Result<ObjectName, QueryError> {
        let usage = || {
            let usage = match function {
                HISTORY => "table_history('schema.table')",
                _ => "table_changes('schema.table', first_version, last_version)",
            };
            QueryError::new(
                SqlState::UndefinedFunction,
                format!("{function} takes literal arguments: {usage}"),
            )
        };
        let values = args.iter().map(literal).collect::<Option<Vec<_>>>().ok_or_else(usage)?;
        let (table, request) = match (function, &values[..]) {
            (HISTORY, [Value::SingleQuotedString(table)]) => (table, Request::History),
            (CHANGES, [Value::SingleQuotedString(table), Value::Number(from, _), Value::Number(to, _)]) => {
                let number = |text: &String| text.parse::<u64>().map_err(|_| usage());
                (table, Request::Changes { from: number(from)?, to: number(to)? })
            }
            _ => return Err(usage()),
        };
        let mut name = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(table)
            .and_then(|mut parser| {
                let name = parser.parse_object_name(false)?;
                parser.expect_token(&Token::EOF)?;
                Ok(name)
            })
            .map_err(|_| usage())?;
        let table = folded(last(&name).ok_or_else(usage)?);
        set_last(&mut name, request.name(&table));
        Ok(name)
    }
}

fn function_name(name: &ObjectName) -> Option<&'static str> {
    match &name.0[..] {
        [ObjectNamePart::Identifier(only)] => {
            [HISTORY, CHANGES].into_iter().find(|function| only.value.eq_ignore_ascii_case(function))
        }
        _ => None,
    }
}

fn literal(argument: &FunctionArg) -> Option<Value> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => Some(value.value.clone()),
        _ => None,
    }
}

fn last(name: &ObjectName) -> Option<&Ident> {
    match name.0.last()? {
        ObjectNamePart::Identifier(ident) => Some(ident),
        ObjectNamePart::Function(_) => None,
    }
}

fn set_last(name: &mut ObjectName, value: String) {
    if let Some(part) = name.0.last_mut() {
        *part = ObjectNamePart::Identifier(Ident::with_quote('"', value));
    }
}

/// An identifier as PostgreSQL reads it.
fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn named(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None }
}

fn table(name: ObjectName, alias: TableAlias) -> TableFactor {
    TableFactor::Table {
        name,
        alias: Some(alias),
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn rewritten(sql: &str) -> String {
        let mut statement = parse(sql, 50).unwrap().remove(0);
        rewrite(&mut statement, Some("Europe/London")).unwrap();
        assert!(statement.to_string().contains(ASKED), "{statement}");
        statement.to_string().replace(ASKED, "@")
    }

    #[test]
    fn every_spelling_becomes_one_name() {
        for (sql, table) in [
            ("SELECT * FROM silver.t VERSION AS OF 5", r#"silver."t@v5" AS "t""#),
            ("SELECT * FROM Silver.T FOR VERSION AS OF 5 AS x", r#"Silver."t@v5" AS x"#),
            ("SELECT * FROM t TIMESTAMP AS OF '2026-07-01 12:00:00'", r#""t@20260701110000000" AS "t""#),
            ("SELECT * FROM t FOR TIMESTAMP AS OF '2026-07-01T12:00:00Z'", r#""t@20260701120000000" AS "t""#),
            (
                "SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01'",
                r#""t@20260101000000000" AS "t""#,
            ),
            ("SELECT * FROM table_history('silver.t')", r#"silver."t@history" AS table_history"#),
            (r#"SELECT * FROM table_changes('"S"."T"', 1, 3) c"#, r#""S"."T@changes(1,3)" c"#),
        ] {
            assert_eq!(rewritten(sql), format!("SELECT * FROM {table}"), "{sql}");
        }
    }

    #[test]
    fn names_are_taken_apart_as_they_were_put_together() {
        let time = chrono::DateTime::parse_from_rfc3339("2026-07-01T11:00:00.25Z").unwrap().to_utc();
        for request in [
            Request::Version(TableVersion::Number(0)),
            Request::Version(TableVersion::Time(time)),
            Request::History,
            Request::Changes { from: 2, to: u64::MAX },
        ] {
            assert_eq!(Request::of_name(&request.name("a@b")), Some(("a@b", request)));
        }
        for name in ["t", "t@", "@v1", "t@v", "t@v-1", "t@vx", "t@changes(1)", "t@changes(1,x)", "t@2026"] {
            assert_eq!(Request::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        for sql in [
            "SELECT * FROM t TIMESTAMP AS OF now()",
            "SELECT * FROM t TIMESTAMP AS OF 'yesterday'",
            "SELECT * FROM table_history(t)",
            "SELECT * FROM table_changes('t', -1, 2)",
            "SELECT * FROM table_changes('t; DROP', 1, 2)",
            "SELECT * FROM t VERSION AS OF 1.5",
        ] {
            let refused = match parse(sql, 50) {
                Ok(mut statements) => rewrite(&mut statements[0], None).is_err(),
                Err(_) => true,
            };
            assert!(refused, "{sql}");
        }
    }
}
