"""Delta tables written by PyPI pysail, and how pysail reads them back.

usage: sail_tables.py <folder for tables> <folder for what pysail reads, as Arrow files> <folder of others' tables>

Of others' tables it reads every version: <table>.<version>.arrow, or .txt with the error where it does not.

Run as a program, so that the Spark client's threads and warnings stay away from the tests.
"""

import os
import sys
from pathlib import Path

VECTORS = "'delta.enableDeletionVectors' = 'true'"
BY_NAME = "'delta.columnMapping.mode' = 'name'"
BY_ID = "'delta.columnMapping.mode' = 'id'"
WIDENING = "'delta.enableTypeWidening' = 'true'"
NTZ = "'delta.feature.timestampNtz' = 'supported'"

# Values that a folder's name cannot have as they are.
ODD_TEXTS = [
    None, "", " ", "a b", " lead", "trail ", "50%", "%20", "%2F", "a:b", "a/b", "a\\b", "a+b", "a=b", "a&b", "#", "?",
    "[x]", "{x}", "*", "~", "^", "|", ";", ",", "'", '"', "ž", "漢字", "🜨", "e\u0301", "\u00e9", "tab\there",
    "line\nbreak", "__HIVE_DEFAULT_PARTITION__", "null", "NULL", "..", ".", "_underscore", "-", "$", "!", "@",
    "x" * 150,
]  # fmt: skip


def literal(text) -> str:
    """A Spark SQL literal."""
    if text is None:
        return "CAST(NULL AS STRING)"
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"'{escaped}'"


def create(columns: str, *properties: str, partitioned: str = "") -> str:
    """CREATE TABLE; {table} and {location} are filled in."""
    by = f" PARTITIONED BY ({partitioned})" if partitioned else ""
    having = f" TBLPROPERTIES ({', '.join(properties)})" if properties else ""
    return f"CREATE TABLE {{table}} ({columns}) USING DELTA{by} LOCATION '{{location}}'{having}"


def filled(step: str, table: str, location: str) -> str:
    """Not str.format: statements have braces of their own."""
    return step.replace("{table}", table).replace("{location}", location)


def rows(start: int, end: int, columns: str) -> str:
    """INSERT of rows numbered id; one file."""
    return f"INSERT INTO {{table}} SELECT {columns} FROM range({start}, {end}, 1, 1)"


