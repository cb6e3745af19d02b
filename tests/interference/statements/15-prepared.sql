-- Prepared statements, plans kept for later, other people and new policies in between.

-- name: prepared-with-a-hidden-key
-- step: prepare q
SELECT id, name FROM silver.patients WHERE id = $1;
-- step: execute q 5
-- step: execute q 10

-- name: prepared-division
-- step: prepare q
SELECT count(*) FROM silver.patients WHERE 10 / (score - $1) > -100;
-- step: execute q 7

-- name: prepared-raw-name
-- step: prepare q
SELECT count(*) FROM silver.patients WHERE name = $1 OR nhs_number = $1;
-- step: execute q Person 5
-- step: execute q somebody

-- name: prepared-limit
-- step: prepare q
SELECT id FROM silver.patients ORDER BY score DESC NULLS LAST, id LIMIT $1;
-- step: execute q 3

-- name: prepared-then-denied
-- expect: code 42P01
-- step: prepare q
SELECT count(*) FROM silver.claims;
-- step: execute q
-- step: reload deny silver.claims
-- step: execute q

-- name: withheld-after-it-was-prepared
-- expect: code 42501
-- step: prepare q
SELECT count(*) FROM silver.claims;
-- step: reload withhold silver.claims
-- step: execute q

-- name: denied-then-allowed
-- step: prepare q
SELECT count(*) FROM silver.claims;
-- step: reload deny silver.claims
-- step: execute q
-- step: reload original
-- step: execute q

-- name: prepared-across-broken-policies
-- step: prepare q
SELECT count(*), min(name) FROM silver.patients;
-- step: reload broken
-- step: execute q

-- name: denied-while-connected
-- expect: code 42P01
SELECT count(*) FROM silver.claims;
-- step: reload deny silver.claims
SELECT count(*) FROM silver.claims;

-- name: denied-is-not-listed
-- step: reload deny silver.claims
SELECT table_name FROM information_schema.tables WHERE table_schema = 'silver' ORDER BY 1;

-- name: deny-by-pattern-hides-all
-- step: reload deny silver.*
SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('silver', 'gold') ORDER BY 1, 2;

-- name: another-tenant-asked-before
-- The same text, planned for bob before: no plan or answer of his is used for alice.
-- step: quietly as bob
SELECT id, name, nhs_number FROM silver.patients ORDER BY id LIMIT 5;
-- step: as alice
SELECT id, name, nhs_number FROM silver.patients ORDER BY id LIMIT 5;

-- name: another-tenant-prepared-before
-- step: quietly as bob
-- step: prepare q
SELECT count(*) FROM silver.patients WHERE id > $1;
-- step: execute q 0
-- step: as alice
-- step: prepare q
SELECT count(*) FROM silver.patients WHERE id > $1;
-- step: execute q 0

-- name: clerk-planned-before
-- step: quietly as dora
EXPLAIN SELECT count(*) FROM silver.documents;
-- step: as alice
SELECT count(*) FROM silver.documents;

-- name: after-bob-the-clerk-still-may-not
-- expect: code 42501
-- step: quietly as bob
SELECT count(*) FROM silver.encounters;
-- step: as dora
SELECT count(*) FROM silver.encounters;

-- name: sql-prepare
-- expect: code 0A000
PREPARE q AS SELECT * FROM silver.patients;

-- name: sql-declare-a-cursor
-- expect: code 0A000
DECLARE c CURSOR FOR SELECT * FROM silver.patients;

-- name: sql-fetch
-- expect: code 0A000
FETCH 5 FROM c;

-- name: discard-plans
-- step: prepare q
SELECT count(*) FROM silver.patients;
DISCARD PLANS;
-- step: execute q

-- name: failed-transaction-says-no-more
-- expect: code 25P02
BEGIN;
SELECT id, 1 / (score - 3) FROM silver.patients;
SELECT count(*) FROM silver.patients;

-- name: transaction-goes-on-over-hidden-errors
BEGIN;
SELECT count(*) FROM silver.patients WHERE 1 / (score - 7) > -5;
SELECT count(*) FROM silver.patients;
COMMIT;

-- name: portal-across-fetches
-- door: extended
BEGIN;
-- step: prepare q
SELECT * FROM silver.claims ORDER BY id;
-- step: fetch q 10
-- step: fetch q 200
-- step: fetch q 200

-- name: portal-with-a-hidden-error
-- door: extended
BEGIN;
-- step: prepare q
SELECT id, 12 / (quantity - 3) FROM silver.claims ORDER BY id;
-- step: fetch q 100
-- step: fetch q 1000

-- name: portal-across-a-reload
-- Rows that wait in a suspended portal are rows of policies that hold no more.
-- door: extended
-- expect: code 57014
BEGIN;
-- step: prepare q
SELECT * FROM silver.claims ORDER BY id;
-- step: fetch q 10
-- step: reload withhold silver.claims
-- step: fetch q 10
