-- Answers that an engine takes from file statistics, footers and logs instead of rows.

-- name: count-of-a-table
SELECT count(*) FROM silver.patients;

-- name: count-of-every-table
SELECT (SELECT count(*) FROM silver.patients), (SELECT count(*) FROM silver.encounters),
       (SELECT count(*) FROM silver.observations), (SELECT count(*) FROM silver.claims),
       (SELECT count(*) FROM silver.documents);

-- name: count-of-a-column
SELECT count(id), count(tenant_id), count(remark) FROM silver.patients;

-- name: count-of-a-constant
SELECT count(1), count(NULL) FROM silver.claims;

-- name: least-and-greatest-id
SELECT min(id), max(id) FROM silver.patients;

-- name: least-and-greatest-of-unmasked
SELECT min(score), max(score), min(status), max(status), min(remark), max(remark) FROM silver.patients;

-- name: least-and-greatest-started
SELECT min(started), max(started), min(days), max(days) FROM silver.encounters;

-- name: least-and-greatest-amount
SELECT min(amount), max(amount), min(quantity), max(quantity) FROM silver.claims;

-- name: greatest-value-with-not-a-number
SELECT max(value), min(value) FROM silver.observations;

-- name: greatest-of-a-masked-date
SELECT max(taken), min(taken) FROM silver.observations;

-- name: bounds-beside-a-predicate
SELECT max(score) FROM silver.patients WHERE score < 7;

-- name: bounds-of-a-partition-column
SELECT min(tenant_id), max(tenant_id), count(DISTINCT tenant_id) FROM silver.claims;

-- name: values-of-a-partition-column
SELECT DISTINCT clinic FROM silver.encounters ORDER BY 1;

-- name: predicate-on-a-hidden-partition
SELECT count(*) FROM silver.claims WHERE tenant_id = 'd';

-- name: predicate-no-file-can-match
SELECT count(*) FROM silver.patients WHERE id > 3000 AND id < 3010;

-- name: predicate-only-hidden-files-match
SELECT count(*), min(id) FROM silver.patients WHERE id > 100000;

-- name: predicate-every-file-matches
SELECT count(*) FROM silver.patients WHERE id IS NOT NULL;

-- name: null-counts
SELECT count(*) FROM silver.patients WHERE score IS NULL;

-- name: null-counts-of-masked-columns
SELECT count(*) FROM silver.patients WHERE nhs_number IS NULL OR birth_date IS NULL;

-- name: limit-zero
SELECT * FROM silver.patients LIMIT 0;

-- name: empty-predicate
SELECT id FROM silver.patients WHERE false;

-- name: exists-any-row
SELECT 1 WHERE EXISTS (SELECT 1 FROM silver.patients);

-- name: exists-a-hidden-row
SELECT 1 WHERE EXISTS (SELECT 1 FROM silver.patients WHERE id = 5) OR EXISTS (SELECT 1 FROM silver.claims WHERE quantity = 3);

-- name: interval-analysis-casts-no-bound
-- Range analysis of `score::smallint` on a file's bounds would overflow while it plans.
SELECT count(*) FROM silver.patients WHERE score::smallint < 3 AND score::smallint > 1;

-- name: interval-analysis-divides-no-bound
SELECT count(*) FROM silver.encounters WHERE 100 / days < 12 AND days > 0;

-- name: interval-analysis-of-dates
SELECT count(*) FROM silver.patients WHERE birth_date::timestamp > TIMESTAMP '1960-01-01';

-- name: row-positions
SELECT row_number() OVER (ORDER BY id) AS n, id FROM silver.claims ORDER BY n LIMIT 5;

-- name: physical-row-identity
-- expect: code 42703
SELECT ctid FROM silver.patients;

-- name: table-identity
-- expect: code 42703
SELECT tableoid FROM silver.patients;

-- name: path-of-the-file
-- expect: code 42703
SELECT _file FROM silver.patients;

-- name: metadata-columns
-- expect: code 42703
SELECT _metadata FROM silver.patients;