TABLES = {
    # Deletion vectors
    "dv_several_deletes": [
        create("id BIGINT, name STRING", VECTORS),
        rows(0, 100, "id, concat('name-', id)"),
        rows(100, 200, "id, concat('name-', id)"),
        rows(200, 300, "id, concat('name-', id)"),
        "DELETE FROM {table} WHERE id % 10 = 3",
        "DELETE FROM {table} WHERE id IN (0, 99, 100, 299)",
        "DELETE FROM {table} WHERE id BETWEEN 40 AND 60",
    ],
    "dv_all_rows_of_a_file": [
        create("id BIGINT, name STRING", VECTORS),
        rows(0, 50, "id, 'first'"),
        rows(50, 100, "id, 'second'"),
        "DELETE FROM {table} WHERE id < 10",
        "DELETE FROM {table} WHERE id < 50",
    ],
    "dv_all_rows": [
        create("id BIGINT, name STRING", VECTORS),
        rows(0, 50, "id, 'first'"),
        "DELETE FROM {table} WHERE id >= 0",
    ],
    "dv_update": [
        create("id BIGINT, value DOUBLE", VECTORS),
        rows(0, 100, "id, id / 4"),
        "UPDATE {table} SET value = -1 WHERE id % 7 = 0",
        "UPDATE {table} SET value = NULL WHERE id % 5 = 0",
        "DELETE FROM {table} WHERE value IS NULL AND id > 50",
    ],
    "dv_merge": [
        create("id BIGINT, value STRING", VECTORS),
        rows(0, 100, "id, 'old'"),
        "MERGE INTO {table} t USING (SELECT id * 3 AS id, 'new' AS value FROM range(0, 50, 1, 1)) s ON t.id = s.id"
        " WHEN MATCHED AND s.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET value = s.value"
        " WHEN NOT MATCHED THEN INSERT (id, value) VALUES (s.id, 'added')",
    ],
    # Rows beyond 65,536, and containers of both kinds.
    "dv_large": [
        create("id BIGINT, half BIGINT", VECTORS),
        rows(0, 150_000, "id, id div 2"),
        "DELETE FROM {table} WHERE id % 3 = 0",
        "DELETE FROM {table} WHERE id BETWEEN 65530 AND 65540",
        "DELETE FROM {table} WHERE id BETWEEN 140000 AND 149998",
    ],
    "dv_partitioned": [
        create("id BIGINT, k STRING", VECTORS, partitioned="k"),
        rows(0, 90, "id, concat('k', id % 3)"),
        rows(90, 180, "id, CASE WHEN id % 3 = 0 THEN NULL ELSE concat('k', id % 3) END"),
        "DELETE FROM {table} WHERE k IS NULL AND id < 100",
        "DELETE FROM {table} WHERE k = 'k1' AND id % 2 = 0",
        "DELETE FROM {table} WHERE k = 'k2'",
    ],
    "dv_switched_off_again": [
        create("id BIGINT", VECTORS),
        rows(0, 20, "id"),
        "DELETE FROM {table} WHERE id = 5",
        "ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')",
        rows(20, 40, "id"),
        "DELETE FROM {table} WHERE id = 26",
    ],
    "dv_checkpoint": [
        create("id BIGINT, name STRING", VECTORS, "'delta.checkpointInterval' = '3'"),
        rows(0, 30, "id, 'a'"),
        rows(30, 60, "id, 'b'"),
        "DELETE FROM {table} WHERE id IN (1, 31)",
        "DELETE FROM {table} WHERE id IN (2, 32)",
        rows(60, 90, "id, 'c'"),
        "DELETE FROM {table} WHERE id IN (3, 61)",
        "DELETE FROM {table} WHERE id IN (4, 62)",
    ],
    # Column mapping
    "mapping_by_name": [
        create("id BIGINT, `full name` STRING, `a.b` INT, `x,;{}()=` DOUBLE", BY_NAME),
        rows(0, 20, "id, concat('n', id) AS b, CAST(id AS INT) AS c, id / 8 AS d"),
        rows(20, 40, "id, NULL AS b, NULL AS c, NULL AS d"),
    ],
    "mapping_by_id": [
        create("id BIGINT, name STRING", BY_ID),
        rows(0, 20, "id, concat('n', id)"),
        rows(20, 40, "id, NULL"),
    ],
    "mapping_partitions": [
        create("id BIGINT, `the kind` STRING, day DATE", BY_NAME, partitioned="`the kind`, day"),
        rows(0, 30, "id, concat('k ', id % 3), date_add(DATE '2024-02-28', CAST(id % 2 AS INT))"),
        "INSERT INTO {table} SELECT 100, NULL AS b, CAST(NULL AS DATE) AS c",
    ],
    "mapping_with_vectors": [
        create("id BIGINT, name STRING", BY_NAME, VECTORS),
        rows(0, 50, "id, concat('n', id)"),
        "DELETE FROM {table} WHERE id % 4 = 0",
        "UPDATE {table} SET name = 'changed' WHERE id > 45",
    ],
    "mapping_nested": "nested",
    "mapping_renamed_and_dropped": "renamed",
    # Partition values
    "partition_texts": [
        create("id BIGINT, k STRING", partitioned="k"),
        "INSERT INTO {table} VALUES " + ", ".join(f"({i}, {literal(text)})" for i, text in enumerate(ODD_TEXTS)),
    ],
    "partition_timestamps": [
        create("id BIGINT, at TIMESTAMP", partitioned="at"),
        "INSERT INTO {table} VALUES (1, TIMESTAMP '2024-02-29 23:59:59.123456'), (2, TIMESTAMP '1969-12-31 23:59:59'),"
        " (3, TIMESTAMP '0001-01-01 00:00:00'), (4, TIMESTAMP '9999-12-31 23:59:59.999999'), (5, NULL),"
        " (6, TIMESTAMP '2024-03-31 02:30:00+02:00')",
    ],
    "partition_timestamps_ntz": [
        create("id BIGINT, at TIMESTAMP_NTZ", partitioned="at"),
        "INSERT INTO {table} VALUES (1, TIMESTAMP_NTZ '2024-02-29 23:59:59.123456'),"
        " (2, TIMESTAMP_NTZ '1969-12-31 23:59:59'), (3, TIMESTAMP_NTZ '0001-01-01 00:00:00'),"
        " (4, TIMESTAMP_NTZ '9999-12-31 23:59:59.999999'), (5, NULL)",
    ],
    "partition_numbers": [
        create(
            "id BIGINT, t TINYINT, s SMALLINT, i INT, l BIGINT, b BOOLEAN, d DATE, n DECIMAL(38, 10)",
            partitioned="t, s, i, l, b, d, n",
        ),
        # No negative decimals: pysail 0.7.2 garbles them in partition values. A table made by hand has them.
        "INSERT INTO {table} VALUES"
        " (1, -128, -32768, -2147483648, -9223372036854775808, true, DATE '0001-01-01',"
        "  CAST('0.1' AS DECIMAL(38, 10))),"
        " (2, 127, 32767, 2147483647, 9223372036854775807, false, DATE '9999-12-31',"
        "  CAST('9999999999999999999999999999.9999999999' AS DECIMAL(38, 10))),"
        " (3, 0, 0, 0, 0, NULL, DATE '1582-10-10', CAST('1.5' AS DECIMAL(38, 10)))",
        "INSERT INTO {table} SELECT 4, CAST(NULL AS TINYINT) AS t, CAST(NULL AS SMALLINT) AS s, CAST(NULL AS INT) AS i,"
        " CAST(NULL AS BIGINT) AS l, CAST(NULL AS BOOLEAN) AS b, CAST(NULL AS DATE) AS d,"
        " CAST(NULL AS DECIMAL(38, 10)) AS n",
    ],
    "partition_floats": [
        create("id BIGINT, f FLOAT, d DOUBLE", partitioned="f, d"),
        "INSERT INTO {table} VALUES (1, CAST(1.5 AS FLOAT), 0.1D), (2, CAST(-2.25 AS FLOAT), 1e10D), (3, NULL, NULL),"
        " (4, CAST('NaN' AS FLOAT), CAST('NaN' AS DOUBLE)),"
        " (5, CAST('Infinity' AS FLOAT), CAST('-Infinity' AS DOUBLE))",
    ],
    # Types
    "decimals": [
        create("id INT, a DECIMAL(1, 0), b DECIMAL(9, 9), c DECIMAL(18, 3), d DECIMAL(38, 0), e DECIMAL(38, 38)"),
        "INSERT INTO {table} VALUES"
        " (1, 9, 0.999999999, 999999999999999.999, CAST(repeat('9', 38) AS DECIMAL(38, 0)),"
        "  CAST(concat('0.', repeat('9', 38)) AS DECIMAL(38, 38))),"
        " (2, -9, -0.999999999, -999999999999999.999, CAST(concat('-', repeat('9', 38)) AS DECIMAL(38, 0)),"
        "  CAST(concat('-0.', repeat('9', 38)) AS DECIMAL(38, 38))),"
        " (3, 0, 0.000000001, 0.001, 1, CAST(concat('0.', repeat('0', 37), '1') AS DECIMAL(38, 38))),"
        " (4, NULL, NULL, NULL, NULL, NULL)",
    ],
    "types": [
        create(
            "id BIGINT, t TINYINT, s SMALLINT, i INT, f FLOAT, d DOUBLE, b BOOLEAN, x BINARY, day DATE, at TIMESTAMP,"
            " ntz TIMESTAMP_NTZ, st STRUCT<a: INT, b: STRUCT<c: STRING>>, l ARRAY<INT>, ll ARRAY<ARRAY<STRING>>,"
            " m MAP<STRING, INT>"
        ),
        "INSERT INTO {table} VALUES"
        " (1, 1, 2, 3, CAST(1.1 AS FLOAT), 1.1D, true, X'00FF10', DATE '2024-02-29', TIMESTAMP '2024-02-29 12:00:00.5',"
        "  TIMESTAMP_NTZ '2024-02-29 12:00:00.000001', named_struct('a', 1, 'b', named_struct('c', 'x\"y')),"
        "  array(1, NULL, 3), array(array('a', NULL), array()), map('k', 1, 'l', NULL)),"
        " (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),"
        " (3, -128, -32768, -2147483648, CAST('NaN' AS FLOAT), CAST('-Infinity' AS DOUBLE), false, X'',"
        "  DATE '0001-01-01', TIMESTAMP '0001-01-01 00:00:00', TIMESTAMP_NTZ '9999-12-31 23:59:59.999999',"
        "  named_struct('a', NULL, 'b', NULL), array(), array(), map())",
    ],
    "widened": [
        create("id INT, a TINYINT, b FLOAT, c DECIMAL(5, 2), d DATE, e INT, f SMALLINT, g SMALLINT", WIDENING, NTZ),
        "INSERT INTO {table} VALUES (1, 1, 1.1, 1.25, DATE '2020-01-01', 5, 7, -3),"
        " (2, -128, CAST('NaN' AS FLOAT), -999.99, DATE '1500-01-01', -2147483648, 32767, 32767),"
        " (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "ALTER TABLE {table} ALTER COLUMN a TYPE SMALLINT",
        "INSERT INTO {table} VALUES (4, 300, 2.2, 2.25, DATE '1969-12-31', 6, 8, 9)",
        "ALTER TABLE {table} ALTER COLUMN a TYPE BIGINT",
        "ALTER TABLE {table} ALTER COLUMN b TYPE DOUBLE",
        "ALTER TABLE {table} ALTER COLUMN c TYPE DECIMAL(20, 10)",
        "ALTER TABLE {table} ALTER COLUMN d TYPE TIMESTAMP_NTZ",
        "ALTER TABLE {table} ALTER COLUMN e TYPE DOUBLE",
        "ALTER TABLE {table} ALTER COLUMN f TYPE DECIMAL(12, 2)",
        "ALTER TABLE {table} ALTER COLUMN g TYPE INT",
        "INSERT INTO {table} VALUES (5, 3000000000, 3.3, 3.0123456789, TIMESTAMP_NTZ '2020-01-01 01:02:03', 0.5, 1.25,"
        " 70000)",
    ],
    "widened_partition": [
        create("id INT, k SMALLINT", WIDENING, partitioned="k"),
        "INSERT INTO {table} VALUES (1, 1), (2, NULL), (3, -5)",
        "ALTER TABLE {table} ALTER COLUMN k TYPE BIGINT",
        "INSERT INTO {table} VALUES (4, 5000000000)",
    ],
    "variants": [
        create("id INT, v VARIANT"),
        'INSERT INTO {table} SELECT id, parse_json(j) FROM VALUES (1, \'{"a": 1, "b": [true, null, "x"]}\'),'
        " (2, '\"text\"'), (3, '12345678901'), (4, 'null'), (5, '[]'), (6, '1.5'), (7, '{\"n\": {\"m\": {}}}')"
        " AS t(id, j)",
        "INSERT INTO {table} SELECT 8, CAST(NULL AS VARIANT)",
    ],
    # Evolution, versions, logs
    "columns_added": "evolved",
    "overwritten": [
        create("id BIGINT, v STRING"),
        rows(0, 10, "id, 'v1'"),
        rows(10, 20, "id, 'v2'"),
        "INSERT OVERWRITE TABLE {table} SELECT id, 'v3' FROM range(5, 15, 1, 1)",
        "UPDATE {table} SET v = 'v4' WHERE id = 7",
        "DELETE FROM {table} WHERE id = 8",
    ],
    "checkpoint_classic": [
        create("id BIGINT, v STRING", "'delta.checkpointInterval' = '2'"),
        *(rows(i * 10, i * 10 + 10, f"id, 'v{i}'") for i in range(5)),
        "DELETE FROM {table} WHERE id = 11",
    ],
    "checkpoint_v2": [
        create(
            "id BIGINT, v STRING",
            "'delta.checkpointInterval' = '2'",
            "'delta.feature.v2Checkpoint' = 'enabled'",
            "'delta.checkpointPolicy' = 'v2'",
        ),
        *(rows(i * 10, i * 10 + 10, f"id, 'v{i}'") for i in range(5)),
        "DELETE FROM {table} WHERE id = 11",
    ],
    "checkpoint_struct_stats": [
        create(
            "id BIGINT, v STRING, at TIMESTAMP, n DECIMAL(12, 2)",
            "'delta.checkpointInterval' = '2'",
            "'delta.checkpoint.writeStatsAsStruct' = 'true'",
            "'delta.checkpoint.writeStatsAsJson' = 'false'",
        ),
        *(
            rows(i * 10, i * 10 + 10, f"id, 'v{i}', timestamp_seconds(id * 86400), CAST(id / 4 AS DECIMAL(12, 2))")
            for i in range(4)
        ),
    ],
    "log_compacted": [
        create("id BIGINT, v STRING", "'delta.logCompactionInterval' = '3'"),
        *(rows(i * 10, i * 10 + 10, f"id, 'v{i}'") for i in range(5)),
        "DELETE FROM {table} WHERE id = 11",
    ],
    "in_commit_timestamps": [
        create("id BIGINT", "'delta.enableInCommitTimestamps' = 'true'"),
        rows(0, 5, "id"),
        rows(5, 10, "id"),
    ],
    "identity": [
        create("id BIGINT GENERATED ALWAYS AS IDENTITY, v INT"),
        "INSERT INTO {table} (v) VALUES (10), (20), (NULL)",
    ],
    "vacuum_protocol_check": [
        create("id BIGINT", "'delta.feature.vacuumProtocolCheck' = 'supported'"),
        rows(0, 5, "id"),
    ],
    "empty": [create("id BIGINT, v STRING, l ARRAY<STRUCT<a: INT>>")],
}


