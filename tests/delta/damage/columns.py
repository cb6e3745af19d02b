"""Column mapping, types and variants that make no sense."""

import pyarrow as pa
from handmade import Table, field
from oracle import variant

from .cases import ANY, FIRST, LOG, SECRET, SIMPLE, case, simple


@case(*LOG)
def mapping_mode_unknown(folder):
    configuration = {"delta.columnMapping.mode": "feeling"}
    made = Table(folder, SIMPLE, features=["columnMapping"], configuration=configuration)
    made.commit(made.file("a.parquet", simple()))


@case(*LOG)
def mapping_without_physical_names(folder):
    configuration = {"delta.columnMapping.mode": "name"}
    made = Table(folder, SIMPLE, features=["columnMapping"], configuration=configuration)
    made.commit(made.file("a.parquet", simple()))


@case(*LOG)
def mapping_with_a_physical_name_twice(folder):
    fields = [
        field("id", "long", **{"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "id"}),
        field("v", "long", **{"delta.columnMapping.id": 2, "delta.columnMapping.physicalName": "id"}),
    ]
    configuration = {"delta.columnMapping.mode": "name"}
    made = Table(folder, fields, features=["columnMapping"], configuration=configuration)
    made.commit(made.file("a.parquet", simple()))


def with_type_change(folder, data: pa.Table):
    """The log says that texts became numbers, which no reader may do."""
    change = {"fromType": "string", "toType": "long", "tableVersion": 1}
    made = Table(folder, [field("id", "long", **{"delta.typeChanges": [change]})], features=["typeWidening"])
    made.commit(made.file("a.parquet", data, statistics={"numRecords": data.num_rows}))


@case(*ANY, ids=FIRST)
def type_change_unknown(folder):
    """The files are from after the change."""
    with_type_change(folder, simple().select(["id"]))


@case(*ANY, count=2)
def type_change_unknown_and_needed(folder):
    with_type_change(folder, pa.table({"id": ["1", "2"]}))


@case(*ANY, count=2)
def type_narrowed(folder):
    """Files of a type that widening never leads from."""
    change = {"fromType": "double", "toType": "integer", "tableVersion": 1}
    made = Table(folder, [field("id", "integer", **{"delta.typeChanges": [change]})], features=["typeWidening"])
    made.commit(made.file("a.parquet", pa.table({"id": [1.5, 2.0]}), statistics={"numRecords": 2}))


def variants(folder, rows: list, kind=None):
    parts = [pa.field("metadata", pa.binary(), nullable=False), pa.field("value", pa.binary())]
    if kind:
        parts.append(pa.field("typed_value", kind))
    schema = pa.schema([("id", pa.int64()), ("v", pa.struct(parts))])
    data = pa.Table.from_pylist([{"id": i, "v": row} for i, row in enumerate(rows)], schema=schema)
    made = Table(folder, [field("id", "long"), field("v", "variant")], features=["variantType", "variantShredding"])
    made.commit(made.file("a.parquet", data, statistics={"numRecords": len(rows)}))


WHOLE = dict(zip(("metadata", "value"), variant.encode({"a": [1, SECRET]})))


@case(*ANY, count=2, ids_alone=range(2))
def variant_metadata_truncated(folder):
    variants(folder, [WHOLE, WHOLE | {"metadata": WHOLE["metadata"][:-1]}])


@case(*ANY, count=2, ids_alone=range(2))
def variant_value_truncated(folder):
    variants(folder, [WHOLE, WHOLE | {"value": WHOLE["value"][:-5]}])


@case(*ANY, count=2, ids_alone=range(2))
def variant_of_noise(folder):
    variants(folder, [WHOLE, {"metadata": b"\xa5" * 30, "value": b"\xa5" * 30}])


@case(*ANY, count=2, ids_alone=range(2))
def variant_of_nothing(folder):
    variants(folder, [WHOLE, {"metadata": b"", "value": b""}])


@case(*ANY, count=2, ids_alone=range(2))
def variant_version_unknown(folder):
    variants(folder, [WHOLE, WHOLE | {"metadata": b"\x1f" + WHOLE["metadata"][1:]}])


@case(*ANY, count=1, ids_alone=range(1))
def variant_lacks_names_of_shredded_fields(folder):
    """A field that was taken out must be in the metadata, to be put back."""
    part = pa.struct([pa.field("value", pa.binary()), pa.field("typed_value", pa.int64())])
    kind = pa.struct([pa.field("a", part, nullable=False)])
    metadata, _ = variant.encode(1)
    variants(folder, [{"metadata": metadata, "typed_value": {"a": {"typed_value": 1}}}], kind)


@case(*ANY, count=1, ids_alone=range(1))
def variant_nested_deeply(folder):
    """Lists in lists: a megabyte of them may not end the process."""
    depth, empty = 100_000, b"\x00"
    # Each list has one element, behind the list's own head of ten bytes.
    head = bytes([3 << 2 | 3, 1]) + (0).to_bytes(4, "little")
    sizes = (len(empty) + 10 * inner for inner in reversed(range(depth)))
    value = b"".join(head + size.to_bytes(4, "little") for size in sizes) + empty
    variants(folder, [{"metadata": WHOLE["metadata"], "value": value}])
