use super::*;
use crate::error::SqlState;

#[tokio::test]
async fn psql_describes_a_table() {
    let client = Client::new();
    let oid = client.oid("silver", "patients");
    client
        .expect(
            &format!(
                "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
                 (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d \
                  WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull, \
                 (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t \
                  WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation \
                 FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = '{oid}' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
            ),
            &[
                "patient_id|bigint|∅|true|∅",
                "name|text|∅|false|∅",
                "birth_date|date|∅|false|∅",
                "nhs_number|text|∅|false|∅",
                "cost|numeric(12,2)|∅|false|∅",
                "active|boolean|∅|true|∅",
                "created_at|timestamp without time zone|∅|false|∅",
                "updated_at|timestamp with time zone|∅|false|∅",
                "tags|text[]|∅|false|∅",
                "score|double precision|∅|false|∅",
                "small|smallint|∅|false|∅",
                "num|integer|∅|false|∅",
                "blob|bytea|∅|false|∅",
                "extra|json|∅|false|∅",
            ],
        )
        .await;
}

/// Statements over what is the same in every PostgreSQL, with the answers PostgreSQL 15 gave.
#[tokio::test]
async fn answers_are_postgresqls() {
    let client = Client::new();
    let mut wrong = Vec::new();
    let mut statements: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in include_str!("answers.txt").lines() {
        match (line.strip_prefix("=> "), statements.last_mut()) {
            (Some(row), Some((_, rows))) => rows.push(row),
            _ => statements.push((line, Vec::new())),
        }
    }
    for (sql, expected) in &statements {
        match client.rows(sql).await {
            Ok(found) if found == *expected => {}
            Ok(found) => wrong.push(format!("{sql}\n   found {found:?}\nexpected {expected:?}")),
            Err(error) => wrong.push(format!("{sql}\n   {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), statements.len(), wrong.join("\n\n"));
}

#[tokio::test]
async fn what_does_not_exist_is_said_as_postgresql_says_it() {
    let client = Client::new();
    let error = client.refused("SELECT 'nothing.here'::regclass").await;
    assert_eq!(
        (error.state, error.message.as_str()),
        (SqlState::UndefinedTable, "relation \"nothing.here\" does not exist")
    );
    let error = client.refused("SELECT 'hstore'::regtype").await;
    assert_eq!(
        (error.state, error.message.as_str()),
        (SqlState::UndefinedObject, "type \"hstore\" does not exist")
    );
    let error = client.refused("SELECT current_setting('nothing')").await;
    assert_eq!(error.state, SqlState::UndefinedObject);
    let error = client.refused("SELECT has_table_privilege('silver.nothing', 'SELECT')").await;
    assert_eq!(error.state, SqlState::UndefinedTable);
}

#[tokio::test]
async fn a_scalar_subquery_of_two_rows_is_an_error_not_an_answer() {
    let client = Client::new();
    let error = client
        .refused("SELECT t.typname, (SELECT e.typname FROM pg_type e WHERE e.typlen = t.typlen) FROM pg_type t WHERE t.oid = 16")
        .await;
    assert_eq!(error.state, SqlState::CardinalityViolation);
    // Where the subquery is not reached, its rows do not count.
    client
        .expect(
            "SELECT CASE WHEN t.oid = 17 THEN (SELECT e.typname FROM pg_type e WHERE e.typlen = t.typlen) END \
             FROM pg_type t WHERE t.oid = 16",
            &["∅"],
        )
        .await;
}

#[tokio::test]
async fn the_view_is_all_there_is() {
    let client = Client::new();
    client
        .expect(
            "SELECT n.nspname, c.relname, c.relkind, c.reltuples, c.relacl FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2",
            &[
                "gold|monthly|r|-1.0|[alice=r/lakeward]",
                "gold|v_active|v|-1.0|[alice=r/lakeward]",
                "silver|encounters|r|-1.0|[alice=r/lakeward]",
                "silver|patients|r|-1.0|[alice=r/lakeward]",
            ],
        )
        .await;
    client
        .expect(
            "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles ORDER BY 1",
            &["alice|true|false", "analyst|false|false", "lakeward|false|true"],
        )
        .await;
    client.expect("SELECT datname FROM pg_database", &["lakeward"]).await;
    client.expect("SELECT obj_description('silver.patients'::regclass, 'pg_class'), col_description('silver.patients'::regclass, 4)", &[
        "People registered|Ten digits",
    ]).await;
    client
        .expect(
            "SELECT 'silver.patients'::regclass, 'gold.monthly'::regclass, 'patients'::regclass::text",
            &["patients|gold.monthly|patients"],
        )
        .await;
    client.expect("SELECT setting FROM pg_settings WHERE name = 'DateStyle'", &["ISO, DMY"]).await;
    client
        .expect(
            "SELECT current_user, current_database(), current_schema, current_schemas(true), version()",
            &["alice|lakeward|silver|[pg_catalog, silver]|PostgreSQL 15.7 (Lakeward 0.1.0)"],
        )
        .await;
}

#[tokio::test]
async fn columns_are_typed_as_postgresql_types_them() {
    let client = Client::new();
    let types = async |sql: &str| -> Vec<&'static str> {
        let batches = client.batches(sql, &[]).await.unwrap();
        batches[0].schema().fields().iter().map(|field| types::pg_field_type(field).name).collect()
    };
    assert_eq!(
        types("SELECT oid, relname, relkind, reltuples, relacl FROM pg_class").await,
        ["oid", "name", "char", "float4", "_aclitem"]
    );
    assert_eq!(
        types("SELECT 'pg_class'::regclass::oid, current_user, format_type(23, NULL), current_schemas(true), 'x'::\"char\"").await,
        ["oid", "name", "text", "_name", "char"],
    );
    assert_eq!(
        types("SELECT t.oid, (SELECT e.oid FROM pg_type e WHERE e.oid = t.typelem) FROM pg_type t").await,
        ["oid", "oid"]
    );
}

#[tokio::test]
async fn names_of_common_table_expressions_come_first() {
    let client = Client::new();
    client.expect("WITH pg_class AS (SELECT 1 AS x) SELECT * FROM pg_class", &["1"]).await;
    client
        .expect("WITH pg_am AS (SELECT amname FROM pg_am WHERE oid = 2) SELECT * FROM pg_am", &["heap"])
        .await;
    client.expect("WITH a AS (SELECT 1 AS pg_x) SELECT (WITH pg_am AS (SELECT 2 AS y) SELECT y FROM pg_am), pg_x FROM a", &["2|1"]).await;
}
