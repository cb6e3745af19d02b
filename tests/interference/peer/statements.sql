-- Statements that mean the same to PostgreSQL's row security and to Lakeward: the same rows as text, the same SQLSTATE.
-- `known:` is a difference that is meant, and must be there.

-- Who sees which rows: every person, every table.

-- name: alice-counts-patients
-- as: alice
SELECT count(*), min(id), max(id) FROM silver.patients;

-- name: alice-counts-encounters
-- as: alice
SELECT count(*), min(id), max(id) FROM silver.encounters;

-- name: alice-counts-observations
-- as: alice
SELECT count(*), min(id), max(id) FROM silver.observations;

-- name: alice-counts-claims
-- as: alice
SELECT count(*), min(id), max(id) FROM silver.claims;

-- name: alice-counts-codes
-- as: alice
SELECT count(*), min(id), max(id) FROM silver.codes;

-- name: bob-counts-patients
-- as: bob
SELECT count(*), min(id), max(id) FROM silver.patients;

-- name: bob-counts-encounters
-- as: bob
SELECT count(*), min(id), max(id) FROM silver.encounters;

-- name: bob-counts-observations
-- as: bob
SELECT count(*), min(id), max(id) FROM silver.observations;

-- name: bob-counts-claims
-- as: bob
SELECT count(*), min(id), max(id) FROM silver.claims;

-- name: bob-counts-codes
-- as: bob
SELECT count(*), min(id), max(id) FROM silver.codes;

-- name: stella-counts-patients
-- as: stella
SELECT count(*), min(id), max(id) FROM silver.patients;

-- name: stella-counts-encounters
-- as: stella
SELECT count(*), min(id), max(id) FROM silver.encounters;

-- name: stella-counts-observations
-- as: stella
SELECT count(*), min(id), max(id) FROM silver.observations;

-- name: stella-counts-claims
-- as: stella
SELECT count(*), min(id), max(id) FROM silver.claims;

-- name: stella-counts-codes
-- as: stella
SELECT count(*), min(id), max(id) FROM silver.codes;

-- name: dora-counts-encounters
-- as: dora
SELECT count(*), min(id), max(id) FROM silver.encounters;

-- name: dora-counts-claims
-- as: dora
SELECT count(*), min(id), max(id) FROM silver.claims;

-- name: dora-counts-codes
-- as: dora
SELECT count(*), min(id), max(id) FROM silver.codes;

-- name: dora-reads-claims
-- as: dora
SELECT id, quantity, state FROM silver.claims ORDER BY id;

-- name: alice-reads-claims
SELECT id, quantity, state FROM silver.claims ORDER BY id;

-- name: stella-reads-all-tenants
-- as: stella
SELECT tenant_id, count(*) FROM silver.claims GROUP BY tenant_id ORDER BY tenant_id;

-- name: stella-reads-all-clinics
-- as: stella
SELECT clinic, count(*) FROM silver.encounters GROUP BY clinic ORDER BY clinic;

-- name: dora-reads-reasons
-- as: dora
SELECT id, reason FROM silver.encounters ORDER BY id LIMIT 40;

-- name: alice-reads-reasons
SELECT id, reason FROM silver.encounters ORDER BY id LIMIT 40;

-- name: rows-where-the-condition-is-null
SELECT count(*) FROM silver.patients WHERE score IS NULL;

-- name: rows-where-the-condition-is-null-for-a-steward
-- as: stella
SELECT count(*) FROM silver.patients WHERE score IS NULL AND tenant_id = 'a';

-- name: negated-filter
SELECT count(*) FROM silver.patients WHERE NOT (score < 5);

-- name: condition-of-another-tenant
SELECT count(*) FROM silver.patients WHERE tenant_id <> 'a' OR tenant_id IS NULL;

-- name: alternatives
SELECT clinic, public, count(*) FROM silver.encounters GROUP BY clinic, public ORDER BY clinic, public;

-- name: consent
SELECT consented, count(*) FROM silver.observations GROUP BY consented ORDER BY consented;

-- Masked values, and what statements make of them.

-- name: masked-patients
SELECT id, name, nhs_number, mrn, account, birth_date, postcode, phone, remark FROM silver.patients ORDER BY id;

-- name: a-stewards-patients
-- as: stella
SELECT id, name, nhs_number, mrn, postcode, phone FROM silver.patients WHERE tenant_id = 'a' ORDER BY id LIMIT 100;

-- name: equality-with-a-mask
SELECT count(*) FROM silver.patients WHERE name = 'somebody';

-- name: equality-with-a-raw-name
SELECT count(*) FROM silver.patients WHERE name = 'x''y';

