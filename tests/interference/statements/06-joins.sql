-- Joins: build sides, dynamic filters and null-aware plans that depend on how much is hidden.

-- name: join-on-a-shared-key
SELECT p.id, c.id FROM silver.patients p JOIN silver.claims c ON c.patient_id = p.id ORDER BY 1, 2;

-- name: join-with-a-larger-or-smaller-table
-- The codes are more than the patients of lake A and fewer than those of lake B.
SELECT p.id, k.label FROM silver.patients p JOIN silver.codes k ON k.id = p.id ORDER BY 1;

-- name: join-order-without-an-order
-- order: none
SELECT p.id, k.label, o.kind FROM silver.patients p JOIN silver.codes k ON k.id = p.id
JOIN silver.encounters e ON e.patient_id = p.id JOIN silver.observations o ON o.encounter_id = e.id;

-- name: four-tables
SELECT p.status, o.kind, count(*), sum(c.amount) FROM silver.patients p
JOIN silver.encounters e ON e.patient_id = p.id JOIN silver.observations o ON o.encounter_id = e.id
JOIN silver.claims c ON c.patient_id = p.id GROUP BY 1, 2 ORDER BY 1, 2;

-- name: left-join-to-hidden-partners
-- An outer join fills with NULL where the partner is hidden, and must not say that there is one.
SELECT k.id, p.id FROM silver.codes k LEFT JOIN silver.patients p ON p.id = k.id WHERE k.id < 60 ORDER BY 1;

-- name: left-join-to-hidden-ids
SELECT v.id, p.id, p.status FROM (VALUES (5), (10), (15), (20)) v(id)
LEFT JOIN silver.patients p ON p.id = v.id ORDER BY 1;

-- name: right-join-of-hidden-owners
SELECT p.id, e.id FROM silver.patients p RIGHT JOIN silver.encounters e ON e.patient_id = p.id
WHERE p.id IS NULL ORDER BY 2;

-- name: full-join
SELECT count(*), count(p.id), count(e.id) FROM silver.patients p FULL JOIN silver.encounters e ON e.id = p.id;

-- name: cross-join-counts
SELECT count(*) FROM silver.documents d CROSS JOIN silver.claims c;

-- name: join-on-masked-names
SELECT count(*) FROM silver.patients a JOIN silver.patients b ON a.name = b.name WHERE a.id < 100 AND b.id < 100;

-- name: join-on-masked-numbers
SELECT a.id, b.id FROM silver.patients a JOIN silver.patients b ON a.nhs_number = b.nhs_number AND a.id < b.id
WHERE a.id < 200 ORDER BY 1, 2;

-- name: join-on-birth-years
SELECT count(*) FROM silver.patients a JOIN silver.patients b ON a.birth_date = b.birth_date;

-- name: join-a-guess-with-a-raw-name
SELECT p.id FROM silver.patients p
JOIN (VALUES ('Person 1'), ('Person 2'), ('x''y'), ('')) g(name) ON g.name = p.name;

-- name: join-guesses-with-raw-numbers
SELECT p.id FROM silver.patients p
JOIN (VALUES ('9990000001'), ('9990000002'), ('9990009999')) g(n) ON g.n = p.nhs_number;

-- name: join-tokens-of-one-domain
SELECT p.id, c.id FROM silver.patients p JOIN silver.claims c ON c.policy_no = p.mrn ORDER BY 1, 2 LIMIT 50;

-- name: join-tokens-counts-only-shown
SELECT count(*) FROM silver.patients p LEFT JOIN silver.claims c ON c.policy_no = p.mrn;

-- name: join-tokens-with-guesses
-- A reference table holds the raw numbers; tokens never equal them.
SELECT count(*) FROM silver.patients p JOIN silver.codes k ON k.guess = p.mrn;

-- name: join-on-an-error
SELECT p.id, k.id FROM silver.patients p JOIN silver.codes k ON k.id = 60 / (p.score - 7) ORDER BY 1, 2;

-- name: join-on-a-cast
SELECT count(*) FROM silver.patients p JOIN silver.codes k ON k.weight = p.remark::bigint;

-- name: join-filter-with-an-error
SELECT count(*) FROM silver.patients p JOIN silver.encounters e ON e.patient_id = p.id AND 10 / (p.score - 7) < e.days;

-- name: join-on-inequality
SELECT count(*) FROM silver.documents d JOIN silver.patients p ON p.id < d.id AND p.score > 4;

-- name: join-using
SELECT id, p.status, c.state FROM silver.patients p JOIN silver.claims c USING (id) ORDER BY id;

-- name: natural-join
SELECT count(*) FROM silver.patients NATURAL JOIN silver.claims;

-- name: self-join-finds-no-twin
-- Hidden rows have the patients' ids between them.
SELECT count(*) FROM silver.patients a JOIN silver.patients b ON a.id = b.id + 5;

-- name: semi-join
SELECT id FROM silver.codes WHERE id IN (SELECT id FROM silver.patients) AND id < 200 ORDER BY id;

-- name: anti-join
SELECT id FROM silver.codes WHERE id NOT IN (SELECT id FROM silver.patients) ORDER BY id LIMIT 20;

-- name: anti-join-with-hidden-nulls
-- NOT IN with a NULL in the list is never true: a hidden NULL would empty the answer.
SELECT clinic FROM gold.clinics WHERE clinic NOT IN (SELECT tenant_id FROM silver.patients) ORDER BY 1;

-- name: not-exists-a-hidden-row
SELECT v.id FROM (VALUES (5), (10), (-1)) v(id)
WHERE NOT EXISTS (SELECT 1 FROM silver.patients p WHERE p.id = v.id) ORDER BY 1;

-- name: lateral-join
SELECT c.clinic, x.n FROM gold.clinics c,
LATERAL (SELECT count(*) AS n FROM silver.encounters e WHERE e.clinic = c.clinic) x ORDER BY 1;

-- name: dynamic-filter-from-a-masked-key
SELECT p.id FROM silver.patients p JOIN (SELECT DISTINCT policy_no FROM silver.claims WHERE id < 60) c
ON c.policy_no = p.mrn ORDER BY 1;

-- name: top-k-over-a-join
SELECT p.id, e.id FROM silver.patients p JOIN silver.encounters e ON e.patient_id = p.id
ORDER BY e.days DESC, p.id DESC, e.id LIMIT 7;

-- name: interval-analysis-under-a-join
-- To choose its sides the engine estimates how many rows the predicate leaves, by casting bounds of columns.
SELECT count(*) FROM silver.codes k JOIN silver.patients p ON p.id = k.id WHERE p.score::smallint < 3;

-- name: interval-analysis-of-ids-under-a-join
SELECT count(*) FROM silver.codes k JOIN silver.encounters e ON e.id = k.id WHERE e.days::smallint + 1 > 3 AND e.id::int > 50;

-- name: union-of-a-join-and-its-hidden-half
SELECT count(*) FROM (
  SELECT p.id FROM silver.patients p JOIN silver.claims c ON c.patient_id = p.id
  UNION ALL
  SELECT c.id FROM silver.claims c WHERE NOT EXISTS (SELECT 1 FROM silver.patients p WHERE p.id = c.patient_id)
) x;

-- name: range-join-on-hidden-values
SELECT count(*) FROM silver.codes k JOIN silver.patients p ON k.weight BETWEEN p.score - 1 AND p.score + 1 WHERE k.id < 300;

-- name: join-on-hidden-doubles
SELECT count(*) FROM silver.observations o JOIN silver.patients p ON o.value = p.weight;
