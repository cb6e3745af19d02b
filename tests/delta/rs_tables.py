"""Delta tables written by PyPI deltalake: one function each, named after the table."""

import datetime
import math
import os
import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake

UTC = datetime.UTC
# Longer than what any writer keeps of a text in statistics.
PREFIX = "a common prefix of forty characters, yes: "
# Instants for time travel: each commit has its own, a day apart.
DAY = 86_400
FIRST = 1_700_000_000

TABLES = {}


def table(build):
    TABLES[build.__name__] = build
    return build


def write_all(folder: Path):
    for name, build in TABLES.items():
        build(folder / name)


def numbered(start: int, end: int, **columns) -> pa.Table:
    ids = list(range(start, end))
    return pa.table({"id": pa.array(ids, pa.int64()), **{k: [v(i) for i in ids] for k, v in columns.items()}})


def date_commits(folder: Path):
    """Commit times by which a test can name versions: readers without in-commit timestamps go by the files' times."""
    for path in folder.glob("_delta_log/*.json"):
        moment = FIRST + int(path.stem) * DAY
        os.utime(path, (moment, moment))


@table
def appended(folder):
    for start in range(0, 50, 10):
        write_deltalake(folder, numbered(start, start + 10, v=lambda i: f"v{i}"), mode="append")
    date_commits(folder)


@table
def overwritten(folder):
    write_deltalake(folder, numbered(0, 10, v=str))
    write_deltalake(folder, numbered(100, 105, v=str), mode="overwrite")
    other = pa.table({"id": ["x", "y"], "w": [1.5, None]})
    write_deltalake(folder, other, mode="overwrite", schema_mode="overwrite")
    date_commits(folder)


@table
def partition_overwritten(folder):
    write_deltalake(folder, numbered(0, 30, k=lambda i: f"k{i % 3}"), partition_by=["k"])
    write_deltalake(folder, numbered(100, 104, k=lambda i: "k1"), mode="overwrite", predicate="k = 'k1'")


@table
def merged(folder):
    write_deltalake(folder, numbered(0, 20, v=lambda i: "old"))
    merger = DeltaTable(folder).merge(
        numbered(10, 30, v=lambda i: "new"), "t.id = s.id", source_alias="s", target_alias="t"
    )
    merger.when_matched_update(updates={"v": "s.v"}, predicate="s.id < 15").when_matched_delete(
        predicate="s.id >= 15"
    ).when_not_matched_insert_all().execute()


@table
def deleted_and_updated(folder):
    write_deltalake(folder, numbered(0, 100, v=lambda i: i / 8, k=lambda i: f"k{i % 2}"), partition_by=["k"])
    DeltaTable(folder).delete("id % 10 = 3")
    DeltaTable(folder).update(updates={"v": "v + 0.5"}, predicate="id > 50")
    DeltaTable(folder).delete("k = 'k0' AND id < 20")
    date_commits(folder)


@table
def compacted(folder):
    for start in range(0, 60, 10):
        write_deltalake(folder, numbered(start, start + 10, v=lambda i: i % 7), mode="append")
    DeltaTable(folder).optimize.compact()


@table
def z_ordered(folder):
    for start in range(0, 60, 10):
        columns = {"x": lambda i: i * 37 % 60, "y": lambda i: i * 17 % 60}
        write_deltalake(folder, numbered(start, start + 10, **columns), mode="append")
    DeltaTable(folder).optimize.z_order(["x", "y"], target_size=1000)


@table
def schema_merged(folder):
    write_deltalake(folder, numbered(0, 10))
    write_deltalake(folder, numbered(10, 20, v=str), mode="append", schema_mode="merge")
    structs = pa.array([{"a": i} for i in range(20, 30)], pa.struct([("a", pa.int64())]))
    write_deltalake(folder, numbered(20, 30).append_column("s", structs), mode="append", schema_mode="merge")
    write_deltalake(folder, numbered(30, 40), mode="append", schema_mode="merge")