-- name: equality-with-a-raw-day
SELECT count(*) FROM silver.patients WHERE birth_date = date '1970-12-30';

-- name: like-on-a-mask
SELECT count(*) FROM silver.patients WHERE nhs_number LIKE '****%' AND nhs_number NOT LIKE '%9990%';

-- name: group-by-a-mask
SELECT postcode, count(*) FROM silver.patients GROUP BY postcode ORDER BY postcode;

-- name: group-by-a-year
SELECT birth_date, count(*), min(id) FROM silver.patients GROUP BY birth_date ORDER BY birth_date NULLS FIRST;

-- name: having-on-a-mask
SELECT mrn, count(*) FROM silver.patients GROUP BY mrn HAVING count(*) > 1 ORDER BY mrn;

-- name: distinct-masks
SELECT DISTINCT name, postcode FROM silver.patients ORDER BY name NULLS LAST, postcode;

-- name: distinct-tokens
SELECT count(DISTINCT mrn), count(DISTINCT account), count(account) FROM silver.patients;

-- name: order-by-a-mask
SELECT nhs_number, id FROM silver.patients ORDER BY nhs_number DESC NULLS LAST, id LIMIT 25;

-- name: greatest-masks
SELECT min(name), max(name), min(birth_date), max(birth_date), max(phone), min(mrn) FROM silver.patients;

-- name: case-on-a-mask
SELECT CASE WHEN phone IS NULL THEN 'none' ELSE 'some' END AS p, count(*) FROM silver.patients GROUP BY 1 ORDER BY 1;

-- name: coalesce-of-a-mask
SELECT coalesce(phone, name, 'none') AS x, count(*) FROM silver.patients GROUP BY 1 ORDER BY 1;

-- name: concatenated-masks
SELECT id, name || '/' || postcode AS x FROM silver.patients ORDER BY id LIMIT 30;

-- name: in-a-list-of-masks
SELECT count(*) FROM silver.patients WHERE postcode IN ('LS6', 'M1', 'LS6 2AB');

-- name: between-masks
SELECT count(*) FROM silver.patients WHERE birth_date BETWEEN date '1980-01-01' AND date '1990-06-01';

-- name: lengths-of-masks
SELECT length(nhs_number) AS n, count(*) FROM silver.patients GROUP BY 1 ORDER BY 1;

-- name: redacted-remarks
SELECT remark, count(*) FROM silver.patients GROUP BY remark ORDER BY remark;

-- What can fail, under row filters and masks: never on what is hidden.

-- name: division-that-fails-on-hidden-rows
SELECT id FROM silver.claims WHERE 10 / (quantity - 3) >= 0 ORDER BY id;

-- name: division-in-the-select-list
SELECT id, 100 / (quantity - 3) AS x FROM silver.claims ORDER BY id;

-- name: division-that-fails-on-shown-rows
-- expect: code 22012
SELECT id FROM silver.claims WHERE 10 / (quantity - 5) >= 0;

-- name: overflow-of-hidden-numbers
SELECT max(quantity * 1000000000000) FROM silver.claims;

-- name: cast-of-a-masked-name
-- expect: code 22P02
SELECT count(*) FROM silver.patients WHERE CAST(name AS bigint) = 5;

-- name: cast-of-hidden-texts
SELECT count(*) FROM silver.codes WHERE CAST(substr(guess, 4) AS bigint) >= 0;

-- name: division-by-days
SELECT count(*) FROM silver.encounters WHERE 12 / days > 1;

-- name: division-by-a-flag
SELECT count(*) FROM silver.observations WHERE 12 / flag > 1;

-- name: overflow-of-scores
SELECT sum(score * 9000000000000) FROM silver.patients;

-- name: division-in-an-aggregate
SELECT sum(12 / days) FROM silver.encounters;

-- name: division-in-a-case
SELECT count(*) FROM silver.claims WHERE CASE WHEN state = 'paid' THEN 8 / (quantity - 3) > 0 ELSE false END;

-- name: division-in-a-join
SELECT count(*) FROM silver.claims c JOIN silver.codes k ON k.id = c.id AND 8 / (c.quantity - 3) > 0;

-- name: division-in-an-order
SELECT id FROM silver.claims ORDER BY 8 / (quantity - 3), id LIMIT 20;

-- name: division-in-exists
SELECT count(*) FROM silver.codes k WHERE EXISTS (SELECT 1 FROM silver.claims c WHERE c.id = k.id AND 8 / (c.quantity -
3) > 0);

-- name: division-in-a-window
SELECT id, sum(8 / (quantity - 3)) OVER (ORDER BY id) AS s FROM silver.claims ORDER BY id LIMIT 30;

