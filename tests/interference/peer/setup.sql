-- The policies of policies.yaml, as PostgreSQL says them. The tables are there already: `raw` holds those that are
-- masked, behind views of the same names in `silver`; the others are in `silver` themselves.

CREATE ROLE analyst;
CREATE ROLE clerk;
CREATE ROLE steward IN ROLE analyst;
CREATE ROLE alice LOGIN IN ROLE analyst;
CREATE ROLE bob LOGIN IN ROLE analyst;
CREATE ROLE dora LOGIN IN ROLE clerk;
CREATE ROLE norman LOGIN;
CREATE ROLE stella LOGIN IN ROLE steward;
ALTER ROLE alice SET app.tenant = 'a';
ALTER ROLE bob SET app.tenant = 'b';
ALTER ROLE dora SET app.tenant = 'a';
ALTER ROLE norman SET app.tenant = 'a';
ALTER ROLE stella SET app.tenant = 'a';
ALTER ROLE alice SET app.clinic = 'north';
ALTER ROLE bob SET app.clinic = 'north';
ALTER ROLE dora SET app.clinic = 'north';
ALTER ROLE norman SET app.clinic = 'north';
ALTER ROLE stella SET app.clinic = 'north';

GRANT USAGE ON SCHEMA raw, silver TO public;
GRANT SELECT ON raw.patients, raw.encounters, silver.observations, silver.claims, silver.appointments, silver.codes TO analyst;
GRANT SELECT ON silver.claims, raw.encounters, silver.codes TO clerk;

ALTER TABLE raw.patients ENABLE ROW LEVEL SECURITY;
ALTER TABLE raw.encounters ENABLE ROW LEVEL SECURITY;
ALTER TABLE silver.observations ENABLE ROW LEVEL SECURITY;
ALTER TABLE silver.claims ENABLE ROW LEVEL SECURITY;
ALTER TABLE silver.appointments ENABLE ROW LEVEL SECURITY;

-- Where no permissive policy concerns somebody, PostgreSQL shows no row, and Lakeward what the restrictive ones leave.
CREATE POLICY everything ON raw.patients USING (true);
CREATE POLICY everything ON silver.observations USING (true);

-- EXCEPT is a way around the condition.
CREATE POLICY own_tenant ON raw.patients AS RESTRICTIVE
  USING (pg_has_role('steward', 'member') OR tenant_id = current_setting('app.tenant'));
CREATE POLICY own_tenant ON raw.encounters AS RESTRICTIVE
  USING (pg_has_role('steward', 'member') OR tenant_id = current_setting('app.tenant'));
CREATE POLICY own_tenant ON silver.observations AS RESTRICTIVE
  USING (pg_has_role('steward', 'member') OR tenant_id = current_setting('app.tenant'));
CREATE POLICY own_tenant ON silver.claims AS RESTRICTIVE
  USING (pg_has_role('steward', 'member') OR tenant_id = current_setting('app.tenant'));
CREATE POLICY scored ON raw.patients AS RESTRICTIVE TO analyst USING (pg_has_role('steward', 'member') OR score < 5);
CREATE POLICY consent ON silver.observations AS RESTRICTIVE USING (consented);
CREATE POLICY own_clinic ON raw.encounters USING (clinic = current_setting('app.clinic'));
CREATE POLICY public ON raw.encounters USING (public IS TRUE);
CREATE POLICY small ON silver.claims AS RESTRICTIVE TO clerk USING (quantity < 7);
CREATE POLICY paid ON silver.claims TO clerk USING (state = 'paid');
CREATE POLICY several ON silver.claims TO analyst USING (quantity > 4 OR state = 'open');
CREATE POLICY clerks_days ON silver.appointments TO clerk USING (day > date '2020-03-01');

-- HMAC-SHA-256 of domain and value; the pads are the key's.
CREATE FUNCTION raw.token(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT encode(substr(sha256(:outer || sha256(:inner || '\x0700000000000000'::bytea || 'patient'::bytea || convert_to(value, 'UTF8'))), 1, 16), 'hex')
$$;
GRANT EXECUTE ON FUNCTION raw.token TO public;

CREATE VIEW silver.patients WITH (security_barrier, security_invoker) AS
SELECT id, tenant_id,
  CASE WHEN pg_has_role('steward', 'member') OR name IS NULL THEN name ELSE 'somebody' END AS name,
  CASE WHEN pg_has_role('steward', 'member') THEN nhs_number
    WHEN length(nhs_number) > 4 THEN repeat('*', length(nhs_number) - 4) || right(nhs_number, 4)
    ELSE repeat('*', length(nhs_number)) END AS nhs_number,
  raw.token(mrn) AS mrn, raw.token(account::text) AS account,
  date_trunc('year', birth_date)::date AS birth_date,
  CASE WHEN pg_has_role('steward', 'member') THEN postcode
    WHEN strpos(postcode, ' ') > 0 THEN split_part(postcode, ' ', 1)
    WHEN postcode IS NOT NULL THEN '' END AS postcode,
  zip, NULL::text AS phone, score, weight, status,
  regexp_replace(regexp_replace(remark, '[[:alpha:]]', 'x', 'g'), '[[:digit:]]', '0', 'g') AS remark
FROM raw.patients;
CREATE VIEW silver.encounters WITH (security_barrier, security_invoker) AS
SELECT id, patient_id, tenant_id, clinic, public, started, days,
  CASE WHEN reason IS NULL OR NOT pg_has_role('analyst', 'member') THEN reason ELSE 'withheld' END AS reason
FROM raw.encounters;
GRANT SELECT ON silver.patients, silver.encounters TO analyst;
GRANT SELECT ON silver.encounters TO clerk;
