-- Recursion, which runs until it finds nothing more.

-- name: count-up-to-the-largest-id
WITH RECURSIVE r AS (SELECT 10 AS n UNION ALL SELECT n + 10 FROM r WHERE n < (SELECT max(id) FROM silver.documents))
SELECT count(*), max(n) FROM r;

-- name: walk-to-neighbours
-- From patient to patient by steps of ten: hidden ids would carry it further.
WITH RECURSIVE walk AS (
  SELECT id FROM silver.patients WHERE id = 10
  UNION ALL
  SELECT p.id FROM silver.patients p JOIN walk w ON p.id = w.id + 10 WHERE p.id < 120
) SELECT * FROM walk ORDER BY id;

-- name: walk-by-half-steps
WITH RECURSIVE walk AS (
  SELECT id FROM silver.patients WHERE id = 10
  UNION ALL
  SELECT p.id FROM silver.patients p JOIN walk w ON p.id = w.id + 5
) SELECT count(*) FROM walk;

-- name: search-for-a-raw-name-letter-by-letter
WITH RECURSIVE guess AS (
  SELECT 'P' AS word
  UNION ALL
  SELECT word || 'e' FROM guess WHERE length(word) < 4
    AND EXISTS (SELECT 1 FROM silver.patients WHERE name LIKE 'P%')
) SELECT count(*), max(word) FROM guess;

-- name: recursion-with-an-error
WITH RECURSIVE r AS (
  SELECT 1 AS n
  UNION ALL
  SELECT n + 1 FROM r WHERE n < 4 AND EXISTS (SELECT 1 FROM silver.patients WHERE 1 / (score - 7) = 0)
) SELECT max(n) FROM r;

-- name: binary-search-for-a-hidden-score
-- Each step asks whether some patient has a score above the middle.
WITH RECURSIVE s AS (
  SELECT 0 AS low, 16 AS high
  UNION ALL
  SELECT CASE WHEN (SELECT max(score) FROM silver.patients) > (low + high) / 2 THEN (low + high) / 2 ELSE low END,
         CASE WHEN (SELECT max(score) FROM silver.patients) > (low + high) / 2 THEN high ELSE (low + high) / 2 END
  FROM s WHERE high - low > 1
) SELECT min(high) FROM s;