-- Joins.

-- name: join-of-patients
SELECT count(*), sum(e.days) FROM silver.patients p JOIN silver.encounters e ON e.patient_id = p.id;

-- name: left-join-of-patients
SELECT count(*), count(e.id) FROM silver.patients p LEFT JOIN silver.encounters e ON e.patient_id = p.id;

-- name: right-join-of-patients
SELECT count(*), count(p.id) FROM silver.patients p RIGHT JOIN silver.encounters e ON e.patient_id = p.id;

-- name: full-join
SELECT count(*), count(p.id), count(c.id) FROM silver.patients p FULL JOIN silver.claims c ON c.patient_id = p.id;

-- name: join-of-codes
SELECT k.label, p.name FROM silver.codes k JOIN silver.patients p ON p.id = k.id ORDER BY p.id LIMIT 30;

-- name: join-on-a-masked-key
SELECT count(*) FROM silver.patients p JOIN silver.codes k ON k.guess = p.mrn;

-- name: join-of-tokens
SELECT a.id, b.id FROM silver.patients a JOIN silver.patients b ON a.mrn = b.mrn AND a.id < b.id ORDER BY 1, 2;

-- name: join-on-a-masked-name
SELECT count(*) FROM silver.patients a JOIN silver.patients b ON a.name = b.name;

-- name: unequal-join
SELECT count(*) FROM silver.claims c JOIN silver.codes k ON k.id < c.id AND k.weight = c.quantity;

-- name: cross-join
SELECT count(*) FROM silver.claims c CROSS JOIN silver.claims d WHERE c.quantity = d.quantity;

-- name: three-tables
SELECT p.postcode, count(*) FROM silver.patients p JOIN silver.encounters e ON e.patient_id = p.id JOIN
silver.observations o ON o.encounter_id = e.id GROUP BY p.postcode ORDER BY 1;

-- name: anti-join
SELECT count(*) FROM silver.codes k WHERE NOT EXISTS (SELECT 1 FROM silver.patients p WHERE p.id = k.id);

-- name: semi-join
SELECT count(*) FROM silver.codes k WHERE EXISTS (SELECT 1 FROM silver.patients p WHERE p.id = k.id);

-- name: a-stewards-join
-- as: stella
SELECT c.tenant_id, count(*) FROM silver.claims c LEFT JOIN silver.patients p ON p.id = c.patient_id GROUP BY 1 ORDER
BY 1;

-- name: a-clerks-join
-- as: dora
SELECT count(*) FROM silver.claims c JOIN silver.encounters e ON e.patient_id = c.patient_id;

-- Subqueries.

-- name: scalar-subquery
SELECT (SELECT max(id) FROM silver.patients) AS m, (SELECT count(*) FROM silver.claims) AS n;

-- name: correlated-count
SELECT p.id, (SELECT count(*) FROM silver.encounters e WHERE e.patient_id = p.id) AS n FROM silver.patients p ORDER BY
p.id;

-- name: correlated-maximum
SELECT k.id, (SELECT max(c.quantity) FROM silver.claims c WHERE c.id = k.id) AS n FROM silver.codes k ORDER BY k.id
LIMIT 60;

-- name: in-a-subquery
SELECT count(*) FROM silver.encounters WHERE patient_id IN (SELECT id FROM silver.patients);

-- name: not-in-a-subquery
SELECT count(*) FROM silver.encounters WHERE patient_id NOT IN (SELECT id FROM silver.patients);

-- name: not-in-with-null
SELECT count(*) FROM silver.codes WHERE weight NOT IN (SELECT score FROM silver.patients);

-- name: exists-hidden
-- expect: code 0A000
-- known: the engine plans EXISTS in conditions only
SELECT EXISTS (SELECT 1 FROM silver.patients WHERE tenant_id = 'b') AS e;

-- name: exists-hidden-state
SELECT count(*) FROM silver.codes WHERE EXISTS (SELECT 1 FROM silver.claims WHERE state = 'secret');

-- name: lateral
SELECT k.id, d.n FROM silver.codes k CROSS JOIN LATERAL (SELECT count(*) AS n FROM silver.claims c WHERE c.id = k.id) d
ORDER BY k.id LIMIT 40;

-- name: derived-table
SELECT max(n) FROM (SELECT patient_id, count(*) AS n FROM silver.encounters GROUP BY patient_id) d;

-- name: common-table
WITH p AS (SELECT id, score FROM silver.patients WHERE score > 2) SELECT score, count(*) FROM p GROUP BY score ORDER BY
score;

