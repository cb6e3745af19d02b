-- Groups, distinct values and aggregates over masked columns and hidden groups.

-- name: group-by-masked-name
SELECT name, count(*) FROM silver.patients GROUP BY name ORDER BY name;

-- name: group-by-masked-number
SELECT nhs_number, count(*) FROM silver.patients GROUP BY nhs_number ORDER BY 1;

-- name: group-by-birth-year
SELECT birth_date, count(*) FROM silver.patients GROUP BY birth_date ORDER BY 1;

-- name: group-by-postcode-and-zip
SELECT postcode, zip, count(*) FROM silver.patients GROUP BY postcode, zip ORDER BY 1, 2;

-- name: count-distinct-raw-names
SELECT count(DISTINCT name), count(name), count(*) FROM silver.patients;

-- name: count-distinct-raw-numbers
SELECT count(DISTINCT nhs_number), count(DISTINCT birth_date), count(DISTINCT postcode) FROM silver.patients;

-- name: count-distinct-phones
SELECT count(DISTINCT phone), count(phone) FROM silver.patients;

-- name: count-distinct-tokens
SELECT count(DISTINCT mrn), count(DISTINCT account) FROM silver.patients;

-- name: group-by-tenant
SELECT tenant_id, count(*) FROM silver.patients GROUP BY tenant_id ORDER BY 1;

-- name: group-by-status-has-no-secret-group
SELECT status, count(*), min(id), max(id) FROM silver.patients GROUP BY status ORDER BY 1;

-- name: group-by-kind
SELECT kind, count(*), sum(flag), max(value) FROM silver.observations GROUP BY kind ORDER BY 1;

-- name: averages-without-not-a-number
SELECT kind, avg(value), stddev(value) FROM silver.observations GROUP BY kind ORDER BY 1;

-- name: median-of-weights
SELECT median(weight), var_pop(weight) FROM silver.patients;

-- name: correlation-of-hidden-values
SELECT corr(weight, score) FROM silver.patients;

-- name: concatenation-of-names
SELECT string_agg(name, ',' ORDER BY id) FROM silver.patients;

-- name: array-of-numbers
SELECT array_agg(nhs_number ORDER BY id) FROM silver.patients;

-- name: array-of-phones
SELECT array_agg(DISTINCT phone) FROM silver.patients;

-- name: first-and-last-raw-value
SELECT first_value(name ORDER BY id), last_value(name ORDER BY id) FROM silver.patients;

-- name: least-and-greatest-raw-values
SELECT min(name), max(name), min(nhs_number), max(nhs_number), min(postcode), max(postcode) FROM silver.patients;

-- name: least-and-greatest-dates
SELECT min(birth_date), max(birth_date) FROM silver.patients;

-- name: least-and-greatest-tokens
SELECT min(mrn), max(mrn), min(account), max(account) FROM silver.patients;

-- name: boolean-aggregates
SELECT bool_and(public), bool_or(public), bool_and(days < 10) FROM silver.encounters;

-- name: grouping-sets
SELECT tenant_id, status, count(*) FROM silver.patients
GROUP BY GROUPING SETS ((tenant_id), (status), ()) ORDER BY 1, 2, 3;

-- name: cube-of-clinics
SELECT clinic, public, count(*) FROM silver.encounters GROUP BY CUBE (clinic, public) ORDER BY 1, 2, 3;

-- name: rollup-of-claims
SELECT tenant_id, state, sum(amount) FROM silver.claims GROUP BY ROLLUP (tenant_id, state) ORDER BY 1, 2;

-- name: having-on-a-raw-value
SELECT status FROM silver.patients GROUP BY status HAVING max(name) <> 'somebody' OR min(nhs_number) < '*';

-- name: group-by-an-expression-of-a-raw-value
SELECT substr(name, 1, 1), upper(substr(nhs_number, 1, 2)), count(*) FROM silver.patients GROUP BY 1, 2 ORDER BY 1, 2;

-- name: group-by-the-hash-of-a-raw-value
SELECT md5(coalesce(nhs_number, '')), count(*) FROM silver.patients GROUP BY 1 ORDER BY 1;

-- name: counts-of-null-columns
SELECT count(score), count(account), count(birth_date), count(nhs_number) FROM silver.patients;

-- name: bit-aggregates
SELECT bit_or(score), bit_and(quantity) FROM silver.patients p JOIN silver.claims c ON c.patient_id = p.id;

-- name: approximate-counts-of-raw-values
SELECT approx_distinct(name) FROM silver.patients;

-- name: approximate-percentile
-- Sketches are merged batch by batch.
-- known: batches end where hidden rows make them end
SELECT approx_percentile_cont(0.9) WITHIN GROUP (ORDER BY weight) FROM silver.patients;

-- name: approximate-median
-- known: batches end where hidden rows make them end
SELECT approx_median(score), approx_median(weight) FROM silver.patients;

-- name: histogram-of-scores
SELECT score, count(*), round(100.0 * count(*) / sum(count(*)) OVER (), 2) FROM silver.patients GROUP BY score ORDER BY 1;
