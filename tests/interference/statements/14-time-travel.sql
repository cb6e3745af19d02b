-- Older versions, history and changes; table functions.

-- name: version-zero
SELECT * FROM silver.patients VERSION AS OF 0 ORDER BY id;

-- name: version-zero-count
SELECT count(*), min(id), max(id) FROM silver.patients VERSION AS OF 0;

-- name: version-with-a-division
SELECT count(*) FROM silver.patients VERSION AS OF 0 WHERE 1 / (score - 7) > -5;

-- name: version-by-name
SELECT count(*) FROM silver."patients@v0";

-- name: version-by-time
SELECT count(*) FROM silver.patients TIMESTAMP AS OF '2999-01-01';

-- name: version-joined-with-now
SELECT count(*) FROM silver.patients VERSION AS OF 0 a JOIN silver.patients b ON a.id = b.id;

-- name: version-that-is-missing
-- expect: code 22023
SELECT * FROM silver.patients VERSION AS OF 99;

-- name: version-before-hidden-commits
SELECT count(*) FROM silver.observations VERSION AS OF 0;

-- name: version-of-a-hidden-commit
-- The versions of commits that added hidden rows alone can be asked for.
-- known: a version exists or not by what hidden rows were committed
SELECT count(*) FROM silver.observations VERSION AS OF 3;

-- name: newest-version-in-an-error
-- expect: code 22023
-- known: the text tells the newest version
SELECT count(*) FROM silver.observations VERSION AS OF 99999;

-- name: time-before-the-table
-- expect: code 22023
SELECT count(*) FROM silver.observations TIMESTAMP AS OF '1971-01-01';

-- name: history-of-a-table
-- compare: lakes
SELECT version, operation FROM table_history('silver.patients') ORDER BY 1;

-- name: history-with-hidden-commits
-- compare: lakes
-- known: every commit is listed
SELECT version, operation FROM table_history('silver.observations') ORDER BY 1;

-- name: history-tells-no-counts
-- compare: lakes
SELECT operation_parameters, operation_metrics, user_name, engine_info FROM table_history('silver.patients');

-- name: history-of-the-forbidden
-- expect: code 42P01
SELECT * FROM table_history('silver.staff');

-- name: changes-of-version-zero
SELECT id, name, nhs_number, _change_type FROM table_changes('silver.patients', 0, 0) ORDER BY id;

-- name: changes-with-a-division
SELECT count(*) FROM table_changes('silver.patients', 0, 0) WHERE 1 / (score - 7) > -5;

-- name: changes-of-hidden-commits
-- known: a range of versions is refused or not by what hidden rows were committed
SELECT count(*) FROM table_changes('silver.observations', 0, 3);

-- name: changes-beyond-the-newest
-- expect: code 22023
SELECT count(*) FROM table_changes('silver.patients', 0, 99);

-- name: changes-of-the-forbidden
-- expect: code 42P01
SELECT * FROM table_changes('bronze.raw', 0, 0);

-- name: changes-in-the-wrong-order
-- expect: code 22023
SELECT * FROM table_changes('silver.patients', 5, 1);

-- name: changes-by-a-clerk
-- as: dora
-- expect: code 42501
SELECT count(*) FROM table_changes('silver.patients', 0, 0);

-- name: series-up-to-a-hidden-number
SELECT count(*) FROM generate_series(1, 5) g(n) JOIN silver.patients p ON p.score = g.n;

-- name: series-of-a-subquery
SELECT count(*) FROM generate_series(1, (SELECT max(score) FROM silver.patients)) g(n);

-- name: version-clause-on-a-forbidden-table
-- expect: code 42P01
SELECT * FROM silver.staff VERSION AS OF 0;

-- name: newest-version-on-demand
-- step: quietly as alice
SET lakeward.read_latest = on;
-- step: as alice
SELECT count(*), max(id) FROM silver.patients;
