-- EXPLAIN and SHOW. On a copy nothing is masked, so more goes below its barrier: plans are compared between lakes.

-- name: explain-a-scan
-- compare: lakes
EXPLAIN SELECT * FROM silver.patients;

-- name: explain-a-predicate
-- compare: lakes
EXPLAIN SELECT id FROM silver.patients WHERE score > 3 AND name = 'x' AND 1 / (score - 7) = 0;

-- name: explain-a-join
-- The logical plan does not turn the sides of a join by size.
-- compare: lakes
EXPLAIN SELECT count(*) FROM silver.patients p JOIN silver.codes k ON k.id = p.id JOIN silver.encounters e ON e.patient_id = p.id;

-- name: explain-a-count
-- An exact count from the log would stand in the plan as a literal.
-- compare: lakes
EXPLAIN SELECT count(*), min(id), max(score) FROM silver.patients;

-- name: explain-a-contradiction
-- compare: lakes
EXPLAIN SELECT * FROM silver.patients WHERE id > 100000 AND id < 5;

-- name: explain-an-aggregate
-- compare: lakes
EXPLAIN SELECT status, count(DISTINCT name) FROM silver.patients GROUP BY status ORDER BY 2 LIMIT 3;

-- name: explain-a-hidden-partition
-- compare: lakes
EXPLAIN SELECT * FROM silver.claims WHERE tenant_id = 'd';

-- name: explain-format-text
-- compare: lakes
EXPLAIN (FORMAT TEXT, COSTS ON) SELECT id FROM silver.patients ORDER BY score LIMIT 5;

-- name: explain-format-json
-- expect: code 0A000
EXPLAIN (FORMAT JSON) SELECT id FROM silver.patients;

-- name: explain-format-graphviz
-- expect: code 0A000
EXPLAIN (FORMAT GRAPHVIZ) SELECT id FROM silver.patients;

-- name: explain-analyze
-- expect: code 42501
EXPLAIN ANALYZE SELECT id FROM silver.patients;

-- name: explain-analyze-as-an-option
-- expect: code 42501
EXPLAIN (ANALYZE, BUFFERS) SELECT id FROM silver.patients;

-- name: explain-verbose
-- expect: code 42501
EXPLAIN VERBOSE SELECT id FROM silver.patients;

-- name: explain-verbose-as-an-option
-- expect: code 42501
EXPLAIN (VERBOSE true) SELECT id FROM silver.patients;

-- name: explain-with-statistics
-- expect: code 42704
SET datafusion.explain.show_statistics = true;

-- name: explain-what-is-forbidden
-- expect: code 42P01
EXPLAIN SELECT * FROM silver.staff;

-- name: explain-by-a-clerk
-- Who may only see columns sees plans without rows.
-- as: dora
-- compare: lakes
EXPLAIN SELECT id FROM silver.patients WHERE id = 5;

-- name: explain-analyze-by-a-clerk
-- as: dora
-- expect: code 42501
EXPLAIN ANALYZE SELECT count(*) FROM silver.patients;

-- name: explain-of-a-constant-fold
-- compare: lakes
EXPLAIN SELECT id FROM silver.patients WHERE birth_date > DATE '1970-01-01' AND 1 = 2 OR nhs_number LIKE '9%';

-- name: explain-a-version
-- compare: lakes
EXPLAIN SELECT id FROM silver.patients VERSION AS OF 0 WHERE score > 3;

-- name: show-tables
-- expect: code 0A000
SHOW tables;

-- name: show-all
SHOW ALL;

-- name: show-search-path
SHOW search_path;

-- name: show-engine-settings
-- expect: code 42704
SHOW datafusion.execution.target_partitions;

-- name: show-columns
-- expect: code 0A000
SHOW COLUMNS FROM silver.patients;
