"""Columns whose names or types in the files differ from those of the table; variants."""

import json

import pyarrow as pa
from handmade import Table, array, field, map_of, mapped, physical, struct
from oracle import variant

from .base import SIMPLE, simple, table

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
    renamed = json.loads(
        json.dumps(NESTED).replace('"name": "a"', '"name": "a a"').replace('"name": "y"', '"name": "z"')
    )
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
