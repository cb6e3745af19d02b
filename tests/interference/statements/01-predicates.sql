-- Predicates that a plan of views evaluates on hidden rows, or on raw values under a mask.

-- name: all-patients
SELECT * FROM silver.patients ORDER BY id;

-- name: count-patients
SELECT count(*) FROM silver.patients;

-- name: division-by-a-hidden-value
SELECT id FROM silver.patients WHERE 1 / (score - 7) > -5 ORDER BY id;

-- name: cast-of-a-masked-number
-- expect: code 22P02
SELECT id FROM silver.patients WHERE CAST(nhs_number AS BIGINT) > 0 ORDER BY id;

-- name: equality-with-a-raw-name
SELECT id FROM silver.patients WHERE name = 'Person 5';

-- name: all-encounters
SELECT * FROM silver.encounters ORDER BY id;

-- name: all-observations
SELECT * FROM silver.observations ORDER BY id;

-- name: all-claims
SELECT * FROM silver.claims ORDER BY id;

-- name: all-documents
SELECT * FROM silver.documents ORDER BY id;

-- name: filter-that-prints-days
-- known: L6, a row filter that turns a day beyond the calendar into text fails
SELECT * FROM silver.appointments ORDER BY id;
