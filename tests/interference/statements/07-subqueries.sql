-- Subqueries: correlated, scalar, in every clause.

-- name: correlated-count
SELECT p.id, (SELECT count(*) FROM silver.claims c WHERE c.patient_id = p.id) FROM silver.patients p ORDER BY 1 LIMIT 20;

-- name: correlated-exists
SELECT p.id FROM silver.patients p
WHERE EXISTS (SELECT 1 FROM silver.encounters e WHERE e.patient_id = p.id AND e.days = 9) ORDER BY 1;

-- name: correlated-maximum
SELECT id FROM silver.patients p WHERE score = (SELECT max(score) FROM silver.patients q WHERE q.status = p.status) ORDER BY 1;

-- name: correlated-raw-name
SELECT p.id FROM silver.patients p
WHERE EXISTS (SELECT 1 FROM silver.patients q WHERE q.name < p.name OR q.nhs_number = '9990000001');

-- name: scalar-average
SELECT id FROM silver.patients WHERE score > (SELECT avg(score) FROM silver.patients) ORDER BY id;

-- name: scalar-of-hidden-maximum
SELECT count(*) FROM silver.codes WHERE id > (SELECT max(id) FROM silver.patients);

-- name: scalar-in-a-limit-position
SELECT id FROM silver.patients WHERE id >= (SELECT max(id) - 30 FROM silver.patients) ORDER BY id;

-- name: in-list-of-hidden-values
SELECT count(*) FROM silver.codes WHERE weight IN (SELECT score FROM silver.patients);

-- name: all-comparison
SELECT count(*) FROM silver.codes k WHERE NOT EXISTS (SELECT 1 FROM silver.patients p WHERE p.score >= k.weight);

-- name: subquery-with-an-error
SELECT id FROM silver.codes WHERE id IN (SELECT 60 / (score - 7) FROM silver.patients) ORDER BY id;

-- name: subquery-with-a-cast
SELECT count(*) FROM silver.codes WHERE weight IN (SELECT remark::bigint FROM silver.patients);

-- name: derived-table-of-raw-values
SELECT x.name, x.n FROM (SELECT name, count(*) AS n FROM silver.patients GROUP BY name) x ORDER BY 1;

-- name: common-table-expression
WITH mine AS (SELECT * FROM silver.patients) SELECT count(*), max(score), min(name) FROM mine;

-- name: expression-used-twice
WITH p AS (SELECT id, 1 / (score - 7) AS q FROM silver.patients)
SELECT count(*) FROM p a JOIN p b ON a.id = b.id WHERE a.q = 0 AND b.q = 0;

-- name: shadowed-table-name
-- A common table expression may not bring back what a name stood for.
WITH patients AS (SELECT id FROM silver.patients WHERE id < 30) SELECT * FROM patients ORDER BY id;

-- name: nested-filters
SELECT id FROM (SELECT * FROM (SELECT * FROM silver.patients WHERE id > 5) a WHERE score < 7) b
WHERE 1 / (score - 7) <= 0 ORDER BY id LIMIT 10;

-- name: subquery-in-case
SELECT id, CASE WHEN score > (SELECT min(days) FROM silver.encounters) THEN 'more' ELSE 'less' END
FROM silver.patients ORDER BY id LIMIT 10;

-- name: subquery-in-order-by
SELECT c.clinic FROM gold.clinics c
LEFT JOIN (SELECT clinic, count(*) AS n FROM silver.encounters GROUP BY clinic) e ON e.clinic = c.clinic
ORDER BY e.n DESC NULLS LAST, 1;

-- name: subquery-in-having
SELECT status FROM silver.patients GROUP BY status
HAVING count(*) >= (SELECT count(*) / 300 FROM silver.patients) ORDER BY 1;

-- name: values-against-a-table
SELECT v.id FROM (VALUES (5), (10)) v(id) WHERE v.id IN (SELECT id FROM silver.patients) ORDER BY v.id;
