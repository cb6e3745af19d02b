//! Numbers compare as they do in PostgreSQL.

use super::lake::Lake;
use super::value;

#[tokio::test]
async fn doubles_and_numerics() {
    let lake = Lake::new().await;
    let stella = lake.login("stella").await;
    let zeros = "(VALUES (-0.0::float8, 1.5::float8), (0.0::float8, 'nan'::float8)) AS t(z, x)";
    for (sql, wanted) in [
        // A decimal of fifteen digits after the point would say otherwise.
        ("SELECT 1e-16::float8 > 0.0", "true"),
        ("SELECT '1e300'::float8 > 1.5", "true"),
        ("SELECT 'nan'::float8 IN (1.5, 2.5)", "false"),
        ("SELECT 'infinity'::float8 BETWEEN 0.5 AND 1.5", "false"),
        ("SELECT 1e-20::float4 = 0.0", "false"),
        ("SELECT CASE 1e-16::float8 WHEN 0.0 THEN 'zero' ELSE 'more' END", "more"),
        ("SELECT coalesce(NULL::float8, '1e300'::float8, 0.5) > '1e299'::float8", "true"),
        ("SELECT CASE WHEN true THEN '1e300'::float8 ELSE 0.5 END > '1e299'::float8", "true"),
        ("SELECT 0.06 + 0.01 = 0.07", "true"),
        ("SELECT '1e300'::float8 * 1.5 > '1e300'::float8", "true"),
        // What is announced of a rounded decimal is what comes.
        ("SELECT round(x * 1.505, 2) FROM (VALUES (1), (1)) AS t(x) LIMIT 1", "1.51"),
        ("SELECT round(x * 1234.5, -2) FROM (VALUES (1), (1)) AS t(x) LIMIT 1", "1200"),
        ("SELECT round(100.0 * count(*) / 7, 2) FROM (VALUES (1), (1)) AS t(x)", "28.57"),
        // Both zeros are one number.
        ("SELECT -0.0::float8 IN (0.0::float8, 5.0::float8)", "true"),
        ("SELECT count(*) FROM {zeros} WHERE z IN (0.0, 5.0, 7.5)", "2"),
        ("SELECT count(*) FROM {zeros} WHERE z IN (-0.0::float8, 5.0, 7.5)", "2"),
        ("SELECT count(*) FROM {zeros} WHERE z NOT IN (0.0, 5.0, 7.5)", "0"),
        ("SELECT count(*) FROM {zeros} WHERE z = 0.0 OR z = 5.0 OR z = 7.0 OR z = 9.0", "2"),
        ("SELECT count(*) FROM {zeros} WHERE x IN (0.0, 1.5)", "1"),
        ("SELECT count(*) FROM {zeros} WHERE x > 1.0", "2"),
        ("SELECT (SELECT count(*) FROM {zeros} WHERE x < u.y) FROM (VALUES (2.5)) AS u(y)", "1"),
        ("SELECT count(*) FROM {zeros} JOIN (VALUES (1.5)) AS u(y) ON x = y", "1"),
    ] {
        let sql = sql.replace("{zeros}", zeros);
        assert_eq!(value(&stella, &sql).await.unwrap(), wanted, "{sql}");
    }
}

/// The engine would convert the text while the statement runs, and fail on the first that is no number.
#[tokio::test]
async fn text_is_no_number_and_no_date() {
    let lake = Lake::new().await;
    let stella = lake.login("stella").await;
    for sql in [
        "SELECT id FROM silver.people WHERE name = 5",
        "SELECT id FROM silver.people WHERE 5 < name",
        "SELECT id FROM silver.people WHERE name BETWEEN 1 AND 2",
        "SELECT id FROM silver.people WHERE name IN (1, 2)",
        "SELECT id FROM silver.people WHERE name IN (SELECT id FROM silver.people)",
        "SELECT id FROM silver.people WHERE name = DATE '2020-01-01'",
        "SELECT CASE name WHEN 1 THEN 'x' END FROM silver.people",
        "SELECT a.id FROM silver.people a JOIN silver.people b ON a.name = b.id",
        "SELECT id FROM silver.people WHERE lower(name) = id",
        "SELECT id FROM silver.people WHERE 'x'::text = 5",
        "SELECT date_trunc('day', name) FROM silver.people",
        "SELECT sum(name) FROM silver.people",
    ] {
        let error = value(&stella, sql).await.unwrap_err();
        assert_eq!(error.state.code(), "42883", "{sql}: {error}");
        assert!(error.message.contains("does not exist"), "{sql}: {error}");
    }
    // The engine's own text, where it has one.
    let error = value(&stella, "SELECT abs(name) FROM silver.people").await.unwrap_err();
    assert_eq!(error.state.code(), "42883", "{error}");
    for (sql, wanted) in [
        ("SELECT count(*) FROM silver.people WHERE id = '5'", "1"),
        ("SELECT count(*) FROM silver.people WHERE id IN ('5', '6')", "2"),
        ("SELECT count(*) FROM silver.people WHERE name = 'Person 5'", "1"),
        ("SELECT count(*) FROM silver.people WHERE name = 'Person ' || id", "6"),
        ("SELECT count(*) FROM silver.people WHERE id::text = '5'", "1"),
        ("SELECT count(*) FROM silver.people WHERE right(name, 1)::int = id", "6"),
        ("SELECT max(name) FROM silver.people", "Person 6"),
        ("SELECT coalesce(max(name), 'none') FROM silver.people", "Person 6"),
    ] {
        assert_eq!(value(&stella, sql).await.unwrap(), wanted, "{sql}");
    }
}