@table
def checkpointed_and_cleaned(folder):
    configuration = {"delta.logRetentionDuration": "interval 0 seconds"}
    write_deltalake(folder, numbered(0, 10, v=str), configuration=configuration)
    for start in range(10, 50, 10):
        write_deltalake(folder, numbered(start, start + 10, v=str), mode="append")
    DeltaTable(folder).delete("id = 15")
    DeltaTable(folder).create_checkpoint()
    DeltaTable(folder).cleanup_metadata()
    write_deltalake(folder, numbered(50, 60, v=str), mode="append")
    assert not (folder / "_delta_log" / f"{0:020}.json").exists()


@table
def vacuumed(folder):
    write_deltalake(folder, numbered(0, 10, v=str))
    write_deltalake(folder, numbered(20, 30, v=str), mode="overwrite")
    write_deltalake(folder, numbered(30, 40, v=str), mode="append")
    gone = DeltaTable(folder).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    assert gone


@table
def change_feed(folder):
    configuration = {"delta.enableChangeDataFeed": "true"}
    write_deltalake(folder, numbered(0, 10, v=lambda i: f"v{i}"), configuration=configuration)
    write_deltalake(folder, numbered(10, 20, v=lambda i: f"v{i}"), mode="append")
    DeltaTable(folder).update(updates={"v": "'changed'"}, predicate="id IN (1, 11)")
    DeltaTable(folder).delete("id = 2")
    merger = DeltaTable(folder).merge(
        numbered(8, 22, v=lambda i: "merged"), "t.id = s.id", source_alias="s", target_alias="t"
    )
    merger.when_matched_update_all(predicate="s.id % 2 = 0").when_not_matched_insert_all().execute()
    DeltaTable(folder).delete("id >= 20")
    date_commits(folder)


@table
def restored(folder):
    write_deltalake(folder, numbered(0, 10, v=str))
    write_deltalake(folder, numbered(10, 20, v=str), mode="append")
    DeltaTable(folder).delete("id < 5")
    DeltaTable(folder).restore(1)
    date_commits(folder)


@table
def properties_changed(folder):
    write_deltalake(folder, numbered(0, 10, v=str))
    altered = DeltaTable(folder)
    altered.alter.set_table_properties({"delta.appendOnly": "true"})
    altered.alter.add_constraint({"positive": "id >= 0"})
    write_deltalake(folder, numbered(10, 20, v=str), mode="append")


@table
def large_strings(folder):
    texts = ["", "x" * 1_000_000, "ž" * 500_000, "漢" * 300_000, None, "line\nbreak\x01\x7f\u2028"]
    write_deltalake(folder, pa.table({"id": range(len(texts)), "t": pa.array(texts, pa.large_string())}))


@table
def empty(folder):
    schema = pa.schema([("id", pa.int64()), ("t", pa.string()), ("n", pa.decimal128(38, 10))])
    DeltaTable.create(folder, schema)


# For skipping: each file has values that others do not have, so that a predicate rules files out.


@table
def extremes(folder):
    kinds = {
        "i8": (pa.int8(), [-128, 0, 127]),
        "i16": (pa.int16(), [-(2**15), 0, 2**15 - 1]),
        "i32": (pa.int32(), [-(2**31), 0, 2**31 - 1]),
        "i64": (pa.int64(), [-(2**63), 2**53 + 1, 2**63 - 1]),
        "f32": (pa.float32(), [-3.4028234663852886e38, 1.401298464324817e-45, 3.4028234663852886e38]),
        "f64": (pa.float64(), [-1.7976931348623157e308, 5e-324, 0.1]),
        "b": (pa.bool_(), [True, False, True]),
        "t": (pa.string(), ["", "\u0001", "\U0010ffff" * 40]),
        "x": (pa.binary(), [b"", b"\x00", b"\xff" * 40]),
        "d": (pa.date32(), [datetime.date(1, 1, 1), datetime.date(1582, 10, 10), datetime.date(9999, 12, 31)]),
        "at": (
            pa.timestamp("us", "UTC"),
            [
                datetime.datetime(1, 1, 1, tzinfo=UTC),
                datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
                datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            ],
        ),
        "ntz": (
            pa.timestamp("us"),
            [
                datetime.datetime(1, 1, 1),
                datetime.datetime(2024, 2, 29, 12, 0, 0, 999_999),
                datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999),
            ],
        ),
        "n9": (pa.decimal128(9, 2), [Decimal("-9999999.99"), Decimal("0.01"), Decimal("9999999.99")]),
        "n38": (pa.decimal128(38, 0), [-(10**38) + 1, 10**20 + 1, 10**38 - 1]),
        "n38s": (
            pa.decimal128(38, 18),
            [Decimal("-" + "9" * 20 + "." + "9" * 18), Decimal("1E-18"), Decimal("9" * 20 + "." + "9" * 18)],
        ),
    }
    for row in range(3):
        columns = {name: pa.array([values[row], None], kind) for name, (kind, values) in kinds.items()}
        ids = pa.array([row * 2, row * 2 + 1], pa.int64())
        write_deltalake(folder, pa.table({"id": ids, **columns}), mode="append")


