-- Tokens: nothing that is asked for turns them back, and no function makes them.

-- name: tokens-of-two-tables
SELECT p.mrn = c.policy_no, count(*) FROM silver.patients p JOIN silver.claims c ON c.patient_id = p.id GROUP BY 1 ORDER BY 1;

-- name: tokens-are-of-the-raw-value
SELECT mrn, count(*) FROM silver.patients GROUP BY mrn HAVING count(*) > 1 ORDER BY 1 LIMIT 10;

-- name: token-equals-a-guess
SELECT id FROM silver.patients WHERE mrn = 'MRN00005' OR account = '5';

-- name: token-in-a-list-of-guesses
SELECT count(*) FROM silver.patients WHERE mrn IN (SELECT guess FROM silver.codes);

-- name: token-equals-the-hash-of-a-guess
SELECT count(*) FROM silver.patients p JOIN silver.codes k
ON p.mrn IN (md5(k.guess), encode(sha256(k.guess), 'hex'), substr(encode(sha256(k.guess), 'hex'), 1, 32));

-- name: token-prefix
SELECT substr(mrn, 1, 1), count(*) FROM silver.patients GROUP BY 1 ORDER BY 1;

-- name: token-order-tells-no-raw-order
SELECT count(*) FROM silver.patients a JOIN silver.patients b ON a.mrn < b.mrn AND a.id < b.id WHERE a.id < 200 AND b.id < 200;

-- name: token-of-a-number
SELECT DISTINCT account FROM silver.patients ORDER BY 1;

-- name: arithmetic-on-a-token
-- expect: code 42804
SELECT account + 1 FROM silver.patients WHERE account IS NOT NULL;

-- name: token-function-is-not-there
-- expect: code 42883
SELECT token('patient', 'MRN00005');

-- name: mask-function-is-not-there
-- expect: code 42883
SELECT show_last('9990000001', 4);

-- name: hmac-is-not-there
-- expect: code 42883
SELECT hmac('MRN00005', 'key', 'sha256');

-- name: key-is-no-setting
-- expect: code 42704
SHOW lakeward.keys;

-- name: length-of-tokens
SELECT DISTINCT length(mrn), length(account), length(policy_no) FROM silver.patients p
JOIN silver.claims c ON c.patient_id = p.id ORDER BY 1, 2, 3;

-- name: tokens-of-hidden-claims
SELECT count(DISTINCT policy_no) FROM silver.claims;

-- name: token-of-nothing
SELECT count(*) FROM silver.patients WHERE account IS NULL;