def nested(spark, table: str, location: str):
    """Fields below structs, lists and maps have physical names of their own."""
    import pyarrow as pa

    columns = "id INT, s STRUCT<a: INT, b: STRUCT<c: STRING>>, l ARRAY<STRUCT<x: INT>>, m MAP<STRING, STRUCT<y: INT>>"
    spark.sql(filled(create(columns, BY_NAME), table, location))
    kind = pa.schema(
        [
            ("id", pa.int32()),
            ("s", pa.struct([("a", pa.int32()), ("b", pa.struct([("c", pa.string())]))])),
            ("l", pa.list_(pa.struct([("x", pa.int32())]))),
            ("m", pa.map_(pa.string(), pa.struct([("y", pa.int32())]))),
        ]
    )
    data = [
        {"id": 1, "s": {"a": 1, "b": {"c": "x"}}, "l": [{"x": 1}, {"x": None}, None], "m": [("k", {"y": 1})]},
        {"id": 2, "s": {"a": None, "b": None}, "l": [], "m": []},
        {"id": 3, "s": None, "l": None, "m": None},
    ]
    frame = spark.createDataFrame(pa.Table.from_pylist(data, schema=kind))
    frame.write.format("delta").mode("append").save(location)


def evolved(spark, table: str, location: str):
    """Columns that older files do not have, at the end and inside a struct."""
    first = "SELECT id, named_struct('a', id) AS s FROM range(0, 10, 1, 1)"
    spark.sql(first).write.format("delta").save(location)
    for more in (
        "SELECT id, named_struct('a', id, 'b', 'x') AS s, concat('v', id) AS v FROM range(10, 20, 1, 1)",
        "SELECT id, named_struct('a', id, 'b', 'y') AS s, 'w' AS v, DATE '2024-01-01' AS day FROM range(20, 30, 1, 1)",
    ):
        spark.sql(more).write.format("delta").mode("append").option("mergeSchema", "true").save(location)


