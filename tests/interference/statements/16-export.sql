-- Ways to take data out, or to read it past the catalog.

-- name: copy-to-stdout
-- expect: code 0A000
COPY silver.patients TO STDOUT;

-- name: copy-a-query
-- expect: code 0A000
COPY (SELECT * FROM silver.patients) TO STDOUT WITH (FORMAT csv);

-- name: copy-to-a-file
-- expect: code 0A000
COPY silver.patients TO '/tmp/out.csv';

-- name: copy-to-a-program
-- expect: code 0A000
COPY silver.patients TO PROGRAM 'cat';

-- name: copy-in
-- expect: code 0A000
COPY silver.patients FROM STDIN;

-- name: create-table-as
-- expect: code 0A000
CREATE TABLE mine AS SELECT * FROM silver.patients;

-- name: create-temporary-table-as
-- expect: code 0A000
CREATE TEMPORARY TABLE mine AS SELECT * FROM silver.patients;

-- name: select-into
-- expect: code 25006
SELECT * INTO mine FROM silver.patients;

-- name: create-view
-- expect: code 0A000
CREATE VIEW mine AS SELECT * FROM silver.patients;

-- name: create-materialized-view
-- expect: code 0A000
CREATE MATERIALIZED VIEW mine AS SELECT * FROM silver.patients;

-- name: create-external-table
-- expect: code 0A000
CREATE EXTERNAL TABLE raw STORED AS PARQUET LOCATION '/tmp/';

-- name: create-function
-- expect: code 0A000
CREATE FUNCTION peek(bigint) RETURNS bigint RETURN $1;

-- name: create-schema
-- expect: code 0A000
CREATE SCHEMA mine;

-- name: path-as-a-table
-- expect: code 42P01
SELECT * FROM '/etc/passwd';

-- name: parquet-file-as-a-table
-- expect: code 42P01
SELECT * FROM 'part-00000.parquet';

-- name: url-as-a-table
-- expect: code 42P01
SELECT * FROM "file:///tmp/lake/silver/patients/part-00000.parquet";

-- name: read-parquet
-- expect: code 42883
SELECT * FROM read_parquet('/tmp/lake/silver/patients/part-00000.parquet');

-- name: read-csv
-- expect: code 42883
SELECT * FROM read_csv('/etc/passwd');

-- name: delta-scan
-- expect: code 42883
SELECT * FROM delta_scan('/tmp/lake/silver/patients');

-- name: parquet-metadata
-- expect: code 42883
SELECT * FROM parquet_metadata('part-00000.parquet');

-- name: glob-as-a-table
-- expect: code 42P01
SELECT * FROM '*.parquet';

-- name: read-a-server-file
-- expect: code 42883
SELECT pg_read_file('/etc/passwd');

-- name: large-objects
-- expect: code 42883
SELECT lo_export(1, '/tmp/x');

-- name: query-as-xml
-- expect: code 42883
SELECT query_to_xml('SELECT * FROM silver.staff', true, false, '');

-- name: connection-to-elsewhere
-- expect: code 42883
SELECT * FROM dblink('host=localhost', 'SELECT 1');

-- name: vacuum
-- expect: code 0A000
VACUUM silver.patients;

-- name: analyze
-- expect: code 0A000
ANALYZE silver.patients;

-- name: attach-another-lake
-- expect: code 0A000
ATTACH DATABASE 'x' AS y;

-- name: do-block
-- expect: code 42601
DO 'BEGIN PERFORM 1; END';

-- name: listen
-- expect: code 0A000
LISTEN rows;

-- name: lock-a-table
-- expect: code 25006
SELECT * FROM silver.patients FOR UPDATE;

-- name: writable-expression
-- expect: code 25006
WITH gone AS (DELETE FROM silver.patients RETURNING *) SELECT * FROM gone;
