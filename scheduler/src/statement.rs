//! The statements that are let in, and what each of them is. Everything else is refused by name.

use std::ops::ControlFlow;
use std::sync::Arc;

use lakeward_policy::mutation::{Mutation, active};
use sha2::{Digest, Sha256};
use sqlparser::ast::{
    self, AnalyzeFormat, AnalyzeFormatKind, CloseCursor, DiscardObject, Expr, Ident, ObjectName, Query,
    Reset, Set, SetExpr, SetOperator, SetQuantifier, TableFactor, Value, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::error::{QueryError, SqlState};
use crate::failure;
use crate::policy_statement::{self, PolicyStatement};
use crate::versioned;

/// Statement texts longer than this are refused before they are parsed.
const MAXIMUM_TEXT: usize = 1 << 20;

/// Depth of nested expressions and queries the parser follows.
const RECURSION_LIMIT: usize = 50;

/// One parsed, allowed and classified statement, not yet planned.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) kind: Arc<Kind>,
    text: Arc<str>,
}

/// What a statement asks for.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Rows.
    Query(Box<ast::Statement>),
    /// How rows would be read.
    Explain { statement: Box<ast::Statement>, analyze: bool, verbose: bool },
    /// The value of one setting, or of all.
    Show(Option<String>),
    /// `SET name = value`; None means DEFAULT.
    Set { name: String, value: Option<String> },
    /// `RESET name`, or all.
    Reset(Option<String>),
    /// BEGIN or START TRANSACTION.
    Begin { tag: &'static str },
    /// COMMIT or END.
    Commit,
    /// ROLLBACK or ABORT.
    Rollback,
    /// Accepted and without effect on a read-only service: the command tag.
    Nothing(&'static str),
    /// DISCARD ALL.
    DiscardAll,
    /// DEALLOCATE; None means ALL.
    Deallocate(Option<String>),
    /// CLOSE; None means ALL.
    Close(Option<String>),
    /// Policies changed, listed or explained.
    Policy(Box<PolicyStatement>),
}

impl Statement {
    /// The statement as the user wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text, hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(self.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Schema, where it says one, and name of each relation that it names.
    pub(crate) fn tables(&self) -> Vec<(Option<String>, String)> {
        let (Kind::Query(statement) | Kind::Explain { statement, .. }) = &*self.kind else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        let _ = ast::visit_relations(statement.as_ref(), |name| {
            let parts: Vec<String> =
                name.0.iter().filter_map(|part| part.as_ident()).map(identifier).collect();
            if let Some((table, before)) = parts.split_last() {
                tables.push((before.last().cloned(), table.clone()));
                if let Some((table, _)) = versioned::Request::of_name(table) {
                    tables.push((before.last().cloned(), table.to_owned()));
                }
            }
            ControlFlow::<()>::Continue(())
        });
        tables
    }

    /// Whether it may run in a transaction that has failed.
    pub(crate) fn ends_transaction(&self) -> bool {
        matches!(*self.kind, Kind::Commit | Kind::Rollback)
    }

    /// Splits a message into statements and refuses what is not on the list.
    pub(crate) fn parse_all(sql: &str) -> Result<Vec<Self>, QueryError> {
        if sql.len() > MAXIMUM_TEXT {
            return Err(QueryError::new(
                SqlState::ProgramLimitExceeded,
                "the statement is longer than 1 MiB",
            ));
        }
        match policy_statement::pieces(sql) {
            // They are in no grammar of the parser's, so a message that holds one is split first.
            Some(pieces) => {
                let mut all = Vec::with_capacity(pieces.len());
                for piece in &pieces {
                    if piece.is_about_policies() {
                        let kind = Kind::Policy(Box::new(policy_statement::parse(piece)?));
                        all.push(Self { kind: Arc::new(kind), text: Arc::from(piece.text()) });
                    } else {
                        all.extend(Self::parse_queries(piece.text()).map_err(|error| piece.placed(error))?);
                    }
                }
                Ok(all)
            }
            None => Self::parse_queries(sql),
        }
    }

    fn parse_queries(sql: &str) -> Result<Vec<Self>, QueryError> {
        let dialect = PostgreSqlDialect {};
        let statements = Parser::new(&dialect)
            .with_recursion_limit(RECURSION_LIMIT)
            .try_with_sql(sql)
            .and_then(|mut parser| parser.parse_statements())
            // Versions of tables are no part of PostgreSQL's grammar, and their words fine aliases in it.
            .or_else(|error| versioned::parse(sql, RECURSION_LIMIT).map_err(|_| error))
            .map_err(|error| match error {
                sqlparser::parser::ParserError::RecursionLimitExceeded => {
                    QueryError::new(SqlState::ProgramLimitExceeded, "the statement nests too deeply")
                }
                other => failure::syntax(&other.to_string()),
            })?;
        let alone = statements.len() == 1;
        statements
            .into_iter()
            .map(|statement| {
                let text = if alone { sql.trim().to_owned() } else { statement.to_string() };
                Ok(Self { kind: Arc::new(classify(statement)?), text: Arc::from(text) })
            })
            .collect()
    }
}

fn classify(statement: ast::Statement) -> Result<Kind, QueryError> {
    Ok(match statement {
        ast::Statement::Query(query) => {
            check_query(&query)?;
            Kind::Query(Box::new(ast::Statement::Query(query)))
        }
        ast::Statement::Explain { analyze, verbose, statement, format, options, .. } => {
            explain(analyze, verbose, *statement, format.as_ref(), options.unwrap_or_default())?
        }
        ast::Statement::ShowVariable { variable } => show(&variable),
        ast::Statement::Set(set) => assignment(set)?,
        ast::Statement::Reset(reset) => match reset.reset {
            Reset::ALL => Kind::Reset(None),
            Reset::ConfigurationParameter(name) => Kind::Reset(Some(setting_name(&name))),
        },
        ast::Statement::StartTransaction { begin, statements, .. } if statements.is_empty() => {
            Kind::Begin { tag: if begin { "BEGIN" } else { "START TRANSACTION" } }
        }
        ast::Statement::Commit { .. } => Kind::Commit,
        ast::Statement::Rollback { savepoint: None, .. } => Kind::Rollback,
        ast::Statement::Rollback { savepoint: Some(_), .. } => Kind::Nothing("ROLLBACK"),
        ast::Statement::Savepoint { .. } => Kind::Nothing("SAVEPOINT"),
        ast::Statement::ReleaseSavepoint { .. } => Kind::Nothing("RELEASE"),
        ast::Statement::Discard { object_type: DiscardObject::ALL } => Kind::DiscardAll,
        ast::Statement::Discard { .. } => Kind::Nothing("DISCARD"),
        ast::Statement::Deallocate { name, .. } => {
            Kind::Deallocate((!name.value.eq_ignore_ascii_case("all")).then(|| identifier(&name)))
        }
        ast::Statement::Close { cursor: CloseCursor::All } => Kind::Close(None),
        ast::Statement::Close { cursor: CloseCursor::Specific { name } } => {
            Kind::Close(Some(identifier(&name)))
        }
        ast::Statement::UNLISTEN { .. } => Kind::Nothing("UNLISTEN"),
        other => return Err(refused(&other)),
    })
}

/// The first words say what was refused; nothing of the rest is repeated.
fn refused(statement: &ast::Statement) -> QueryError {
    let text = statement.to_string();
    let words: Vec<&str> = text
        .split_whitespace()
        .take_while(|word| word.bytes().all(|b| b.is_ascii_uppercase()))
        .take(2)
        .collect();
    let words = if words.is_empty() { "this statement".to_owned() } else { words.join(" ") };
    let state = match statement {
        ast::Statement::Insert(_)
        | ast::Statement::Update(_)
        | ast::Statement::Delete(_)
        | ast::Statement::Merge(_) => SqlState::ReadOnlyTransaction,
        _ => SqlState::FeatureNotSupported,
    };
    QueryError::new(state, format!("{words} is not supported: sessions read, they do not change anything"))
}

fn explain(
    analyze: bool,
    verbose: bool,
    statement: ast::Statement,
    format: Option<&AnalyzeFormatKind>,
    options: Vec<ast::UtilityOption>,
) -> Result<Kind, QueryError> {
    let (mut analyze, mut verbose) = (analyze, verbose);
    let text_only = || QueryError::new(SqlState::FeatureNotSupported, "EXPLAIN answers in FORMAT TEXT only");
    match format {
        None
        | Some(
            AnalyzeFormatKind::Keyword(AnalyzeFormat::TEXT)
            | AnalyzeFormatKind::Assignment(AnalyzeFormat::TEXT),
        ) => {}
        Some(_) => return Err(text_only()),
    }
    for option in options {
        let argument = option.arg.as_ref().map(ToString::to_string).unwrap_or_default().to_ascii_lowercase();
        let on = !matches!(argument.as_str(), "false" | "off" | "0");
        match option.name.value.to_ascii_lowercase().as_str() {
            "analyze" => analyze = on,
            "verbose" => verbose = on,
            "format" if argument == "text" => {}
            "format" => return Err(text_only()),
            "costs" | "buffers" | "timing" | "summary" | "settings" | "wal" => {}
            _ => return Err(QueryError::new(SqlState::SyntaxError, "unrecognized EXPLAIN option")),
        }
    }
    match statement {
        ast::Statement::Query(query) => {
            check_query(&query)?;
            Ok(Kind::Explain { statement: Box::new(ast::Statement::Query(query)), analyze, verbose })
        }
        other => Err(refused(&other)),
    }
}

fn show(variable: &[Ident]) -> Kind {
    let words: Vec<String> = variable.iter().map(|ident| ident.value.to_ascii_lowercase()).collect();
    match words.join(" ").as_str() {
        "all" => Kind::Show(None),
        "transaction isolation level" => Kind::Show(Some("transaction_isolation".to_owned())),
        "time zone" => Kind::Show(Some("timezone".to_owned())),
        "session authorization" => Kind::Show(Some("session_authorization".to_owned())),
        _ => Kind::Show(Some(words.join("."))),
    }
}

fn assignment(set: Set) -> Result<Kind, QueryError> {
    Ok(match set {
        Set::SingleAssignment { variable, values, .. } => {
            let values: Vec<String> = values.iter().map(setting_value).collect::<Result<_, _>>()?;
            let default = matches!(values.as_slice(), [one] if one.eq_ignore_ascii_case("default"));
            Kind::Set { name: setting_name(&variable), value: (!default).then(|| values.join(", ")) }
        }
        Set::SetTimeZone { value, .. } => {
            let value = setting_value(&value)?;
            let default = matches!(value.to_ascii_lowercase().as_str(), "default" | "local");
            Kind::Set { name: "timezone".to_owned(), value: (!default).then_some(value) }
        }
        Set::SetNames { charset_name, .. } => {
            Kind::Set { name: "client_encoding".to_owned(), value: Some(charset_name.value) }
        }
        Set::SetNamesDefault {} => Kind::Set { name: "client_encoding".to_owned(), value: None },
        // Every statement reads one version of each table; the asked level is met or exceeded.
        Set::SetTransaction { .. } => Kind::Nothing("SET"),
        Set::SetRole { .. } | Set::SetSessionAuthorization(_) => {
            return Err(QueryError::new(
                SqlState::InsufficientPrivilege,
                "roles are bound at login and cannot be changed in a session",
            ));
        }
        _ => return Err(QueryError::new(SqlState::FeatureNotSupported, "this form of SET is not supported")),
    })
}

/// A setting's name in lower case, parts joined by dots.
fn setting_name(name: &ObjectName) -> String {
    let parts: Vec<String> = name
        .0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| ident.value.to_ascii_lowercase())
        .collect();
    parts.join(".")
}

