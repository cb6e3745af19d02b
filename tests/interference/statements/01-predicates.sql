-- Predicates that a plan of views evaluates on hidden rows, or on raw values under a mask.
-- No shown patient has score 7; hidden ones do.

-- name: all-patients
SELECT * FROM silver.patients ORDER BY id;

-- name: all-encounters
SELECT * FROM silver.encounters ORDER BY id;

-- name: all-observations
SELECT * FROM silver.observations ORDER BY id;

-- name: all-claims
SELECT * FROM silver.claims ORDER BY id;

-- name: rows-without-an-order
-- order: none
SELECT id, name, score FROM silver.patients;

-- name: division-by-a-hidden-value
SELECT id FROM silver.patients WHERE 1 / (score - 7) > -5 ORDER BY id;

-- name: division-beside-the-tenant
-- The user's own tenant predicate is cheaper than the row filter; neither may go after the division.
SELECT id FROM silver.patients WHERE tenant_id = 'a' AND 10 / (score - 7) < 100 ORDER BY id;

-- name: division-or-hidden-tenant
SELECT id FROM silver.patients WHERE tenant_id = 'b' OR 1 / (score - 7) = 0 ORDER BY id;

-- name: overflow-of-a-hidden-value
SELECT id FROM silver.patients WHERE score + 9223372036854775807 - 9223372036854775807 > 3 AND score < 1 ORDER BY id;

-- name: product-of-hidden-values
SELECT id FROM silver.patients WHERE score * score * score > 60 ORDER BY id;

-- name: negation-of-the-least-number
SELECT id FROM silver.patients WHERE -score < -4 ORDER BY id;

-- name: absolute-value-of-the-least-number
SELECT id FROM silver.patients WHERE abs(score) = 5 ORDER BY id;

-- name: cast-of-hidden-remarks
-- What is shown casts, what is hidden does not.
SELECT id FROM silver.patients WHERE CAST(remark AS BIGINT) > 80 ORDER BY id;

-- name: cast-of-hidden-remarks-to-a-double
SELECT id FROM silver.patients WHERE remark::double precision < 3 ORDER BY id;

-- name: narrowing-cast-of-hidden-scores
SELECT id FROM silver.patients WHERE CAST(score AS SMALLINT) = 4 ORDER BY id;

-- name: cast-of-hidden-doubles-to-integers
SELECT id FROM silver.patients WHERE CAST(weight AS BIGINT) = 60 ORDER BY id;

-- name: cast-of-a-masked-number
-- expect: code 22P02
SELECT id FROM silver.patients WHERE CAST(nhs_number AS BIGINT) > 0 ORDER BY id;

-- name: cast-of-a-masked-name
-- expect: code 22P02
SELECT id FROM silver.patients WHERE CAST(name AS INTEGER) = 5;

-- name: equality-with-a-raw-name
SELECT id FROM silver.patients WHERE name = 'Person 5';

-- name: equality-with-a-hostile-raw-name
SELECT id FROM silver.patients WHERE name IN ('x''y', '', 'not a number', 'Hidden ☃');

-- name: equality-with-the-masked-name
SELECT id FROM silver.patients WHERE name = 'somebody' ORDER BY id;

-- name: raw-name-differs
SELECT count(*) FROM silver.patients WHERE name <> 'somebody';

-- name: raw-name-is-distinct
SELECT count(*) FROM silver.patients WHERE name IS DISTINCT FROM 'somebody';

-- name: length-of-a-raw-name
SELECT length(name), count(*) FROM silver.patients GROUP BY 1 ORDER BY 1;

-- name: prefix-of-a-raw-name
SELECT count(*) FROM silver.patients WHERE name LIKE 'Person%' OR name LIKE 'x%';

-- name: pattern-on-a-raw-number
SELECT id FROM silver.patients WHERE nhs_number LIKE '999%' OR nhs_number LIKE '%''%';

-- name: pattern-on-the-shown-end
SELECT id FROM silver.patients WHERE nhs_number LIKE '%0018' ORDER BY id;

-- name: case-insensitive-pattern
SELECT id FROM silver.patients WHERE status ILIKE 'ACT%' ORDER BY id;

-- name: regular-expression-on-raw-names
SELECT count(*) FROM silver.patients WHERE name ~ '^[A-Z].*[0-9]$';

-- name: regular-expression-on-remarks
SELECT count(*) FROM silver.patients WHERE remark !~ '^[0-9]+$';

-- name: similar-to-a-raw-number
SELECT count(*) FROM silver.patients WHERE nhs_number ~ '^9990';

-- name: raw-birth-dates
SELECT count(*) FROM silver.patients WHERE birth_date > DATE '1970-01-02' AND birth_date < DATE '1970-12-31';

-- name: shown-birth-year
SELECT id FROM silver.patients WHERE birth_date = DATE '1970-01-01' ORDER BY id;