@table
def long_prefixes(folder):
    """Texts that differ only behind what statistics keep of them."""
    for file in range(6):
        ids = range(file * 5, file * 5 + 5)
        texts = [f"{PREFIX}{i:03}" + ("\U0010ffff" if i % 2 else "") for i in ids]
        write_deltalake(folder, pa.table({"id": ids, "t": texts, "x": [t.encode() for t in texts]}), mode="append")


@table
def not_a_number(folder):
    files = [
        [1.0, 2.0, math.nan],
        [math.nan, math.nan],
        [-math.inf, 0.5],
        [math.inf, 100.0],
        [-0.0, 0.0],
        [None, math.nan],
        [None, None],
        [10.0, 20.0],
    ]
    for number, values in enumerate(files):
        ids = [number * 10 + i for i in range(len(values))]
        data = pa.table({"id": ids, "d": pa.array(values, pa.float64()), "f": pa.array(values, pa.float32())})
        write_deltalake(folder, data, mode="append")


@table
def without_statistics(folder):
    configuration = {"delta.dataSkippingNumIndexedCols": "0"}
    for start in range(0, 60, 20):
        data = numbered(start, start + 20, v=lambda i: f"v{i % 9}" if i % 5 else None)
        write_deltalake(folder, data, mode="append", configuration=configuration)


@table
def few_statistics(folder):
    configuration = {"delta.dataSkippingStatsColumns": "v"}
    for start in range(0, 60, 20):
        data = numbered(start, start + 20, v=lambda i: i // 3, w=lambda i: i * 2)
        write_deltalake(folder, data, mode="append", configuration=configuration)


@table
def many_files(folder):
    """150 files from one writer call: a hundred and fifty days."""
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i // 2) for i in range(300)]
    data = pa.table({"id": range(300), "day": days, "v": [f"v{i % 13}" if i % 7 else None for i in range(300)]})
    write_deltalake(folder, data, partition_by=["day"])


@table
def mixed(folder):
    """Text, date and number partitions, nulls everywhere, several row groups per file."""
    chance = random.Random(7)
    properties = WriterProperties(max_row_group_size=50)
    for file in range(4):
        n = 120

        def column(make, some=0.15):
            return [None if chance.random() < some else make() for _ in range(n)]

        base = file * 1000
        data = pa.table(
            {
                "id": pa.array(range(base, base + n), pa.int64()),
                "k": pa.array(column(lambda: chance.choice(["a", "b", "c c"])), pa.string()),
                "year": pa.array(column(lambda: chance.choice([2023, 2024])), pa.int32()),
                "i": pa.array(column(lambda: base + chance.randrange(500)), pa.int32()),
                "d": pa.array(column(lambda: base + chance.random()), pa.float64()),
                "t": pa.array(column(lambda: f"t{base + chance.randrange(500):04}"), pa.string()),
                "n": pa.array(
                    column(lambda: Decimal(base * 100 + chance.randrange(50_000)) / 100), pa.decimal128(12, 2)
                ),
                "at": pa.array(
                    column(lambda: datetime.datetime(2024, 1 + file, 1 + chance.randrange(28), 5, 0, 0, 1500, UTC)),
                    pa.timestamp("us", "UTC"),
                ),
                "b": pa.array(column(lambda: chance.random() < 0.5), pa.bool_()),
            }
        )
        write_deltalake(folder, data, partition_by=["k", "year"], mode="append", writer_properties=properties)