fn setting_value(value: &Expr) -> Result<String, QueryError> {
    match value {
        Expr::Value(value) => Ok(match &value.value {
            Value::SingleQuotedString(text)
            | Value::DoubleQuotedString(text)
            | Value::EscapedStringLiteral(text) => text.clone(),
            other => other.to_string(),
        }),
        Expr::Identifier(ident) => Ok(ident.value.clone()),
        Expr::UnaryOp { .. } => Ok(value.to_string()),
        Expr::Interval(_) => Ok(value.to_string()),
        _ => Err(QueryError::new(SqlState::SyntaxError, "a setting's value is a literal or a name")),
    }
}

fn identifier(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

/// Refuses what hides inside a query: writes, locks, and clauses the engine would parse and ignore.
fn check_query(query: &Query) -> Result<(), QueryError> {
    match Visit::visit(query, &mut QueryCheck) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct QueryCheck;

impl Visitor for QueryCheck {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        if !query.locks.is_empty() {
            return ControlFlow::Break(QueryError::new(
                SqlState::ReadOnlyTransaction,
                "FOR UPDATE and FOR SHARE are not supported: nothing here can be locked",
            ));
        }
        check_body(&query.body)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        // The engine parses TABLESAMPLE and then reads the whole table: a wrong answer.
        let sampled = matches!(
            factor,
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. }
        );
        if sampled && !active(Mutation::StatementListOff) {
            return ControlFlow::Break(QueryError::new(
                SqlState::FeatureNotSupported,
                "TABLESAMPLE is not supported",
            ));
        }
        if matches!(factor, TableFactor::Table { version: Some(_), .. }) {
            return ControlFlow::Break(QueryError::new(
                SqlState::FeatureNotSupported,
                "reading older table versions is not supported",
            ));
        }
        ControlFlow::Continue(())
    }
}

