use super::*;

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
