-- Set operations, which compare whole rows.

-- name: union-all
SELECT id FROM silver.patients UNION ALL SELECT id FROM silver.claims ORDER BY 1 DESC LIMIT 30;

-- name: union-removes-no-hidden-twin
SELECT status FROM silver.patients UNION SELECT state FROM silver.claims ORDER BY 1;

-- name: except-the-shown
SELECT id FROM silver.codes EXCEPT SELECT id FROM silver.patients ORDER BY 1 LIMIT 10;

-- name: except-finds-hidden-ids
SELECT * FROM (VALUES (5), (10), (15), (9223372036854775807)) v(id) EXCEPT SELECT id FROM silver.patients ORDER BY 1;

-- name: intersect-finds-hidden-ids
SELECT * FROM (VALUES (5), (10), (-1)) v(id) INTERSECT SELECT id FROM silver.patients ORDER BY 1;

-- name: intersect-guesses-of-names
SELECT * FROM (VALUES ('Person 1'), ('somebody'), ('')) v(name) INTERSECT SELECT name FROM silver.patients ORDER BY 1;

-- name: except-all-of-masked-rows
SELECT name, postcode FROM silver.patients EXCEPT SELECT 'somebody', 'LS6' ORDER BY 1, 2;

-- name: union-with-an-error
SELECT id, 1 / (score - 7) FROM silver.patients UNION ALL SELECT 0, 0 ORDER BY 1, 2 LIMIT 10;

-- name: union-coerces-types
SELECT remark FROM silver.patients UNION SELECT label FROM silver.codes WHERE id < 50 ORDER BY 1 LIMIT 20;

-- name: union-of-tokens-and-texts
SELECT account FROM silver.patients WHERE account IS NOT NULL UNION SELECT 'x' ORDER BY 1 LIMIT 5;

-- name: union-under-an-aggregate
SELECT count(*), max(v) FROM (SELECT score AS v FROM silver.patients UNION ALL SELECT days FROM silver.encounters) u;

-- name: union-with-predicate-pushed
SELECT id FROM (SELECT id, score + 10 AS score FROM silver.patients UNION ALL SELECT id, quantity FROM silver.claims) u
WHERE 10 / (score - 3) > 0 AND id < 30 ORDER BY 1 LIMIT 10;

-- name: except-all-is-refused
-- The engine would leave out a row however often the other side has it.
-- expect: code 0A000
SELECT patient_id FROM silver.encounters EXCEPT ALL SELECT id FROM silver.patients;

-- name: intersect-all-is-refused
-- expect: code 0A000
SELECT patient_id FROM silver.encounters INTERSECT ALL SELECT id FROM silver.patients;
