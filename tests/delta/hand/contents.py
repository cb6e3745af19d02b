"""Partition values, and what data files may look like."""

import datetime
from decimal import Decimal

import pyarrow as pa
from handmade import Table, field

from .base import SIMPLE, simple, table

UTC = datetime.UTC


@table
def partition_spellings(folder):
    kinds = {
        "b": "boolean",
        "i": "integer",
        "n": "decimal(20,4)",
        "d": "date",
        "at": "timestamp",
        "ntz": "timestamp_ntz",
        "x": "binary",
        "f": "double",
    }
    fields = [field("id", "long"), *(field(name, kind) for name, kind in kinds.items())]
    made = Table(folder, fields, partitions=kinds, features=["timestampNtz"])
    values = [
        {"b": "true", "i": "-1", "n": "-1234567890123456.7891", "d": "0001-01-01", "at": "2024-02-29 23:59:59.123456"},
        {"b": "false", "i": "0", "n": "0.5000", "d": "9999-12-31", "at": "2024-02-29T23:59:59.123456Z"},
        {"b": "", "i": "", "n": "", "d": "", "at": ""},
        {"b": None, "i": None, "n": None, "d": None, "at": None},
        {"b": "true", "i": "2147483647", "n": "9999999999999999.9999", "d": "1582-10-10", "at": "1500-01-01 00:00:00"},
        {"b": "false", "i": "7", "n": "7.0000", "d": "1970-01-01", "at": "2024-01-01T00:00:00.000000Z"},
    ]
    rest = [
        {"ntz": "2024-02-29 23:59:59.123456", "x": "\u0001\u0002ž", "f": "-0.25"},
        {"ntz": "1969-12-31 23:59:59", "x": "abc", "f": "1.0E10"},
        {"ntz": "", "x": "", "f": ""},
        {"ntz": None, "x": None, "f": None},
        {"ntz": "0001-01-01 00:00:00", "x": "x", "f": "NaN"},
        {"ntz": "9999-12-31 23:59:59.999999", "x": "/", "f": "Infinity"},
    ]
    rows = {i: pa.table({"id": pa.array([i], pa.int64())}) for i in range(len(values))}
    made.commit(*(made.file(f"{i}.parquet", rows[i], values[i] | rest[i]) for i in rows))


@table
def partition_decimal_digits(folder):
    """Fewer digits behind the point than the column has."""
    made = Table(folder, [field("id", "long"), field("n", "decimal(20,4)")], partitions=["n"])
    rows = pa.table({"id": pa.array([1], pa.int64())})
    made.commit(*(made.file(f"{i}.parquet", rows, {"n": text}) for i, text in enumerate(["0.5", "7", "-1"])))


@table
def columns_in_another_order(folder):
    """Files have columns in an order of their own, more than the table has, and fewer."""
    made = Table(folder, [*SIMPLE, field("w", "double")])
    made.commit(
        made.file("a.parquet", pa.table({"w": [0.5], "extra": ["x"], "v": ["a"], "id": pa.array([1], pa.int64())})),
        made.file("b.parquet", pa.table({"v": ["b"]})),
        made.file("c.parquet", pa.table({"other": [1, 2]}), statistics={"numRecords": 2}),
    )


@table
def compressions(folder):
    made = Table(folder, SIMPLE)
    for i, codec in enumerate(["none", "snappy", "gzip", "brotli", "lz4", "zstd"]):
        made.commit(made.file(f"{codec}.parquet", simple(i * 10, i * 10 + 10), compression=codec))
    for i, version in enumerate(["1.0", "2.0"]):
        add = made.file(
            f"pages{version}.parquet",
            simple(100 + i * 10, 110 + i * 10),
            data_page_version=version,
            use_dictionary=bool(i),
        )
        made.commit(add)


@table
def timestamps_of_all_units(folder):
    """INT96 reaches beyond what 64 bits of nanoseconds hold."""
    made = Table(folder, [field("id", "long"), field("at", "timestamp")])
    far = [
        datetime.datetime(1, 1, 1, tzinfo=UTC),
        datetime.datetime(1582, 10, 4, 12, 0, 0, 1, UTC),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
        None,
    ]
    near = [datetime.datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC), datetime.datetime(2024, 2, 29, tzinfo=UTC)]
    files = [
        ("us", far, {}),
        ("ms", near, {}),
        ("ns", near, {"version": "2.6"}),
        ("ns", near, {"use_deprecated_int96_timestamps": True}),
    ]
    for i, (unit, values, options) in enumerate(files):
        ids = pa.array(range(i * 10, i * 10 + len(values)), pa.int64())
        data = pa.table({"id": ids, "at": pa.array(values, pa.timestamp(unit, "UTC"))})
        made.commit(made.file(f"{i}.parquet", data, **options))


@table
def decimals_of_all_widths(folder):
    """As 32 and 64 bit integers and as bytes; and narrower in the file than in the table."""
    kinds = {"a": (5, 2), "b": (18, 4), "c": (38, 6)}
    made = Table(folder, [field("id", "long"), *(field(n, f"decimal({p},{s})") for n, (p, s) in kinds.items())])
    for i, as_integers in enumerate([True, False]):
        values = {
            n: pa.array([Decimal(f"{10**p - 1}E-{s}"), Decimal(f"-1E-{s}"), None], pa.decimal128(p, s))
            for n, (p, s) in kinds.items()
        }
        data = pa.table({"id": pa.array(range(i * 3, i * 3 + 3), pa.int64()), **values})
        made.commit(made.file(f"{i}.parquet", data, store_decimal_as_integer=as_integers, statistics=False))


@table
def texts_as_bytes(folder):
    """Text columns whose files do not say that it is text."""
    made = Table(folder, SIMPLE)
    data = pa.table({"id": pa.array([1, 2], pa.int64()), "v": pa.array(["ž".encode(), None], pa.binary())})
    made.commit(made.file("a.parquet", data, statistics={"numRecords": 2}))
