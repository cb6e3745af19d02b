"""Tables that no writer at hand writes, made action by action: one function each, named after the table."""

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from handmade import (
    Table,
    array,
    checkpoint,
    checkpoint_v2,
    field,
    forget_commits,
    map_of,
    mapped,
    physical,
    statistics_of,
    struct,
)
from oracle import variant, vectors

UTC = datetime.UTC
SIMPLE = [field("id", "long"), field("v", "string")]
TABLES = {}


def table(build):
    TABLES[build.__name__] = build
    return build


def write_all(folder: Path):
    for name, build in TABLES.items():
        build(folder / name)


def simple(start: int, end: int) -> pa.Table:
    return pa.table({"id": pa.array(range(start, end), pa.int64()), "v": [f"v{i:05}" for i in range(start, end)]})


# Deletion vectors

VECTORS = {"features": ["deletionVectors"], "configuration": {"delta.enableDeletionVectors": "true"}}


@table
def vector_inline(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    made.commit(made.file("a.parquet", simple(0, 20), vector=vectors.inline([0, 7, 19])))


@table
def vector_absolute_path(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    (vector,) = vectors.write(folder, [[1, 2, 3]], absolute=True)
    made.commit(made.file("a.parquet", simple(0, 20), vector=vector))


@table
def vector_below_a_prefix(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    (vector,) = vectors.write(folder, [[4, 5]], prefix="aB")
    made.commit(made.file("a.parquet", simple(0, 20), vector=vector))


@table
def vectors_in_one_file(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    found = vectors.write(folder, [[0], list(range(5, 15)), [19]])
    made.commit(
        *(made.file(f"{i}.parquet", simple(i * 20, i * 20 + 20), vector=vector) for i, vector in enumerate(found))
    )


@table
def vector_of_runs(folder):
    """Run containers, and five of them, so that offsets are there."""
    made = Table(folder, SIMPLE, **VECTORS)
    rows = 65_536 * 4 + 100
    gone = [i for i in range(rows) if i % 1000 < 997]
    (vector,) = vectors.write(folder, [gone], runs=True)
    made.commit(made.file("a.parquet", simple(0, rows), vector=vector))


@table
def vector_over_row_groups(folder):
    """Whole row groups and whole pages are gone, and single rows at their borders."""
    made = Table(folder, SIMPLE, **VECTORS)
    gone = [*range(0, 100), 100, 199, 200, *range(300, 400), 450, *range(500, 600, 2), 999]
    options = {"row_group_size": 100, "data_page_size": 256, "write_batch_size": 16, "write_page_index": True}
    made.commit(made.file("a.parquet", simple(0, 1000), vector=vectors.inline(gone), **options))


@table
def vector_replaced(folder):
    """The same file under one vector after another, and under none in the end."""
    made = Table(folder, SIMPLE, **VECTORS)
    kept, returned = made.file("kept.parquet", simple(0, 10)), made.file("returned.parquet", simple(10, 20))
    made.commit(kept, returned)
    for gone in ([1], [1, 2], [1, 2, 3]):
        with_vector = made.add("kept.parquet", simple(0, 10), vector=vectors.inline(gone))
        made.commit(made.remove(kept), with_vector)
        kept = with_vector
    with_vector = made.add("returned.parquet", simple(10, 20), vector=vectors.inline([0, 9]))
    made.commit(made.remove(returned), with_vector)
    made.commit(made.remove(with_vector), returned)


@table
def vector_without_rows(folder):
    """A vector of no row is allowed."""
    made = Table(folder, SIMPLE, **VECTORS)
    made.commit(made.file("a.parquet", simple(0, 5), vector=vectors.inline([])))


@table
def vectors_in_checkpoint(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    found = vectors.write(folder, [[0, 1], [5]])
    for i, vector in enumerate([*found, vectors.inline([9]), None]):
        made.commit(made.file(f"{i}.parquet", simple(i * 10, i * 10 + 10), vector=vector))
    checkpoint(made)
    forget_commits(made, made.version)
    made.commit(made.file("last.parquet", simple(90, 95), vector=vectors.inline([4])))


@table
def vectors_without_statistics(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    made.commit(
        made.file("a.parquet", simple(0, 50), statistics=False, vector=vectors.inline([0, 49])),
        made.file("b.parquet", simple(50, 100), statistics=False),
    )


# Column mapping

BY_ID = {"features": ["columnMapping"], "configuration": {"delta.columnMapping.mode": "id"}}


@table
def mapping_by_id_alone(folder):
    """Files written by others, whose names mean nothing or mislead: only field ids count."""
    fields = [mapped("id", "long", 1, "p1"), mapped("a", "string", 2, "p2"), mapped("b", "string", 3, "p3")]
    made = Table(folder, fields, **BY_ID)
    misleading = pa.table(
        [pa.array(["b0", "b1"]), pa.array([10, 11]), pa.array(["a0", None])],
        schema=pa.schema(
            [
                pa.field("p2", pa.string(), metadata={"PARQUET:field_id": "3"}),
                pa.field("p1", pa.int64(), metadata={"PARQUET:field_id": "1"}),
                pa.field("p3", pa.string(), metadata={"PARQUET:field_id": "2"}),
            ]
        ),
    )
    made.commit(made.file("a.parquet", misleading, statistics={"numRecords": 2}))
    partial = pa.table(
        [pa.array([12]), pa.array(["no such column"])],
        schema=pa.schema(
            [
                pa.field("p1", pa.int64(), metadata={"PARQUET:field_id": "1"}),
                pa.field("b", pa.string(), metadata={"PARQUET:field_id": "9"}),
            ]
        ),
    )
    made.commit(made.file("b.parquet", partial, statistics={"numRecords": 1}))


NESTED = [
    mapped("id", "long", 1),
    mapped("s", struct(mapped("a", "integer", 3), mapped("t", struct(mapped("b", "string", 5)), 4)), 2),
    mapped("l", array(struct(mapped("x", "integer", 7))), 6),
    mapped("m", map_of("string", struct(mapped("y", "double", 9))), 8),
]
NESTED_ROWS = pa.Table.from_pylist(
    [
        {"id": 1, "s": {"a": 1, "t": {"b": "x"}}, "l": [{"x": 1}, {"x": None}], "m": [("k", {"y": 0.5}), ("n", None)]},
        {"id": 2, "s": {"a": None, "t": None}, "l": [], "m": []},
        {"id": 3, "s": None, "l": None, "m": None},
    ],
    schema=pa.schema(
        [
            ("id", pa.int64()),
            ("s", pa.struct([("a", pa.int32()), ("t", pa.struct([("b", pa.string())]))])),
            ("l", pa.list_(pa.struct([("x", pa.int32())]))),
            ("m", pa.map_(pa.string(), pa.struct([("y", pa.float64())]))),
        ]
    ),
)


def _nested(folder, mode):
    configuration = {"delta.columnMapping.mode": mode}
    made = Table(folder, NESTED, features=["columnMapping"], configuration=configuration)
    made.commit(made.file("a.parquet", physical(NESTED_ROWS, NESTED)))
    # Renamed at every depth, one field dropped, one added.
    renamed = json.loads(json.dumps(NESTED).replace('"name": "a"', '"name": "a a"').replace('"name": "y"', '"name": "z"'))
    renamed[1]["type"]["fields"][1]["type"]["fields"].append(mapped("added", "long", 10))
    renamed[2]["type"]["elementType"]["fields"] = [mapped("instead of x", "string", 11)]
    made.commit(made.metadata(renamed))


@table
def mapping_nested_by_name(folder):
    _nested(folder, "name")


@table
def mapping_nested_by_id(folder):
    _nested(folder, "id")


@table
def mapping_upgraded(folder):
    """Files from before the upgrade: physical names are what the names were."""
    made = Table(folder, SIMPLE)
    made.commit(made.file("a.parquet", simple(0, 10)))
    made.configuration["delta.columnMapping.mode"] = "name"
    fields = [mapped("number", "long", 1, "id"), mapped("v", "string", 3, "col-new"), mapped("was v", "string", 2, "v")]
    made.commit({"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}, made.metadata(fields))
    new = pa.table({"id": [100], "col-new": ["new"], "v": ["old"]})
    made.commit(made.file("b.parquet", new))


@table
def mapping_partition_renamed(folder):
    fields = [mapped("id", "long", 1, "p-id"), mapped("kind", "string", 2, "p-kind")]
    configuration = {"delta.columnMapping.mode": "name"}
    made = Table(folder, fields, partitions=["kind"], features=["columnMapping"], configuration=configuration)
    rows = pa.table({"p-id": pa.array([1, 2], pa.int64())})
    made.commit(made.file("xy/a.parquet", rows, {"p-kind": "a b"}), made.file("zz/b.parquet", rows, {"p-kind": None}))
    made.partitions = ["sort of"]
    made.commit(made.metadata([fields[0], fields[1] | {"name": "sort of"}]))


# Type widening


@table
def widened_nested(folder):
    change = {"fromType": "integer", "toType": "long", "tableVersion": 2}

    def fields(kind, **notes):
        return [
            field("id", "long"),
            field("s", struct(field("a", kind, **notes))),
            field("l", array(kind)),
            field("m", map_of("string", kind)),
        ]

    made = Table(folder, fields("integer"), features=["typeWidening"])
    rows = [{"id": 1, "s": {"a": -1}, "l": [1, None], "m": [("k", 5)]}, {"id": 2, "s": None, "l": [], "m": None}]

    def data(kind):
        return pa.Table.from_pylist(
            rows,
            schema=pa.schema(
                [
                    ("id", pa.int64()),
                    ("s", pa.struct([("a", kind)])),
                    ("l", pa.list_(kind)),
                    ("m", pa.map_(pa.string(), kind)),
                ]
            ),
        )

    made.commit(made.file("a.parquet", data(pa.int32())))
    wide = fields("long", **{"delta.typeChanges": [change]})
    wide[2]["metadata"]["delta.typeChanges"] = [change | {"fieldPath": "element"}]
    wide[3]["metadata"]["delta.typeChanges"] = [change | {"fieldPath": "value"}]
    made.commit(made.metadata(wide))
    made.commit(made.file("b.parquet", data(pa.int64())))


# Checkpoints and logs


def _commits(folder, count=6):
    made = Table(folder, SIMPLE)
    adds = []
    for i in range(count):
        adds.append(made.file(f"{i}.parquet", simple(i * 10, i * 10 + 10)))
        made.commit(adds[-1])
    made.commit(made.remove(adds[1]), made.file("new.parquet", simple(900, 903)))
    return made


@table
def checkpoint_in_parts(folder):
    made = _commits(folder)
    checkpoint(made, parts=3)
    forget_commits(made, made.version)
    made.commit(made.file("after.parquet", simple(1000, 1002)))


@table
def checkpoint_in_parts_incomplete(folder):
    """A part is missing: the checkpoint does not count, the commits do."""
    made = _commits(folder)
    checkpoint(made, parts=3, hint=False)[1].unlink()


@table
def checkpoint_v2_parquet(folder):
    made = Table(folder, SIMPLE, features=["v2Checkpoint"])
    for i in range(5):
        made.commit(made.file(f"{i}.parquet", simple(i * 10, i * 10 + 10)))
    checkpoint_v2(made, "parquet")
    forget_commits(made, made.version)
    made.commit(made.file("after.parquet", simple(1000, 1002)))


@table
def checkpoint_v2_json(folder):
    made = Table(folder, SIMPLE, features=["v2Checkpoint"])
    for i in range(5):
        made.commit(made.file(f"{i}.parquet", simple(i * 10, i * 10 + 10)))
    checkpoint_v2(made, "json", sidecars=3)
    forget_commits(made, made.version)


@table
def checkpoint_not_hinted(folder):
    made = _commits(folder)
    checkpoint(made, hint=False)
    forget_commits(made, made.version)


@table
def checkpoint_hint_is_old(folder):
    """The hint names the first of two checkpoints; a reader must find the commits behind the second."""
    made = _commits(folder)
    checkpoint(made)
    made.commit(made.file("x.parquet", simple(2000, 2003)))
    checkpoint(made, hint=False)
    made.commit(made.file("y.parquet", simple(3000, 3003)))


@table
def checkpoint_hint_is_garbage(folder):
    made = _commits(folder)
    checkpoint(made)
    (made.log / "_last_checkpoint").write_bytes(b"\x00\xff{]")


@table
def unknown_actions(folder):
    """Actions and fields of a future; changes of the change feed, which a reader of the table leaves alone."""
    made = Table(folder, SIMPLE, configuration={"delta.enableChangeDataFeed": "true"})
    change = made.file("_change_data/c.parquet", simple(0, 3), statistics=False)["add"]
    add = made.file("a.parquet", simple(0, 10))
    add["add"]["someDay"] = {"x": [1]}
    made.commit(
        {"commitInfo": {"timestamp": 1, "operation": "WRITE", "unheard": {"of": 1}}},
        {"txn": {"appId": "a", "version": 3, "lastUpdated": 1}},
        {"cdc": {k: change[k] for k in ("path", "partitionValues", "size")} | {"dataChange": False}},
        {"somethingNew": {"path": "a.parquet"}},
        add,
    )
    made.commit({"commitInfo": {"operation": "nothing"}})


@table
def added_again(folder):
    """The same file in several commits is one file."""
    made = Table(folder, SIMPLE)
    add = made.file("a.parquet", simple(0, 10))
    made.commit(add)
    made.commit(add)
    made.commit(made.remove(made.file("b.parquet", simple(10, 20))))
    made.commit(made.add("b.parquet", simple(10, 20)))


@table
def renamed_data_files(folder):
    """Paths are URLs: what is escaped there is not in the file's name."""
    made = Table(folder, SIMPLE)
    names = {
        "with space.parquet": "with%20space.parquet",
        "50%25.parquet": "50%2525.parquet",
        "plus+.parquet": "plus+.parquet",
        "hash#.parquet": "hash%23.parquet",
        "question?.parquet": "question%3F.parquet",
        "žluť 漢.parquet": "%C5%BElu%C5%A5%20%E6%BC%A2.parquet",
        "a:b.parquet": "a%3Ab.parquet",
        "deep/er/x=1/f.parquet": "deep/er/x=1/f.parquet",
        "quote'\".parquet": "quote'%22.parquet",
        "[brackets]{}.parquet": "%5Bbrackets%5D%7B%7D.parquet",
    }
    for i, (name, path) in enumerate(names.items()):
        add = made.file(name, simple(i * 10, i * 10 + 3))
        add["add"]["path"] = path
        made.commit(add)


# Partition values


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


# Data files


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


# Statistics


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
        {"numRecords": 10, "minValues": {"id": -1000}, "maxValues": {"id": 1000}, "tightBounds": False, "nullCount": {}},
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


@table
def escaped_characters(folder):
    """Commits that spell all but ASCII as JSON escapes: beyond U+FFFF these are two, of a high and a low half."""
    texts = ["\uffff", "\U00010000", "\U0001f600", "\U0001ffff", "\U00020000", "\U0002f800", "\U00030000", "\U0010ffff"]
    column = "\U00020bb7"
    made = Table(folder, [field("id", "long"), field(column, "string"), field("p", "string")], partitions=["p"])
    schema = json.dumps(struct(*made.fields), ensure_ascii=False)
    made.commit(made.metadata(made.fields, schemaString=schema))
    for i, text in enumerate(texts):
        data = pa.table({"id": pa.array([i], pa.int64()), column: [text]})
        path = made.commit(made.file(f"{i}.parquet", data, {"p": text}))
        assert path.read_text().isascii()


@table
def shallow_clone(folder):
    """Lists files of another table, by their URL; that table has a vector on one, the clone has not."""
    made = Table(folder, SIMPLE)
    source = Table(folder.parent / "shallow_clone_source", SIMPLE, **VECTORS)
    add = source.file("a b.parquet", simple(0, 10), vector=vectors.inline([1]))
    add["add"]["path"] = "a%20b.parquet"
    source.commit(add)
    cloned = source.add("a b.parquet", simple(0, 10))
    cloned["add"]["path"] = (source.folder / "a b.parquet").as_uri()
    made.commit(cloned, made.file("own.parquet", simple(10, 20)))


VARIANT = [field("id", "long"), field("v", "variant")]


@table
def variants_shredded(folder):
    """Variants taken apart into typed columns: numbers, texts, lists, objects, and what fits none of these."""
    made = Table(folder, VARIANT, features=["variantType", "variantShredding"])
    binary = pa.binary()

    def group(kind):
        return pa.struct([pa.field("value", binary), pa.field("typed_value", kind)])

    def write(number, kind, rows):
        metadata = pa.field("metadata", binary, nullable=False)
        top = pa.struct([metadata, pa.field("value", binary), pa.field("typed_value", kind)])
        data = pa.Table.from_pylist(
            [{"id": number * 10 + i, "v": row} for i, row in enumerate(rows)],
            schema=pa.schema([("id", pa.int64()), ("v", top)]),
        )
        made.commit(made.file(f"{number}.parquet", data, statistics={"numRecords": len(rows)}))

    def kept(value, names=()):
        metadata, content = variant.encode(value, names)
        return {"metadata": metadata, "value": content}

    def taken(typed, names=(), rest=None):
        metadata, content = variant.encode(rest, names)
        return {"metadata": metadata, "value": content if rest else None, "typed_value": typed}

    write(0, pa.int64(), [taken(2**40), kept("text"), kept({"a": 1}), kept(None), None])
    write(1, pa.string(), [taken("t"), kept(-5), kept([1, "x", None])])
    element = pa.field("element", group(pa.int64()), nullable=False)
    lists = [
        taken([{"typed_value": 1}, {"value": variant.encode("b")[1]}]),
        taken([]),
        kept({"no": "list"}),
    ]
    write(2, pa.list_(element), lists)
    fields = [
        pa.field("a", group(pa.int64()), nullable=False),
        pa.field("b", group(pa.string()), nullable=False),
    ]
    objects = [
        taken({"a": {"typed_value": 1}, "b": {"typed_value": "x"}}, "ab"),
        taken({"a": {"typed_value": 2}, "b": {}}, "ab"),
        taken({"a": {"typed_value": 3}, "b": {"value": b"\x00"}}, "ab", rest={"c": True}),
        kept(7, "ab"),
    ]
    write(3, pa.struct(fields), objects)
