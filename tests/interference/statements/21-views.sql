-- Views: with owner's rights over hidden rows and raw values, with the invoker's over governed tables.

-- name: rows-of-an-owners-view
SELECT * FROM marts.people ORDER BY id;

-- name: counts-of-an-owners-view
SELECT count(*), count(name), count(score), min(id), max(id) FROM marts.people;

-- name: division-by-a-hidden-value-in-a-view
SELECT count(*) FROM marts.people WHERE 1 / (score - 7) > -5;

-- name: division-in-the-select-list-of-a-view
SELECT id, 100 / (score - 7) FROM marts.people ORDER BY id;

-- name: cast-of-hidden-remarks-in-a-view
SELECT count(*) FROM marts.people WHERE CAST(remark AS bigint) >= 0;

-- name: cast-of-shown-states-in-a-view
-- expect: code 22P02
SELECT count(*) FROM marts.people WHERE CAST(status AS bigint) = 0;

-- name: equality-with-a-raw-name-in-a-view
SELECT count(*) FROM marts.people WHERE name = 'Person 1';

-- name: equality-with-the-masked-name-in-a-view
SELECT count(*) FROM marts.people WHERE name = 'somebody';

-- name: hidden-states-in-a-view
SELECT DISTINCT status FROM marts.people ORDER BY status;

-- name: least-and-greatest-of-a-view
SELECT min(score), max(score), min(weight), max(weight), min(name), max(name) FROM marts.people;

-- name: first-by-score-of-a-view
SELECT id, score FROM marts.people ORDER BY score DESC NULLS LAST, id LIMIT 7;

-- name: explain-an-owners-view
EXPLAIN SELECT name, score FROM marts.people WHERE score > 3 AND name LIKE 'P%';

-- name: explain-an-invokers-view
EXPLAIN SELECT * FROM marts.mine WHERE id > 3;

-- name: aggregates-inside-a-view
SELECT * FROM marts.per_status ORDER BY status;

-- name: division-over-aggregates-inside-a-view
SELECT status, 1000 / (people - 60) FROM marts.per_status ORDER BY status;

-- name: join-of-a-view-and-its-table
SELECT count(*), sum(v.score) FROM marts.people v JOIN silver.patients p ON v.id = p.id;

-- name: join-of-two-views
SELECT count(*) FROM marts.people a JOIN marts.per_status b ON a.status = b.status WHERE a.score > 2;

-- name: semi-join-with-a-view
SELECT count(*) FROM silver.patients WHERE id IN (SELECT id FROM marts.people WHERE 1 / (score - 7) > -5);

-- name: scalar-subquery-over-a-view
SELECT (SELECT count(*) FROM marts.people), (SELECT max(people) FROM marts.per_status);

-- name: union-of-views
SELECT id, score FROM marts.people UNION SELECT id, score FROM marts.mine ORDER BY 1, 2;

-- name: window-over-a-view
SELECT id, rank() OVER (PARTITION BY status ORDER BY score, id) FROM marts.people ORDER BY id;

-- name: recursion-over-a-view
WITH RECURSIVE r(id, n) AS (
  SELECT id, 1 FROM marts.people WHERE id = 10
  UNION ALL SELECT v.id, r.n + 1 FROM r JOIN marts.people v ON v.id = r.id + 10 WHERE r.n < 5
) SELECT * FROM r ORDER BY n;

-- name: rows-of-an-invokers-view
SELECT * FROM marts.mine ORDER BY id;

-- name: division-in-an-invokers-view
SELECT count(*) FROM marts.mine WHERE 1 / (score - 7) > -5;

-- name: view-over-a-view
SELECT * FROM marts.above ORDER BY status;

-- name: invokers-view-over-a-forbidden-table
-- The view is granted, what it reads is not; which that is, and whether it exists, is not told.
-- expect: code 42501
SELECT * FROM marts.staff_names;

-- name: columns-of-an-invokers-view-over-a-forbidden-table
SELECT count(*) FROM information_schema.columns WHERE table_name = 'staff_names';

-- name: explain-an-invokers-view-over-a-forbidden-table
-- expect: code 42501
EXPLAIN SELECT * FROM marts.staff_names;

-- name: forbidden-view
-- expect: code 42P01
SELECT * FROM marts.secret;

-- name: missing-view
-- expect: code 42P01
SELECT * FROM marts.nothing;

-- name: forbidden-view-by-search-path
-- expect: code 42P01
SELECT * FROM secret;

-- name: history-of-a-forbidden-view
-- expect: code 42P01
SELECT * FROM table_history('marts.secret');

-- name: history-of-a-view
-- expect: code 0A000
SELECT * FROM table_history('marts.people');

-- name: version-of-a-view
-- expect: code 0A000
SELECT * FROM marts.people VERSION AS OF 0;

-- name: views-in-the-catalogs
SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema = 'marts' ORDER BY 2;

-- name: columns-of-views
SELECT table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema = 'marts' ORDER BY table_name, ordinal_position;

-- name: definitions-of-views
SELECT viewname, definition FROM pg_catalog.pg_views WHERE schemaname = 'marts' ORDER BY viewname;

-- name: definition-of-a-view
SELECT pg_get_viewdef('marts.people'::regclass);

-- name: system-views-are-for-operators
-- expect: code 42P01
SELECT * FROM system.view_columns;

-- name: view-denied-while-connected
SELECT count(*) FROM marts.people;
-- step: reload deny marts.people
-- step: reload original
SELECT count(*) FROM marts.people;

-- name: view-prepared-with-a-parameter
-- door: extended
-- step: prepare found
SELECT id, score FROM marts.people WHERE score > $1 ORDER BY id LIMIT 5;
-- step: execute found 3
-- step: execute found -9
