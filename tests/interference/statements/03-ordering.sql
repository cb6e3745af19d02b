-- Order, ties and ranks on columns whose raw values are masked, and thresholds that hidden rows set.

-- name: order-by-masked-name
SELECT id FROM silver.patients ORDER BY name, id;

-- name: order-by-masked-number
SELECT id, nhs_number FROM silver.patients ORDER BY nhs_number DESC, id LIMIT 20;

-- name: order-by-masked-birth-date
SELECT id FROM silver.patients ORDER BY birth_date DESC NULLS LAST, id LIMIT 20;

-- name: order-by-masked-postcode
SELECT id FROM silver.patients ORDER BY postcode, id LIMIT 25;

-- name: order-by-a-column-of-nulls
SELECT id FROM silver.patients ORDER BY phone, id LIMIT 10;

-- name: order-by-token
SELECT id, mrn FROM silver.patients ORDER BY mrn, id LIMIT 10;

-- name: order-by-raw-account
SELECT id FROM silver.patients ORDER BY account, id LIMIT 10;

-- name: first-of-hidden-extremes
SELECT id, score FROM silver.patients ORDER BY score DESC NULLS LAST, id LIMIT 5;

-- name: last-of-hidden-extremes
SELECT id, weight FROM silver.patients ORDER BY weight, id LIMIT 5;

-- name: top-k-with-many-hidden-winners
SELECT id, quantity FROM silver.claims ORDER BY quantity DESC, id LIMIT 3;

-- name: top-k-of-ids
SELECT id FROM silver.patients ORDER BY id DESC LIMIT 3;

-- name: top-k-by-an-error
SELECT id FROM silver.claims ORDER BY 1 / (quantity - 3), id DESC LIMIT 4;

-- name: top-k-by-a-cast
SELECT id FROM silver.patients ORDER BY remark::int DESC, id LIMIT 4;

-- name: order-by-length-of-a-raw-value
SELECT id FROM silver.patients ORDER BY length(nhs_number), length(name), id LIMIT 30;

-- name: order-by-a-function-of-a-raw-value
SELECT id FROM silver.patients ORDER BY md5(name), id LIMIT 30;

-- name: order-by-a-case-on-a-raw-value
SELECT id FROM silver.patients ORDER BY CASE WHEN name LIKE 'P%' THEN 0 ELSE 1 END, id LIMIT 10;

-- name: offset-past-the-shown
SELECT id FROM silver.patients ORDER BY id OFFSET 299;

-- name: offset-past-all
SELECT id FROM silver.patients ORDER BY id OFFSET 300;

-- name: order-by-position-of-a-division
SELECT 1 / (score - 7) AS q, id FROM silver.patients ORDER BY 1, 2 LIMIT 6;

-- name: distinct-on-masked
SELECT DISTINCT ON (postcode) postcode, id FROM silver.patients ORDER BY postcode, id;
