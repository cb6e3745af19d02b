-- Limits and samples.

-- name: limit-under-an-order
SELECT id, name FROM silver.patients ORDER BY id LIMIT 7;

-- name: limit-counts-shown-rows
-- A limit pushed to the scan would count hidden rows, too.
SELECT count(*) FROM (SELECT id FROM silver.patients LIMIT 250) p;

-- name: limit-beyond-the-shown
SELECT count(*) FROM (SELECT id FROM silver.patients LIMIT 100000) p;

-- name: limit-with-a-division
SELECT count(*) FROM (SELECT 1 / (score - 7) AS q FROM silver.patients LIMIT 300) p;

-- name: offset-counts-shown-rows
SELECT count(*) FROM (SELECT id FROM silver.patients OFFSET 290) p;

-- name: fetch-first
-- expect: code 0A000
SELECT id FROM silver.patients ORDER BY id FETCH FIRST 3 ROWS ONLY;

-- name: limit-of-a-join
SELECT count(*) FROM (SELECT p.id FROM silver.patients p JOIN silver.codes k ON k.id = p.id LIMIT 299) x;

-- name: limit-of-a-union
SELECT count(*) FROM (SELECT id FROM silver.patients UNION ALL SELECT id FROM silver.claims LIMIT 549) x;

-- name: tablesample-system
-- expect: code 0A000
SELECT count(*) FROM silver.patients TABLESAMPLE SYSTEM (50);

-- name: tablesample-bernoulli
-- expect: code 0A000
SELECT count(*) FROM silver.patients TABLESAMPLE BERNOULLI (1) REPEATABLE (1);

-- name: tablesample-of-a-subquery
-- expect: code 0A000
SELECT count(*) FROM (SELECT * FROM silver.patients) p TABLESAMPLE SYSTEM (10);

-- name: own-row-counts
-- order: none
-- What a statement's own row says of it is compared after every statement; here by hand.
SELECT id FROM silver.patients WHERE status = 'active';
SELECT state, sqlstate, rows FROM system.queries WHERE query LIKE 'SELECT id FROM silver.patients WHERE status = ''active''%';

-- name: own-row-bytes
-- order: none
SELECT id, remark, postcode FROM silver.patients WHERE status <> 'pending';
SELECT bytes FROM system.queries WHERE query LIKE 'SELECT id, remark, postcode FROM silver.patients WHERE%';

-- name: rows-of-a-failed-statement
-- expect: code 22012
SELECT 1 / (score - 3) FROM silver.patients;
