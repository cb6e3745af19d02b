"""Statistics: cut, wide, missing, malformed."""

import math
from decimal import Decimal

import pyarrow as pa
from handmade import Table, field, statistics_of

from .base import SIMPLE, simple, table


@table
def bounds_cut_by_spark(folder):
    """Texts longer than 32 characters, whose maximum ends in a character above all others."""
    made = Table(folder, SIMPLE)
    prefix = "forty characters are more than is kept: "
    for file in range(5):
        ids = range(file * 4, file * 4 + 4)
        data = pa.table({"id": pa.array(ids, pa.int64()), "v": [prefix + chr(0x41 + i) for i in ids]})
        made.commit(made.file(f"{file}.parquet", data))


@table
def bounds_wide_and_missing(folder):
    """Everything that statistics may leave out or leave open."""
    made = Table(folder, [field("id", "long"), field("v", "string"), field("d", "double"), field("n", "decimal(30,2)")])

    def data(file):
        ids = range(file * 10, file * 10 + 10)
        return pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "v": [f"v{i}" if i % 3 else None for i in ids],
                "d": [i / 4 if i % 4 else math.nan for i in ids],
                "n": pa.array([Decimal(i) * 10**20 for i in ids], pa.decimal128(30, 2)),
            }
        )

    full = statistics_of(data(0))
    some = [
        full,
        False,
        {"numRecords": 10},
        {"numRecords": 10, "minValues": {"id": 0}, "maxValues": {}, "nullCount": {}},
        {"minValues": {"id": 40}, "maxValues": {"id": 49}},
        {
            "numRecords": 10,
            "minValues": {"id": -1000},
            "maxValues": {"id": 1000},
            "tightBounds": False,
            "nullCount": {},
        },
        {"numRecords": 10, "minValues": {"id": None, "v": None}, "maxValues": {"id": None}, "nullCount": {"id": None}},
        {"numRecords": 10, "nullCount": {"v": 4, "id": 0, "d": 0}, "unheard": {"of": 1}, "minValues": {"zzz": 5}},
    ]
    for file, statistics in enumerate(some):
        made.commit(made.file(f"{file}.parquet", data(file), statistics=statistics))


@table
def bounds_malformed(folder):
    """Statistics that are no statistics: they may be left alone, they may not remove rows."""
    made = Table(folder, SIMPLE)
    for file, text in enumerate(["{}", "", "null", "[]", "{", '{"numRecords":"ten"}', '{"minValues":{"id":"x"}}']):
        add = made.file(f"{file}.parquet", simple(file * 10, file * 10 + 10), statistics=False)
        add["add"]["stats"] = text
        made.commit(add)


@table
def integers_beyond_doubles(folder):
    """Bounds that a reader must not take through a double."""
    made = Table(folder, SIMPLE)
    for file in range(4):
        made.commit(made.file(f"{file}.parquet", simple(2**53 + file * 3, 2**53 + file * 3 + 3)))


@table
def text_order(folder):
    """Texts are ordered by code points, not by UTF-16 units or letters' case."""
    made = Table(folder, SIMPLE)
    texts = ["Z", "a", "ž", "\uffff", "\U00010000", "\U0010ffff", "", " ", "aa", "a\x00", "e\u0301", "é"]
    for i, text in enumerate(texts):
        data = pa.table({"id": pa.array([i], pa.int64()), "v": [text]})
        made.commit(made.file(f"{i}.parquet", data))
