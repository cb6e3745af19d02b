//! From the engine's errors to what a user is told.
//!
//! The engine's texts may quote stored values, file paths and internals, so of an error at run time
//! only its class survives. An error at planning time has seen no data: it may repeat names that the
//! user wrote.

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use lakeward_catalog::data_file_error;
use lakeward_policy::mutation::{Mutation, active};
use lakeward_policy::view::ViewFailed;
use lakeward_policy::{NO_FUNCTION, NO_OPERATOR, NotVerified, ScanFailed};

use crate::error::{QueryError, SqlState};
use crate::governed::Unavailable;
use crate::pg_catalog::RewriteError;

/// What to tell about a statement that could not be planned.
pub(crate) fn planning(error: &DataFusionError) -> QueryError {
    match root(error) {
        DataFusionError::SQL(parser, _) => syntax(&parser.to_string()),
        DataFusionError::SchemaError(problem, _) => schema(problem),
        DataFusionError::Plan(message) => plan_message(message),
        DataFusionError::NotImplemented(message) => {
            QueryError::new(SqlState::FeatureNotSupported, first_sentence(message))
        }
        DataFusionError::Configuration(message) => {
            QueryError::new(SqlState::InvalidParameterValue, first_sentence(message))
        }
        // Literals are folded while planning, so these come from what the user wrote.
        other => execution(other),
    }
}

/// What to tell about a statement that failed while it ran.
pub(crate) fn execution(error: &DataFusionError) -> QueryError {
    let told = fixed_text(error);
    if active(Mutation::RawErrors) { QueryError { message: error.to_string(), ..told } } else { told }
}

fn fixed_text(error: &DataFusionError) -> QueryError {
    match root(error) {
        DataFusionError::ArrowError(error, _) => arrow(error),
        DataFusionError::ResourcesExhausted(message) => {
            tracing::warn!(reason = message, "a statement ran out of memory or spill space");
            out_of_memory()
        }
        DataFusionError::Internal(message) if message.contains("no data to spill") => out_of_memory(),
        DataFusionError::External(source) => external(source.as_ref()),
        DataFusionError::Execution(message) => execution_message(message),
        DataFusionError::NotImplemented(_) => QueryError::new(
            SqlState::FeatureNotSupported,
            "the statement needs something that is not supported",
        ),
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
            tracing::error!(kind = kind(root(error)), "reading or spilling failed");
            QueryError::new(SqlState::IoError, "a file could not be read or written")
        }
        other => {
            tracing::error!(kind = kind(other), "a statement failed inside the engine");
            QueryError::new(SqlState::InternalError, "internal error; the log of the service says more")
        }
    }
}

/// The class of an engine error, for logs: its text may quote a literal or a stored value.
fn kind(error: &DataFusionError) -> &'static str {
    match error {
        DataFusionError::ParquetError(_) => "parquet",
        DataFusionError::ObjectStore(_) => "object store",
        DataFusionError::IoError(_) => "input or output",
        DataFusionError::Internal(_) => "internal",
        DataFusionError::Plan(_) => "plan",
        DataFusionError::ExecutionJoin(_) => "a task that panicked or was aborted",
        _ => "other",
    }
}

fn out_of_memory() -> QueryError {
    QueryError::new(SqlState::OutOfMemory, "out of memory")
        .with_hint("Read fewer columns or rows, or ask the operator for a larger execution.memory_limit.")
}

/// Unwraps context, sharing and collections; wrapped External errors too.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, root),
        DataFusionError::External(source) => match source.downcast_ref::<DataFusionError>() {
            Some(inner) => root(inner),
            None => error,
        },
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            ArrowError::ExternalError(source) => match source.downcast_ref::<DataFusionError>() {
                Some(inner) => root(inner),
                None => error,
            },
            _ => error,
        },
        other => other,
    }
}

