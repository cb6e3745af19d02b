-- Catalogs: what they list, how much they say there is, and what numbers they give.

-- name: information-schema-tables
SELECT table_schema, table_name, table_type FROM information_schema.tables ORDER BY 1, 2;

-- name: information-schema-columns
SELECT table_schema, table_name, column_name, ordinal_position, data_type, is_nullable FROM information_schema.columns
WHERE table_schema IN ('silver', 'gold', 'bronze') ORDER BY 1, 2, 4;

-- name: information-schema-schemata
SELECT schema_name FROM information_schema.schemata ORDER BY 1;

-- name: information-schema-forbidden
SELECT count(*) FROM information_schema.tables WHERE table_schema = 'bronze' OR table_name = 'staff';

-- name: pg-tables
SELECT schemaname, tablename FROM pg_catalog.pg_tables WHERE schemaname <> 'pg_catalog' ORDER BY 1, 2;

-- name: pg-class-of-the-lake
SELECT n.nspname, c.relname, c.relkind, c.relnatts FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('silver', 'gold', 'bronze') ORDER BY 1, 2;

-- name: pg-class-numbers
-- Numbers of objects must not count those that are hidden.
SELECT c.oid::bigint, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('silver', 'gold') ORDER BY 2;

-- name: pg-class-sizes
SELECT relname, reltuples, relpages FROM pg_catalog.pg_class WHERE relname IN ('patients', 'claims', 'staff', 'raw') ORDER BY 1;

-- name: pg-namespace
SELECT nspname FROM pg_catalog.pg_namespace ORDER BY 1;

-- name: pg-attribute
SELECT a.attname, a.attnum, format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relname = 'patients' AND a.attnum > 0 ORDER BY 2;

-- name: pg-attribute-of-the-forbidden
SELECT count(*) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relname IN ('staff', 'raw');

-- name: pg-stats
-- expect: code 42P01
SELECT count(*) FROM pg_catalog.pg_stats;

-- name: pg-statistic
-- expect: code 42P01
SELECT * FROM pg_catalog.pg_statistic;

-- name: table-size
SELECT pg_relation_size('silver.patients'::regclass), pg_total_relation_size('silver.patients'::regclass);

-- name: database-size
SELECT pg_database_size('lakeward');

-- name: descriptions
SELECT obj_description('silver.patients'::regclass), col_description('silver.patients'::regclass, 3);

-- name: name-of-a-forbidden-table
SELECT to_regclass('silver.staff'), to_regclass('bronze.raw'), to_regclass('silver.nothing');

-- name: cast-of-a-forbidden-name
-- expect: code 42P01
SELECT 'silver.staff'::regclass;

-- name: privilege-on-a-forbidden-table
-- expect: code 42P01
SELECT has_table_privilege('silver.staff', 'SELECT');

-- name: privilege-on-a-schema
-- expect: code 3F000
SELECT has_schema_privilege('bronze', 'USAGE');

-- name: current-schemas
SELECT current_schemas(false), current_schema();

-- name: roles
SELECT rolname FROM pg_catalog.pg_roles ORDER BY 1;

-- name: policies-are-for-operators
-- expect: code 42P01
SELECT * FROM system.policies;

-- name: tables-are-for-operators
-- expect: code 42P01
SELECT * FROM system.tables;

-- name: row-security-catalog
SELECT count(*) FROM pg_catalog.pg_policies;

-- name: views-have-no-definition
SELECT count(*) FROM information_schema.views WHERE table_schema IN ('silver', 'gold');

-- name: catalog-of-a-clerk
-- as: dora
SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('silver', 'gold', 'bronze') ORDER BY 1, 2;

-- name: catalog-of-nobody
-- as: norman
SELECT count(*) FROM information_schema.tables WHERE table_schema IN ('silver', 'gold', 'bronze');

-- name: indexes-and-constraints
SELECT (SELECT count(*) FROM pg_catalog.pg_index), (SELECT count(*) FROM pg_catalog.pg_constraint);

-- name: settings-by-function
SELECT current_setting('search_path'), current_setting('server_version');

-- name: activity-of-others
SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE query LIKE '%bob%';

-- name: statements-of-others
-- step: quietly as bob
SELECT 'words of bob', count(*) FROM silver.patients;
-- step: as alice
SELECT user_name, count(*) FROM system.queries WHERE query LIKE '%words of%' AND query NOT LIKE '%system.queries%' GROUP BY 1;
