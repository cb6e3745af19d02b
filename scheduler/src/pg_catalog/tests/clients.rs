//! Every statement captured from a client plans and runs. The files hold statements as PostgreSQL 15 logged
//! them, with `;;` between them, `--$1 'value'` for parameters and `:oid(schema.table)` for oids.

use super::*;

struct Captured {
    sql: String,
    parameters: Vec<ScalarValue>,
}

fn captured(client: &Client, text: &str) -> Vec<Captured> {
    let mut text = text.to_string();
    for (schema, table) in
        [("silver", "patients"), ("silver", "encounters"), ("gold", "monthly"), ("gold", "v_active")]
    {
        text = text.replace(&format!(":oid({schema}.{table})"), &client.oid(schema, table).to_string());
    }
    text.split("\n;;\n")
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let (parameters, lines): (Vec<&str>, Vec<&str>) =
                part.lines().partition(|line| line.starts_with("--$"));
            Captured { sql: lines.join("\n"), parameters: parameters.into_iter().map(parameter).collect() }
        })
        .collect()
}

fn parameter(line: &str) -> ScalarValue {
    let value = line.split_once(' ').unwrap().1.trim();
    if value == "NULL" {
        return ScalarValue::Utf8(None);
    }
    let value = value.trim_matches('\'').replace("''", "'");
    if let Some(oids) = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let oids: Vec<_> = oids.split(',').map(|oid| ScalarValue::UInt32(oid.parse().ok())).collect();
        return ScalarValue::List(ScalarValue::new_list_nullable(&oids, &DataType::UInt32));
    }
    ScalarValue::Utf8(Some(value))
}

async fn all_run(text: &str) {
    let client = Client::new();
    let mut failures = Vec::new();
    let statements = captured(&client, text);
    assert!(!statements.is_empty());
    for statement in &statements {
        if let Err(error) = client.batches(&statement.sql, &statement.parameters).await {
            failures.push(format!("{}\n=> {error}\n", statement.sql));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), statements.len(), failures.join("\n"));
}

#[tokio::test]
async fn psql() {
    all_run(include_str!("psql.sql")).await;
}

#[tokio::test]
async fn sqlalchemy() {
    all_run(include_str!("sqlalchemy.sql")).await;
}

#[tokio::test]
async fn psycopg() {
    all_run(include_str!("psycopg.sql")).await;
}

#[tokio::test]
async fn asyncpg() {
    all_run(include_str!("asyncpg.sql")).await;
}

/// DBeaver, the JDBC driver, tokio-postgres, Npgsql and DataGrip, written down from their sources.
#[tokio::test]
async fn jdbc_and_other_drivers() {
    all_run(include_str!("jdbc.sql")).await;
}