def renamed(spark, table: str, location: str):
    """pysail has no RENAME and DROP COLUMN: under column mapping they are commits of metadata alone."""
    from handmade import mapped, reopen

    def insert(values: str):
        spark.sql(f"SELECT {values} FROM range(5)").write.format("delta").mode("append").save(location)

    columns = "id BIGINT, a STRING, b STRING, gone INT, s STRUCT<x: INT, y: INT>, k STRING"
    spark.sql(filled(create(columns, BY_NAME, VECTORS, partitioned="k"), table, location))
    insert("id, 'a1' AS a, 'b1' AS b, 1 AS gone, named_struct('x', 1, 'y', 2) AS s, 'k1' AS k")
    log = reopen(Path(location))
    by_name = {field["name"]: field for field in log.fields}
    # Two columns swap names, one goes and one of its name comes, a nested one and the partition column are renamed.
    swapped = [
        by_name["id"],
        by_name["b"] | {"name": "a"},
        by_name["a"] | {"name": "b"},
        by_name["s"] | {"type": rename_nested(by_name["s"]["type"], "x", "a x")},
        by_name["k"] | {"name": "the partition"},
        mapped("gone", "string", 100),
    ]
    log.partitions = ["the partition"]
    log.configuration["delta.columnMapping.maxColumnId"] = "100"
    log.commit(log.metadata(swapped))
    insert(
        "id + 10 AS id, 'b2' AS a, 'a2' AS b, named_struct('a x', 3, 'y', 4) AS s, 'k2' AS `the partition`,"
        " 'back' AS gone"
    )
    spark.sql(f"DELETE FROM delta.`{location}` WHERE id IN (2, 12)").collect()
    spark.sql(f"UPDATE delta.`{location}` SET gone = 'updated' WHERE id = 3").collect()