fn external(source: &(dyn std::error::Error + Send + Sync + 'static)) -> QueryError {
    if let Some(error) = source.downcast_ref::<QueryError>() {
        return error.clone();
    }
    if let Some(problem) = source.downcast_ref::<NotVerified>() {
        tracing::error!(reason = problem.reason, "a plan was not verified and did not run");
        return unverified();
    }
    if let Some(ScanFailed { table, store_failed: true }) = source.downcast_ref::<ScanFailed>() {
        return QueryError::new(SqlState::IoError, format!("table \"{table}\" cannot be read now"))
            .with_hint("Its store does not give the data; the operator's log says why. Try again later. Nothing partial is shown as complete.");
    }
    if let Some(ViewFailed { view }) = source.downcast_ref::<ViewFailed>() {
        return QueryError::new(
            SqlState::ObjectNotInPrerequisiteState,
            format!("view \"{view}\" cannot be computed"),
        )
        .with_hint("Its query fails on what it reads; the operator's log says more.");
    }
    if let Some(failed) = source.downcast_ref::<ScanFailed>() {
        return unreadable(&failed.table);
    }
    if let Some(damaged) = data_file_error(source) {
        tracing::error!(table = damaged.table, reason = %damaged.source, "a table cannot be read");
        return unreadable(&damaged.table);
    }
    if let Some(refusal) = source.downcast_ref::<RewriteError>() {
        return refused(refusal);
    }
    if let Some(unavailable) = source.downcast_ref::<Unavailable>() {
        return unavailable.to_error();
    }
    tracing::error!("a statement failed with an error of an unknown kind");
    QueryError::new(SqlState::InternalError, "internal error; the log of the service says more")
}

/// A data file is missing or damaged.
fn unreadable(table: &str) -> QueryError {
    QueryError::new(SqlState::DataCorrupted, format!("table \"{table}\" cannot be read"))
        .with_hint("A data file is missing or damaged; the operator's log names it. Nothing partial is shown as complete.")
}

/// The answer to a statement whose work panicked; the panic itself was logged where it happened.
pub(crate) fn panicked() -> QueryError {
    tracing::error!("a statement was ended by a panic");
    QueryError::new(SqlState::InternalError, "internal error; the log of the service says more")
}

/// What the PostgreSQL compatibility layer refused.
pub(crate) fn refused(refusal: &RewriteError) -> QueryError {
    QueryError::new(refusal.state, refusal.message.clone())
}

/// The one answer to any plan that could not be proved governed.
pub(crate) fn unverified() -> QueryError {
    QueryError::new(SqlState::FeatureNotSupported, "this statement cannot be verified against the policies")
        .with_hint("Write it with plain SELECT, JOIN, WHERE, GROUP BY, ORDER BY and set operations.")
}

fn arrow(error: &ArrowError) -> QueryError {
    match error {
        ArrowError::DivideByZero => QueryError::new(SqlState::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(_) => {
            QueryError::new(SqlState::NumericValueOutOfRange, "value out of range")
        }
        ArrowError::CastError(_) | ArrowError::ParseError(_) => QueryError::new(
            SqlState::InvalidTextRepresentation,
            "invalid input syntax: a value cannot be converted to the type asked for",
        ),
        ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => {
            QueryError::new(SqlState::ProgramLimitExceeded, "a value or an array became too large")
        }
        ArrowError::NotYetImplemented(_) => QueryError::new(
            SqlState::FeatureNotSupported,
            "the statement needs something that is not supported",
        ),
        ArrowError::IoError(_, _) => {
            QueryError::new(SqlState::IoError, "a file could not be read or written")
        }
        _ => QueryError::new(SqlState::DataException, "a value is not valid for the operation asked for"),
    }
}

fn execution_message(message: &str) -> QueryError {
    let lower = message.to_ascii_lowercase();
    if lower.contains("division by zero") || lower.contains("divide by zero") {
        QueryError::new(SqlState::DivisionByZero, "division by zero")
    } else if lower.contains("more than one row") || lower.contains("at most one row") {
        QueryError::new(
            SqlState::CardinalityViolation,
            "more than one row returned by a subquery used as an expression",
        )
    } else if lower.contains("no data to spill") {
        // The engine's sort-merge and hash joins say so where the memory pool is exhausted.
        out_of_memory()
    } else if lower.contains("overflow") {
        QueryError::new(SqlState::NumericValueOutOfRange, "value out of range")
    } else {
        tracing::debug!("a statement failed on a value");
        QueryError::new(SqlState::DataException, "a value is not valid for the operation asked for")
    }
}

fn schema(problem: &SchemaError) -> QueryError {
    match problem {
        SchemaError::FieldNotFound { field, .. } => {
            let name = field.relation.as_ref().map_or_else(
                || format!("\"{}\"", field.name),
                |relation| format!("{}.{}", relation.table(), field.name),
            );
            QueryError::new(SqlState::UndefinedColumn, format!("column {name} does not exist"))
        }
        SchemaError::AmbiguousReference { field } => QueryError::new(
            SqlState::AmbiguousColumn,
            format!("column reference \"{}\" is ambiguous", field.name),
        ),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            QueryError::new(SqlState::AmbiguousColumn, format!("column \"{name}\" appears more than once"))
                .with_hint("Give each column a name of its own with AS.")
        }
    }
}

/// The engine's planning texts that have an SQLSTATE of their own.
fn plan_message(message: &str) -> QueryError {
    let text = first_sentence(message);
    if let Some(name) =
        quoted_after(message, "table '").or_else(|| quoted_after(message, "table reference '"))
    {
        return missing_relation(name);
    }
    for (start, what) in [(NO_OPERATOR, "operator"), (NO_FUNCTION, "function")] {
        if text.starts_with(start) {
            return QueryError::new(SqlState::UndefinedFunction, text).with_hint(format!(
                "No {what} matches the given name and argument types. You might need to add explicit type casts."
            ));
        }
    }
    let lower = text.to_ascii_lowercase();
    // One line for each form of the function, in the engine's words.
    if lower.contains("failed to match any signature") {
        let name = quoted_after(message, "Function '").unwrap_or_default();
        return QueryError::new(
            SqlState::UndefinedFunction,
            format!("function {name} does not exist for arguments of these types"),
        )
        .with_hint("You might need to add explicit type casts.");
    }
    if let Some(name) =
        quoted_after(message, "table function '").or_else(|| quoted_after(message, "Table function '"))
    {
        return QueryError::new(SqlState::UndefinedFunction, format!("function {name} does not exist"));
    }
    if lower.starts_with("invalid function '") {
        let name = quoted_after(message, "Invalid function '").unwrap_or_default();
        return QueryError::new(SqlState::UndefinedFunction, format!("function {name} does not exist"));
    }
    let state = if lower.contains("no function matches")
        || lower.contains("does not support zero arguments")
        || lower.contains("failed to coerce arguments")
    {
        SqlState::UndefinedFunction
    } else if lower.contains("group by") && lower.contains("aggregate") {
        SqlState::GroupingError
    } else if lower.contains("cannot coerce")
        || lower.contains("cannot infer common")
        || lower.contains("type mismatch")
    {
        SqlState::DatatypeMismatch
    } else if lower.contains("more than one row") {
        SqlState::CardinalityViolation
    } else if lower.contains("placeholder") {
        SqlState::IndeterminateDatatype
    } else {
        SqlState::SyntaxOrAccessRule
    };
    QueryError::new(state, text)
}

/// The one text for tables that do not exist and for tables that may not be seen.
pub(crate) fn missing_relation(reference: &str) -> QueryError {
    let parts: Vec<&str> = reference.split('.').collect();
    let shown = match parts.as_slice() {
        [_, schema, table] if *schema != crate::governed::SEARCH_PATH => format!("{schema}.{table}"),
        [.., table] => (*table).to_owned(),
        [] => reference.to_owned(),
    };
    QueryError::new(SqlState::UndefinedTable, format!("relation \"{shown}\" does not exist"))
}

/// A parser's complaint, with the position in it as PostgreSQL reports it.
pub(crate) fn syntax(message: &str) -> QueryError {
    let text = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let (text, place) = match text.rfind(" at Line: ") {
        Some(start) => (&text[..start], Some(&text[start..])),
        None => (text, None),
    };
    let near = text.split_once("found: ").map(|(_, token)| token.trim());
    let shown = match near {
        Some("EOF") => "syntax error at end of input".to_owned(),
        Some(token) => format!("syntax error at or near \"{token}\""),
        None => format!("syntax error: {text}"),
    };
    let mut error = QueryError::new(SqlState::SyntaxError, shown);
    if let Some((expected, _)) = text.split_once(", found: ") {
        error = error.with_hint(expected.to_owned());
    }
    error.position = place
        .and_then(line_and_column)
        .map(|(line, column)| if line == 1 { column } else { 0 })
        .filter(|p| *p > 0);
    error
}

fn line_and_column(place: &str) -> Option<(usize, usize)> {
    let (line, column) = place.strip_prefix(" at Line: ")?.split_once(", Column: ")?;
    Some((line.trim().parse().ok()?, column.trim().parse().ok()?))
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    let rest = &message[message.find(start)? + start.len()..];
    Some(&rest[..rest.find('\'')?])
}

/// What went wrong, without hints made of other names.
fn first_sentence(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(" Did you mean").next().unwrap_or(line);
    let line = line.split("Valid fields are").next().unwrap_or(line);
    line.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_time_errors_never_quote_a_value() {
        let secret = "Mrs Surname 999 123";
        for error in [
            DataFusionError::Execution(format!("cannot parse '{secret}'")),
            DataFusionError::ArrowError(
                Box::new(ArrowError::CastError(format!("Cannot cast string '{secret}'"))),
                None,
            ),
            DataFusionError::ArrowError(Box::new(ArrowError::InvalidArgumentError(secret.to_owned())), None),
            DataFusionError::Internal(secret.to_owned()),
            DataFusionError::Context(
                secret.to_owned(),
                Box::new(DataFusionError::Internal(secret.to_owned())),
            ),
            DataFusionError::ResourcesExhausted(secret.to_owned()),
        ] {
            let told = execution(&error);
            assert!(!format!("{told:?}").contains("999"), "{told}");
        }
    }

    #[test]
    fn classes_have_the_sqlstates_of_postgresql() {
        let cases = [
            (DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None), "22012"),
            (DataFusionError::Plan("table 'lakeward.silver.nothing' not found".to_owned()), "42P01"),
            (DataFusionError::Plan("Invalid function 'nosuch'.\nDid you mean 'now'?".to_owned()), "42883"),
            (DataFusionError::NotImplemented("x".to_owned()), "0A000"),
        ];
        for (error, code) in cases {
            assert_eq!(planning(&error).state.code(), code, "{error}");
        }
    }

    #[test]
    fn a_missing_relation_is_named_as_the_user_wrote_it() {
        assert_eq!(missing_relation("lakeward.silver.x").message, "relation \"silver.x\" does not exist");
        let path = format!("lakeward.{}.x", crate::governed::SEARCH_PATH);
        assert_eq!(missing_relation(&path).message, "relation \"x\" does not exist");
    }

    #[test]
    fn syntax_errors_carry_the_position() {
        let error = syntax("sql parser error: Expected: an expression, found: FROM at Line: 1, Column: 8");
        assert_eq!(error.message, "syntax error at or near \"FROM\"");
        assert_eq!(error.position, Some(8));
    }
}