-- name: recursion
WITH RECURSIVE r AS (SELECT 10 AS n UNION ALL SELECT n + 10 FROM r WHERE n < (SELECT max(id) FROM silver.claims))
SELECT count(*), max(n) FROM r;

-- Aggregates, windows, set operations.

-- name: sums
SELECT state, count(*), sum(quantity), min(amount), max(amount), sum(amount) FROM silver.claims GROUP BY state ORDER BY
state;

-- name: filtered-aggregate
SELECT count(*) FILTER (WHERE quantity > 5) AS a, count(*) FILTER (WHERE tenant_id = 'b') AS b FROM silver.claims;

-- name: rollup
SELECT state, quantity, count(*) FROM silver.claims GROUP BY ROLLUP (state, quantity) ORDER BY state NULLS LAST,
quantity NULLS LAST;

-- name: booleans
SELECT bool_and(consented) AS a, bool_or(flag > 5) AS b FROM silver.observations;

-- name: strings
SELECT quantity, string_agg(state, ',' ORDER BY id) AS s FROM silver.claims GROUP BY quantity ORDER BY quantity;

-- name: aggregate-of-nothing
SELECT count(*), sum(quantity), max(state) FROM silver.claims WHERE tenant_id = 'b';

-- name: weights
SELECT status, avg(weight), sum(weight), max(weight) FROM silver.patients GROUP BY status ORDER BY status;

-- name: rank
SELECT id, rank() OVER (PARTITION BY state ORDER BY quantity) AS r FROM silver.claims ORDER BY id;

-- name: row-number
SELECT id, row_number() OVER (ORDER BY id) AS r FROM silver.patients ORDER BY id;

-- name: lag-and-lead
SELECT id, lag(id) OVER (ORDER BY id) AS a, lead(id) OVER (ORDER BY id) AS b FROM silver.claims ORDER BY id;

-- name: running-sum
SELECT id, sum(quantity) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM silver.claims ORDER BY
id;

-- name: share-of-all
SELECT DISTINCT state, count(*) OVER (PARTITION BY state) AS n, count(*) OVER () AS m FROM silver.claims ORDER BY state;

-- name: window-over-a-mask
SELECT id, dense_rank() OVER (ORDER BY birth_date NULLS LAST) AS r FROM silver.patients ORDER BY id;

-- name: union
SELECT id FROM silver.claims WHERE quantity = 4 UNION SELECT id FROM silver.patients WHERE score = 1 ORDER BY id;

-- name: union-all
SELECT count(*) FROM (SELECT id FROM silver.claims UNION ALL SELECT id FROM silver.patients) u;

-- name: except
SELECT id FROM silver.codes EXCEPT SELECT id FROM silver.patients ORDER BY id LIMIT 50;

-- name: intersect
SELECT id FROM silver.codes INTERSECT SELECT patient_id FROM silver.claims ORDER BY id;

-- name: except-all
-- expect: code 0A000
-- known: the engine would answer as if ALL were not there, so it is refused
SELECT patient_id FROM silver.encounters EXCEPT ALL SELECT id FROM silver.patients ORDER BY 1;

-- name: limit-and-offset
SELECT id FROM silver.claims ORDER BY id DESC LIMIT 5 OFFSET 3;

-- name: limit-counts-shown-rows
SELECT count(*) FROM (SELECT id FROM silver.claims LIMIT 100) l;

-- What may not be seen, and where PostgreSQL means something else.

-- name: no-such-table
-- expect: code 42P01
SELECT * FROM silver.nowhere;

-- name: no-such-column
-- expect: code 42703
SELECT nothing FROM silver.claims;

-- name: text-compared-with-a-number
-- expect: code 42883
SELECT count(*) FROM silver.patients WHERE name = 5;

-- name: no-grant
-- expect: code 42P01
-- known: what is not granted does not exist; PostgreSQL tells it from what does not exist (42501)
SELECT count(*) FROM silver.staff;

-- name: nobody
-- as: norman
-- expect: code 42P01
-- known: as for staff
SELECT count(*) FROM silver.claims;

-- name: no-grant-on-one-side
-- as: dora
-- expect: code 42P01
-- known: as for staff
SELECT count(*) FROM silver.claims c JOIN silver.patients p ON p.id = c.patient_id;

-- name: no-policy-concerns-alice
-- known: alternatives for others leave alice all rows; in PostgreSQL row security without a policy for somebody shows none
SELECT count(*) FROM silver.appointments;

-- name: a-constant-beside-a-fallible-mask
-- expect: code 22P02
SELECT count(*) FROM silver.patients WHERE CAST(nhs_number AS bigint) > 0;
