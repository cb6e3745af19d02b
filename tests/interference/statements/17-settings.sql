-- SET and roles: nothing that a session says about itself changes who it is or how plans are made.

-- name: set-role
-- expect: code 42501
SET ROLE operator;

-- name: set-session-authorization
-- expect: code 42501
SET SESSION AUTHORIZATION oscar;

-- name: set-local-role
-- expect: code 42501
SET LOCAL ROLE analyst;

-- name: set-row-security-off
-- expect: code 22023
SET row_security = off;

-- name: set-tenant
-- expect: code 42704
SET lakeward.tenant = 'b';

-- name: set-engine-push-down
-- expect: code 42704
SET datafusion.execution.parquet.pushdown_filters = true;

-- name: set-engine-partitions
-- expect: code 42704
SET datafusion.execution.target_partitions = 1;

-- name: set-optimizer-passes
-- expect: code 42704
SET datafusion.optimizer.max_passes = 0;

-- name: set-join-by-hash
-- expect: code 42704
SET enable_hashjoin = off;

-- name: set-role-by-function
-- expect: code 0A000
SELECT set_config('role', 'operator', false);

-- name: set-session-authorization-by-function
-- expect: code 0A000
SELECT set_config('session_authorization', 'oscar', false);

-- name: set-tenant-by-function
-- expect: code 0A000
SELECT set_config('lakeward.tenant', 'b', false);

-- name: who-am-i
SELECT current_user, session_user, current_role;

-- name: who-am-i-after-trying
-- step: quietly as alice
SET ROLE operator;
-- step: as alice
SELECT current_user, count(*) FROM silver.patients;

-- name: show-role
-- expect: code 42704
SHOW role;

-- name: search-path-to-the-forbidden
-- expect: code 42P01
SET search_path = bronze, silver;
SELECT * FROM raw;

-- name: search-path-shows-the-same
SET search_path = silver;
SELECT count(*), max(score) FROM patients;

-- name: time-zone-of-masked-dates
SET TIME ZONE 'Pacific/Kiritimati';
SELECT max(birth_date)::timestamptz, max(taken)::timestamptz FROM silver.patients, silver.observations;

-- name: time-zone-of-instants
SET TIME ZONE 'America/New_York';
SELECT min(started), max(started) FROM silver.encounters;

-- name: set-application-name
SET application_name = 'oscar';
SELECT count(*) FROM silver.patients;

-- name: alter-role
-- expect: code 0A000
ALTER ROLE alice SET role = 'operator';

-- name: grant-to-myself
-- expect: code 42501
GRANT SELECT ON silver.staff TO alice;

-- name: grant-on-what-there-is-not
-- expect: code 42501
GRANT SELECT ON silver.nothing TO alice;

-- name: drop-the-row-policy
-- expect: code 42501
DROP ROW POLICY own_tenant;

-- name: drop-no-row-policy
-- expect: code 42501
DROP ROW POLICY IF EXISTS nothing;

-- name: show-policies
-- expect: code 42501
SHOW POLICIES ON silver.patients;

-- name: explain-policy
-- expect: code 42501
EXPLAIN POLICY FOR USER oscar ON silver.patients;

-- name: create-role
-- expect: code 0A000
CREATE ROLE mine;

-- name: create-policy
-- expect: code 0A000
CREATE POLICY p ON silver.patients USING (true);

-- name: disable-row-security
-- expect: code 0A000
ALTER TABLE silver.patients DISABLE ROW LEVEL SECURITY;

-- name: reset-everything
RESET ALL;
SELECT count(*) FROM silver.patients;

-- name: discard-everything
DISCARD ALL;
SELECT count(*) FROM silver.patients;
