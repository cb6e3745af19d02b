-- Errors as a channel: which one comes, with what text, and from whose row.

-- name: error-of-a-shown-row
-- expect: code 22012
SELECT id, 1 / (score - 3) FROM silver.patients ORDER BY id;

-- name: error-of-a-shown-row-among-hidden-ones
-- expect: code 22012
SELECT count(*) FROM silver.encounters WHERE 1 / (days - 9) > 0;

-- name: division-in-the-list
SELECT id, 1 / (score - 7) FROM silver.patients ORDER BY id;

-- name: division-in-an-aggregate
SELECT sum(1 / (score - 7)), count(*) FROM silver.patients;

-- name: division-in-a-group
SELECT 1 / (score - 7) AS q, count(*) FROM silver.patients GROUP BY 1 ORDER BY 1;

-- name: division-in-having
SELECT status, count(*) FROM silver.patients GROUP BY status HAVING 1 / (max(score) - 7) <= 0 ORDER BY 1;

-- name: division-in-a-filter-clause
SELECT count(*) FILTER (WHERE 1 / (score - 7) = 0) FROM silver.patients;

-- name: division-under-a-limit
SELECT id FROM silver.patients ORDER BY 1 / (score - 7), id LIMIT 2;

-- name: division-by-zero-literal
-- No row is shown, whatever is computed of it.
SELECT 1 / 0 FROM silver.patients WHERE id = 5;

-- name: sum-overflows-with-hidden-rows
SELECT sum(score), avg(score) FROM silver.patients;

-- name: sum-of-large-decimals
SELECT sum(amount), min(amount), max(amount) FROM silver.claims;

-- name: sum-of-quantities
SELECT sum(quantity * quantity) FROM silver.claims;

-- name: cast-in-the-list
SELECT id, CAST(remark AS BIGINT) FROM silver.patients ORDER BY id;

-- name: cast-in-an-aggregate
SELECT sum(remark::bigint), max(remark::int) FROM silver.patients;

-- name: cast-of-names-quotes-nothing
-- expect: code 22P02
SELECT name::bigint FROM silver.patients ORDER BY id;

-- name: cast-of-names-to-dates-quotes-nothing
-- expect: code 22P02
SELECT name::date FROM silver.patients ORDER BY id;

-- name: cast-of-raw-numbers-quotes-nothing
-- expect: code 22P02
SELECT sum(nhs_number::bigint) FROM silver.patients;

-- name: cast-of-a-token-quotes-nothing
-- expect: code 22P02
SELECT account::bigint FROM silver.patients WHERE account IS NOT NULL ORDER BY id;

-- name: token-is-no-number
-- expect: code 42883
SELECT id FROM silver.patients WHERE account = 5;

-- name: timestamp-of-remarks
-- expect: code 22P02
SELECT to_timestamp(remark) FROM silver.patients WHERE id = 10;

-- name: dates-beyond-the-calendar
SELECT max(birth_date)::text, min(birth_date)::text FROM silver.patients;

-- name: every-birth-date-as-text
SELECT DISTINCT birth_date::text FROM silver.patients ORDER BY 1;

-- name: days-beyond-the-calendar-as-text
SELECT id, day::text FROM silver.appointments ORDER BY id;

-- name: days-beyond-the-calendar-shifted
SELECT count(*), max(day + INTERVAL '1 month') FROM silver.appointments;

-- name: two-errors-one-hidden
-- A shown row divides by zero; a hidden one would overflow. Which error comes must not change.
-- expect: code 22012
SELECT id FROM silver.patients WHERE 1 / (score - 3) + score * 4611686018427387904 > 0 ORDER BY id;

-- name: error-after-an-empty-result
SELECT 1 / (score - 7) FROM silver.patients WHERE status = 'secret';

-- name: error-in-an-unread-column
SELECT count(*) FROM (SELECT 1 / (score - 7) AS q, id FROM silver.patients) p;

-- name: error-in-a-scalar-subquery
-- expect: code 21000
SELECT (SELECT id FROM silver.patients WHERE tenant_id = 'a');

-- name: scalar-subquery-of-a-hidden-row
SELECT (SELECT score FROM silver.patients WHERE id = 5);

-- name: scalar-subquery-of-twins
-- Hidden rows have the same id in several tables; one shown row stays one row.
SELECT (SELECT patient_id FROM silver.encounters WHERE id = 20);

-- name: array-index-of-hidden-length
SELECT id, labels[2] FROM silver.documents ORDER BY id;

-- name: substring-with-a-hidden-length
SELECT count(*) FROM silver.patients WHERE substr(remark, 1, score::int) = '1';

-- name: square-root-of-hidden-values
SELECT max(sqrt(score)), min(ln(score + 1)) FROM silver.patients WHERE score >= 0;

-- name: power-of-hidden-values
SELECT max(power(score, 2)) FROM silver.patients;

-- name: date-arithmetic-with-hidden-days
SELECT max(birth_date + INTERVAL '1 year') FROM silver.patients;

-- name: instants-from-hidden-days
SELECT max(to_timestamp(days * 1000000000)) FROM silver.encounters;

-- name: to-char-of-hidden-dates
SELECT DISTINCT to_char(birth_date, '%Y') FROM silver.patients ORDER BY 1;

-- name: decimal-product-overflows
SELECT max(amount * 100) FROM silver.claims;

-- name: decode-of-masked-text
-- expect: code 22000
SELECT decode(nhs_number, 'hex') FROM silver.patients WHERE nhs_number IS NOT NULL ORDER BY id;

-- name: chr-of-hidden-scores
SELECT max(chr(score + 65)) FROM silver.patients;

-- name: which-error-comes-first
-- Two shown rows fail in different ways. Which of them is met first depends on where batches end, and that
-- on how many hidden rows lie between shown ones.
-- known: batches end where hidden rows make them end
SELECT sum(1 / (id - 1200) + CASE WHEN id = 1000 THEN 9223372036854775807 + score ELSE 0 END) FROM silver.patients;

-- name: error-beside-a-selective-predicate
-- AND evaluates its right side on the whole batch, or where few rows are left on these alone.
-- known: batches end where hidden rows make them end
SELECT id FROM silver.patients WHERE id + 0 <= 280 AND score + 0 <> 3 AND 1 / (score - 3) > -5 ORDER BY id;