fn check_body(body: &SetExpr) -> ControlFlow<QueryError> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => ControlFlow::Break(QueryError::new(
            SqlState::ReadOnlyTransaction,
            "SELECT INTO is not supported: sessions read, they do not change anything",
        )),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            ControlFlow::Break(QueryError::new(
                SqlState::ReadOnlyTransaction,
                "statements that change data are not supported: sessions read, they do not change anything",
            ))
        }
        // The engine looks whether a row is on the other side, not how often: a wrong answer.
        SetExpr::SetOperation {
            op: SetOperator::Except | SetOperator::Minus | SetOperator::Intersect,
            set_quantifier: SetQuantifier::All | SetQuantifier::AllByName,
            ..
        } => ControlFlow::Break(QueryError::new(
            SqlState::FeatureNotSupported,
            "EXCEPT ALL and INTERSECT ALL are not supported",
        )),
        SetExpr::SetOperation { left, right, .. } => {
            check_body(left)?;
            check_body(right)
        }
        _ => ControlFlow::Continue(()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn code(sql: &str) -> &'static str {
        Statement::parse_all(sql).map(|_| ()).unwrap_err().state.code()
    }

    #[test]
    fn only_what_reads_is_let_in() {
        for (sql, expected) in [
            ("INSERT INTO t VALUES (1)", "25006"),
            ("UPDATE t SET a = 1", "25006"),
            ("DELETE FROM t", "25006"),
            ("CREATE TABLE t (a int)", "0A000"),
            ("CREATE VIEW v AS SELECT 1", "0A000"),
            ("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'", "0A000"),
            ("COPY t TO '/tmp/x'", "0A000"),
            ("COPY (SELECT 1) TO STDOUT", "0A000"),
            ("DROP TABLE t", "0A000"),
            ("GRANT SELECT ON t TO x", "42601"),
            ("CREATE POLICY p ON t USING (true)", "0A000"),
            ("EXPLAIN GRANT SELECT ON s.t TO x", "0A000"),
            ("SELECT * INTO t2 FROM t", "25006"),
            ("SELECT * FROM t FOR UPDATE", "25006"),
            ("SELECT * FROM t TABLESAMPLE BERNOULLI (10)", "0A000"),
            ("SELECT * FROM (SELECT * FROM t TABLESAMPLE SYSTEM (1)) x", "0A000"),
            ("SELECT a FROM t EXCEPT ALL SELECT a FROM u", "0A000"),
            (
                "SELECT 1 WHERE EXISTS (SELECT a FROM t UNION (SELECT 1 INTERSECT ALL SELECT a FROM u))",
                "0A000",
            ),
            ("WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x", "25006"),
            ("SET ROLE steward", "42501"),
            ("SET SESSION AUTHORIZATION stella", "42501"),
            ("EXPLAIN INSERT INTO t VALUES (1)", "25006"),
            ("EXPLAIN (FORMAT JSON) SELECT 1", "0A000"),
            ("SELEC 1", "42601"),
        ] {
            assert_eq!(code(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_message_is_split_into_its_statements() {
        let all = Statement::parse_all("SET a = 1; SELECT 1;; SHOW timezone").unwrap();
        assert_eq!(all.len(), 3);
        assert!(matches!(&*all[2].kind, Kind::Show(Some(name)) if name == "timezone"));
        assert!(Statement::parse_all(" ; ").unwrap().is_empty());
        assert!(Statement::parse_all("").unwrap().is_empty());
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(matches!(code(&deep), "54000" | "42601"));
    }
}
