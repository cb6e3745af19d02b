-- Windows see neighbours; hidden ones are none.

-- name: row-number
SELECT id, row_number() OVER (ORDER BY score, id) FROM silver.patients ORDER BY 1;

-- name: rank-of-masked-names
SELECT id, rank() OVER (ORDER BY name), dense_rank() OVER (ORDER BY birth_date) FROM silver.patients ORDER BY 1;

-- name: percent-rank
SELECT id, percent_rank() OVER (ORDER BY id), cume_dist() OVER (ORDER BY id) FROM silver.patients ORDER BY 1 LIMIT 10;

-- name: quartiles
SELECT id, ntile(4) OVER (ORDER BY id) FROM silver.patients ORDER BY 1;

-- name: neighbours
SELECT id, lag(id) OVER (ORDER BY id), lead(id) OVER (ORDER BY id) FROM silver.patients ORDER BY 1;

-- name: neighbours-raw-names
SELECT id, lag(name) OVER (ORDER BY id), lead(nhs_number) OVER (ORDER BY id) FROM silver.patients ORDER BY 1;

-- name: first-and-last-of-a-window
SELECT id, first_value(score) OVER (ORDER BY id), last_value(id) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
FROM silver.patients ORDER BY 1;

-- name: running-sum
SELECT id, sum(score) OVER (ORDER BY id) FROM silver.patients ORDER BY 1;

-- name: range-frame
SELECT id, count(*) OVER (ORDER BY id RANGE BETWEEN 10 PRECEDING AND 10 FOLLOWING) FROM silver.patients ORDER BY 1;

-- name: partition-by-masked
SELECT id, count(*) OVER (PARTITION BY postcode), count(*) OVER (PARTITION BY mrn) FROM silver.patients ORDER BY 1;

-- name: partition-by-tenant
SELECT DISTINCT tenant_id, count(*) OVER (PARTITION BY tenant_id) FROM silver.claims ORDER BY 1;

-- name: window-with-an-error
SELECT id, sum(1 / (score - 7)) OVER (ORDER BY id) FROM silver.patients ORDER BY 1 LIMIT 10;

-- name: share-of-the-total
SELECT state, sum(amount), sum(sum(amount)) OVER () FROM silver.claims GROUP BY state ORDER BY 1;

-- name: gaps-between-ids
SELECT id, gap FROM (SELECT id, id - lag(id) OVER (ORDER BY id) AS gap FROM silver.patients) p WHERE gap <> 10 ORDER BY 1;

-- name: nth-value
SELECT id, nth_value(weight, 3) OVER (ORDER BY weight DESC, id) FROM silver.patients ORDER BY id LIMIT 8;
