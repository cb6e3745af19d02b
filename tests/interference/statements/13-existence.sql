-- Probes: what may not be seen fails like what does not exist.

-- name: missing-table
-- expect: code 42P01
SELECT * FROM silver.nothing;

-- name: forbidden-table
-- The message names what was asked for; that of the copy, which has no such table, is the same.
-- expect: code 42P01
SELECT * FROM silver.staff;

-- name: forbidden-schema
-- expect: code 42P01
SELECT * FROM bronze.raw;

-- name: forbidden-schema-missing-table
-- expect: code 42P01
SELECT * FROM bronze.nothing;

-- name: missing-schema
-- expect: code 42P01
SELECT * FROM platinum.raw;

-- name: forbidden-table-with-catalog
-- expect: code 42P01
SELECT * FROM lakeward.silver.staff;

-- name: missing-catalog
-- expect: code 42P01
SELECT * FROM elsewhere.silver.staff;

-- name: forbidden-table-by-search-path
-- expect: code 42P01
SELECT * FROM staff;

-- name: forbidden-column-of-a-forbidden-table
-- expect: code 42P01
SELECT salary FROM silver.staff;

-- name: missing-column
-- expect: code 42703
SELECT salary FROM silver.patients;

-- name: misspelt-column
-- No hint tells of other names.
-- expect: code 42703
SELECT nhs_numbr FROM silver.patients;

-- name: misspelt-table
-- expect: code 42P01
SELECT * FROM silver.staf;

-- name: forbidden-table-never-read
-- expect: code 42P01
SELECT 1 WHERE false AND EXISTS (SELECT 1 FROM silver.staff);

-- name: forbidden-table-in-a-union
-- expect: code 42P01
SELECT id FROM silver.patients UNION SELECT id FROM silver.staff;

-- name: forbidden-table-in-a-join
-- expect: code 42P01
SELECT count(*) FROM silver.patients p JOIN bronze.raw r ON r.id = p.id;

-- name: forbidden-table-beside-a-failing-expression
-- expect: code 42P01
SELECT 1 / 0 FROM silver.staff;

-- name: forbidden-table-with-a-wrong-type
-- Types of a forbidden table's columns are not known either.
-- expect: code 42P01
SELECT id + 'x' FROM silver.staff WHERE name > 5;

-- name: quoted-forbidden-table
-- expect: code 42P01
SELECT * FROM "silver"."staff";

-- name: dotted-forbidden-table
-- expect: code 42P01
SELECT * FROM "silver.staff";

-- name: upper-case-table
-- expect: code 42P01
SELECT * FROM silver."PATIENTS";

-- name: clerk-may-not-read
-- as: dora
-- expect: code 42501
SELECT count(*) FROM silver.patients;

-- name: clerk-forbidden-table
-- as: dora
-- expect: code 42P01
SELECT count(*) FROM silver.staff;

-- name: nobody-sees-nothing
-- as: norman
-- expect: code 42P01
SELECT count(*) FROM silver.patients;

-- name: nobody-probes-a-version
-- as: norman
-- expect: code 42P01
SELECT count(*) FROM silver.patients VERSION AS OF 99;

-- name: nobody-probes-the-search-path
-- as: norman
SHOW search_path;

-- name: insert-into-a-forbidden-table
-- expect: code 25006
INSERT INTO silver.staff VALUES (1, 'x');

-- name: insert-into-a-missing-table
-- expect: code 25006
INSERT INTO silver.nothing VALUES (1, 'x');

-- name: delete-with-a-hidden-predicate
-- expect: code 25006
DELETE FROM silver.patients WHERE id = 5;

-- name: update-a-hidden-row
-- expect: code 25006
UPDATE silver.patients SET score = 1 WHERE id = 5;

-- name: merge-into-a-table
-- expect: code 25006
MERGE INTO silver.patients p USING silver.codes k ON p.id = k.id WHEN MATCHED THEN DELETE;