-- name: day-of-a-raw-birth-date
SELECT DISTINCT extract(day FROM birth_date), extract(month FROM birth_date) FROM silver.patients ORDER BY 1, 2;

-- name: weekday-of-observations
SELECT DISTINCT extract(dow FROM taken) FROM silver.observations ORDER BY 1;

-- name: raw-postcode
SELECT id FROM silver.patients WHERE postcode LIKE '% 1AA' OR postcode LIKE '% 9ZZ' OR postcode = 'nonsense';

-- name: raw-zip
SELECT zip, count(*) FROM silver.patients WHERE zip > '099' GROUP BY zip ORDER BY zip;

-- name: phone-is-null
SELECT count(*) FROM silver.patients WHERE phone IS NULL;

-- name: phone-is-not-null
SELECT id FROM silver.patients WHERE phone IS NOT NULL OR length(phone) > 0;

-- name: coalesce-of-a-phone
SELECT DISTINCT coalesce(phone, 'none') FROM silver.patients;

-- name: ids-between-shown-ones
SELECT id FROM silver.patients WHERE id > 100 AND id < 130 ORDER BY id;

-- name: ids-at-the-ends-of-the-type
SELECT id FROM silver.patients WHERE id IN (9223372036854775807, -9223372036854775808, -1, 0, 5, 15);

-- name: hidden-tenants
SELECT id FROM silver.patients WHERE tenant_id IN ('b', 'c', 'A', 'a ') OR tenant_id IS NULL;

-- name: tenant-is-not-mine
SELECT count(*) FROM silver.patients WHERE NOT (tenant_id = 'a');

-- name: hidden-status
SELECT id FROM silver.patients WHERE status = 'secret';

-- name: consent-that-is-not-given
SELECT count(*) FROM silver.observations WHERE consented IS NOT TRUE;

-- name: other-clinics
SELECT clinic, public, count(*) FROM silver.encounters GROUP BY clinic, public ORDER BY clinic, public;

-- name: not-a-number-among-weights
SELECT count(*) FROM silver.patients WHERE weight = 'NaN'::double precision OR weight > '1e300'::double precision;

-- name: boolean-of-an-error
SELECT id FROM silver.patients WHERE (1 / (score - 7) IS NULL) IS TRUE ORDER BY id;

-- name: predicate-on-a-derived-division
SELECT id FROM (SELECT id, 1 / (score - 7) AS q FROM silver.patients) p WHERE q = 0 ORDER BY id;

-- name: case-guards-nothing-hidden
SELECT id FROM silver.patients WHERE CASE WHEN score = 7 THEN 1 / 0 ELSE score END = 2 ORDER BY id;

-- name: coalesce-guards-nothing-hidden
SELECT id FROM silver.patients WHERE coalesce(1 / (score - 7), 0) = 0 ORDER BY id;

-- name: always-true-with-an-error
SELECT count(*) FROM silver.patients WHERE 1 / (score - 7) = 1 / (score - 7) OR score IS NULL;

-- name: hidden-quantity-of-claims
SELECT id FROM silver.claims WHERE 12 / (quantity - 3) >= 3 ORDER BY id;

-- name: hidden-flag-of-observations
SELECT count(*) FROM silver.observations WHERE 60 / flag > 10;

-- name: modulo-by-hidden-days
SELECT id FROM silver.encounters WHERE 100 % days = 1 ORDER BY id;

-- name: instant-of-hidden-days
SELECT count(*) FROM silver.encounters WHERE started > to_timestamp(days * 1000000000);

-- name: repeat-of-hidden-length
SELECT id FROM silver.encounters WHERE length(repeat('x', days::int)) = 9 ORDER BY id;

-- name: text-column-compared-with-a-number
-- The engine would cast the column; hidden remarks are no numbers.
-- expect: code 42883
SELECT count(*) FROM silver.patients WHERE remark > 80;

-- name: text-column-compared-with-a-date
-- expect: code 42883
SELECT count(*) FROM silver.patients WHERE status < DATE '2000-01-01';

-- name: try-cast-of-hidden-remarks
SELECT count(*) FROM silver.patients WHERE TRY_CAST(remark AS BIGINT) IS NULL;

-- name: case-insensitive-pattern-with-hidden-text
SELECT count(*) FROM silver.patients WHERE remark ILIKE '%NOT A%' OR remark ILIKE '1_';

-- name: between-tenants
SELECT count(*) FROM silver.patients WHERE tenant_id BETWEEN 'A' AND 'zzz';

-- name: not-in-with-hidden-nulls
SELECT count(*) FROM silver.patients WHERE tenant_id NOT IN ('b', 'c');

-- name: many-values-in-a-list
SELECT count(*) FROM silver.patients WHERE id IN (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100);
