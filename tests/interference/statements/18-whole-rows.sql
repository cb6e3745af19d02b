-- Whole rows, structs, lists and casts of all of it.

-- name: all-documents
SELECT * FROM silver.documents ORDER BY id;

-- name: field-of-a-struct
SELECT id, author['name'], author['age'] FROM silver.documents ORDER BY id;

-- name: field-of-a-masked-struct
SELECT id, address['name'], address['age'] FROM silver.documents ORDER BY id;

-- name: predicate-on-a-masked-field
SELECT id FROM silver.documents WHERE address['name'] = '1 High Street' OR address['age'] = 1;

-- name: masked-struct-is-null
SELECT count(*) FROM silver.documents WHERE address IS NOT NULL;

-- name: predicate-on-a-field
SELECT id FROM silver.documents WHERE author['age'] > 45 ORDER BY id;

-- name: overflow-of-a-hidden-field
SELECT max(author['age'] + 1) FROM silver.documents;

-- name: sort-by-a-field
SELECT id FROM silver.documents ORDER BY author['age'] DESC NULLS LAST, id LIMIT 5;

-- name: group-by-a-struct
SELECT author['name'], count(*) FROM silver.documents GROUP BY author['name'] ORDER BY 1;

-- name: distinct-structs
SELECT count(*) FROM (SELECT DISTINCT author FROM silver.documents) d;

-- name: struct-as-text
-- expect: code 0A000
SELECT id, author::text FROM silver.documents ORDER BY id LIMIT 20;

-- name: masked-struct-as-text
-- expect: code 0A000
SELECT DISTINCT address::text FROM silver.documents;

-- name: compare-structs
-- A comparison of structs is not pushed to where hidden ones are.
SELECT a.id, b.id FROM silver.documents a JOIN silver.documents b ON a.author = b.author AND a.id < b.id
ORDER BY 1, 2 LIMIT 10;

-- name: elements-of-a-list
SELECT id, labels[1], cardinality(labels) FROM silver.documents ORDER BY id;

-- name: unnest-a-list
SELECT label, count(*) FROM (SELECT unnest(labels) AS label FROM silver.documents) l GROUP BY label ORDER BY 1;

-- name: list-contains-a-secret
SELECT count(*) FROM silver.documents WHERE array_has(labels, 'secret');

-- name: list-is-not-null
SELECT count(*) FROM silver.documents WHERE labels IS NOT NULL;

-- name: list-as-text
SELECT array_to_string(labels, ',') FROM silver.documents ORDER BY id LIMIT 12;

-- name: longest-list
SELECT max(array_length(labels)) FROM silver.documents;

-- name: row-as-json
-- expect: code 42883
SELECT row_to_json(p) FROM silver.patients p;

-- name: row-as-a-value
-- expect: code 42703
SELECT p FROM silver.patients p;

-- name: count-of-whole-rows
SELECT count(*) FROM (SELECT DISTINCT * FROM silver.claims) c;

-- name: struct-of-masked-columns
SELECT named_struct('name', name, 'nhs', nhs_number) FROM silver.patients ORDER BY id LIMIT 5;

-- name: list-of-masked-columns
SELECT make_array(name, nhs_number, mrn, zip) FROM silver.patients ORDER BY id LIMIT 5;

-- name: concatenation-of-a-row
SELECT concat_ws('|', id, tenant_id, name, nhs_number, mrn, account, birth_date, postcode, zip, phone, score, weight)
FROM silver.patients ORDER BY id;

-- name: hash-of-a-row
SELECT md5(concat(name, nhs_number, birth_date, postcode, phone)) FROM silver.patients ORDER BY id;

-- name: types-of-columns
SELECT arrow_typeof(id), arrow_typeof(name), arrow_typeof(birth_date) FROM silver.patients LIMIT 1;

-- name: table-keyword
-- expect: code 42601
TABLE silver.claims;

-- name: cast-of-everything
SELECT id::text AS a, birth_date::text AS b, weight::text AS c, score::double precision AS d, birth_date::timestamp AS e
FROM silver.patients ORDER BY id;

-- name: bytes-of-a-masked-value
SELECT encode(name::bytea, 'hex'), octet_length(nhs_number) FROM silver.patients ORDER BY id LIMIT 20;

-- name: characters-of-a-masked-value
SELECT reverse(nhs_number), left(name, 3), ascii(postcode), strpos(nhs_number, '9') FROM silver.patients ORDER BY id;

-- name: list-equals-a-list
SELECT id FROM silver.documents WHERE labels = make_array('letter', 'urgent') ORDER BY id;

-- name: list-equals-a-hidden-list
SELECT count(*) FROM silver.documents WHERE labels = make_array('secret', 'x''y') OR labels > make_array('zzz');

-- name: struct-equals-a-struct
SELECT id FROM silver.documents WHERE author = named_struct('name', 'Dr Ash', 'age', 40) ORDER BY id;

-- name: struct-in-a-list-of-structs
SELECT count(*) FROM silver.documents
WHERE author IN (named_struct('name', 'x''y', 'age', 9223372036854775807), named_struct('name', 'Dr Elm', 'age', 31));

-- name: distinct-lists
SELECT labels, count(*) FROM silver.documents GROUP BY labels ORDER BY labels;

-- name: greatest-struct
SELECT max(author['name']), min(author['age']), max(labels[1]) FROM silver.documents;