def rename_nested(kind: dict, old: str, new: str) -> dict:
    return kind | {"fields": [f | {"name": new} if f["name"] == old else f for f in kind["fields"]]}


BY_HAND = {"nested": nested, "evolved": evolved, "renamed": renamed}


def write_arrow(path: Path, table):
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_versions(spark, table: Path, read: Path):
    newest = max(int(path.stem) for path in table.glob("_delta_log/*.json") if path.stem.isdigit())
    for version in range(newest + 1):
        name = f"{table.name}.{version}"
        try:
            found = spark.read.format("delta").option("versionAsOf", version).load(str(table)).toArrow()
        except Exception as error:
            (read / f"{name}.txt").write_text(str(error))
        else:
            write_arrow(read / f"{name}.arrow", found)


def main(folder: Path, read: Path, others: Path):
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer()
    server.start(background=True)
    spark = SparkSession.builder.remote("sc://{}:{}".format(*server.listening_address)).getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    for name, steps in TABLES.items():
        location = str(folder / name)
        try:
            if isinstance(steps, str):
                BY_HAND[steps](spark, name, location)
            else:
                for step in steps:
                    spark.sql(filled(step, name, location)).collect()
            found = spark.read.format("delta").load(location).toArrow()
        except Exception as error:
            raise RuntimeError(f"{name}: {error}") from error
        write_arrow(read / f"{name}.arrow", found)
    for table in sorted(others.iterdir()):
        read_versions(spark, table, read)
    spark.stop()
    server.stop()


if __name__ == "__main__":
    os.environ.setdefault("RUST_LOG", "off")
    main(*map(Path, sys.argv[1:]))
