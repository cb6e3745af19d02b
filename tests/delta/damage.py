"""Tables that are broken, each in one way, and what may be answered about them."""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from handmade import Table, checkpoint, checkpoint_v2, field, forget_commits
from oracle import variant, vectors

# In paths, partition values and rows: no message to a user shows it.
SECRET = "secret-value"
SIMPLE = [field("id", "long"), field("v", "string")]
ROWS = 1000

LOG = ("55000",)
DATA = ("XX001",)
# A file that is looked at when the table is loaded, or when it is read: both are right.
ANY = ("55000", "XX001")


@dataclass(frozen=True)
class Case:
    build: Callable
    # SQLSTATEs of the refusal; empty where the table must be read.
    states: tuple
    # Rows that would be right; None where there is no right answer.
    ids: Sequence | None = None
    # What count(*) may say although the rows cannot be read: a footer that is whole knows it.
    count: int | None = None


CASES = {}


def case(*states, ids=None, count=None):
    """The refusals that are right, and the answers that would be."""

    def register(build):
        CASES[build.__name__] = Case(build, states, ids, count)
        return build

    return register


def simple(start: int = 0, end: int = ROWS) -> pa.Table:
    return pa.table({"id": pa.array(range(start, end), pa.int64()), "v": [f"{SECRET} {i}" for i in range(start, end)]})


def good(folder: Path, **options) -> Table:
    """Two files of 1,000 rows in two commits."""
    made = Table(folder, SIMPLE, **options)
    made.commit(made.file("a.parquet", simple()))
    made.commit(made.file("b.parquet", simple(ROWS, 2 * ROWS)))
    return made


GOOD = range(2 * ROWS)
FIRST = range(ROWS)


def commit_path(made: Table, version: int) -> Path:
    return made.log / f"{version:020}.json"


# The log


@case(*LOG)
def commit_gap(folder):
    made = good(folder)
    commit_path(made, 1).unlink()


@case(*LOG)
def first_commit_missing(folder):
    made = good(folder)
    commit_path(made, 0).unlink()


@case(*LOG)
def commit_truncated(folder):
    path = commit_path(good(folder), 2)
    path.write_bytes(path.read_bytes()[:-60])


@case(*LOG)
def commit_of_noise(folder):
    commit_path(good(folder), 2).write_bytes(b"\x00\xff\xfe not json {" * 100)


@case(*LOG)
def commit_of_no_objects(folder):
    commit_path(good(folder), 2).write_text('"add"\n12\n[]\n')


@case(*LOG)
def commit_nested_without_end(folder):
    commit_path(good(folder), 2).write_text('{"add":{"tags":' + '{"a":' * 200_000)


@case(*LOG, ids=FIRST)
def unknown_action_nested_deeply(folder):
    """Nothing of it is needed, but it has to be gone through."""
    depth = 100_000
    commit_path(good(folder), 2).write_text('{"unknown":' + "[" * depth + "]" * depth + "}\n")


@case(*LOG, ids=FIRST)
def commit_empty(folder):
    """No action at all: nothing was committed, or something was and is lost."""
    commit_path(good(folder), 2).write_text("")


def changed_add(folder, **changes):
    made = Table(folder, SIMPLE)
    add = made.file("a.parquet", simple())
    add["add"] = {k: v for k, v in (add["add"] | changes).items() if v is not Ellipsis}
    made.commit(add)


@case(*LOG)
def path_missing(folder):
    changed_add(folder, path=...)


@case(*ANY)
def path_is_a_number(folder):
    changed_add(folder, path=7)


@case(*ANY)
def path_of_ten_million_characters(folder):
    changed_add(folder, path=f"{SECRET}/" + "x" * 10_000_000)


@case(*ANY)
def path_of_many_folders(folder):
    changed_add(folder, path="d/" * 200_000 + "a.parquet")


@case(*ANY, ids=FIRST)
def path_leads_elsewhere(folder):
    """Out of the table's folder: a reader may follow it or not; the rows are those of the file."""
    changed_add(folder, path=f"../{folder.name}/a.parquet")


@case(*ANY)
def path_to_a_system_file(folder):
    changed_add(folder, path="/etc/passwd", size=Path("/etc/passwd").stat().st_size)


@case(*ANY)
def path_is_a_folder(folder):
    (folder / "sub").mkdir(parents=True)
    changed_add(folder, path="sub")


@case(*ANY)
def path_is_empty(folder):
    changed_add(folder, path="")


@case(*ANY)
def path_with_nul(folder):
    changed_add(folder, path="a\x00.parquet")


@case(*LOG)
def size_negative(folder):
    changed_add(folder, size=-1)


@case(*LOG)
def size_missing(folder):
    changed_add(folder, size=...)


@case(*LOG)
def size_is_text(folder):
    changed_add(folder, size="many")


@case(*DATA)
def size_too_small(folder):
    changed_add(folder, size=100)


@case(*DATA)
def size_too_large(folder):
    changed_add(folder, size=10_000_000)


@case(*DATA)
def size_enormous(folder):
    changed_add(folder, size=2**63 - 1)


@case(*DATA)
def size_zero(folder):
    changed_add(folder, size=0)


def counted(folder, rows):
    changed_add(folder, stats=json.dumps({"numRecords": rows, "minValues": {}, "maxValues": {}, "nullCount": {}}))


@case(*ANY, ids=FIRST)
def rows_counted_too_many(folder):
    counted(folder, ROWS + 7)


@case(*ANY, ids=FIRST)
def rows_counted_too_few(folder):
    counted(folder, ROWS - 7)


@case(*ANY, ids=FIRST)
def rows_counted_none(folder):
    counted(folder, 0)


@case(*ANY, ids=FIRST)
def rows_counted_negative(folder):
    counted(folder, -5)


@case(*ANY, ids=FIRST)
def rows_counted_beyond_all(folder):
    counted(folder, 2**63 - 1)


def with_schema(folder, schema: str, **changes):
    made = Table(folder, SIMPLE)
    made.commit(made.metadata(SIMPLE, schemaString=schema, **changes), made.file("a.parquet", simple()))


@case(*LOG)
def schema_is_no_json(folder):
    with_schema(folder, "{")


@case(*LOG)
def schema_missing(folder):
    with_schema(folder, None)


@case(*LOG)
def schema_with_unknown_type(folder):
    with_schema(folder, json.dumps({"type": "struct", "fields": [field("id", "quaternion")]}))


@case(*LOG)
def schema_nested_deeply(folder):
    depth = 5000
    inner = '{"type":"array","containsNull":true,"elementType":' * depth + '"long"' + "}" * depth
    column = f'{{"name":"id","type":{inner},"nullable":true,"metadata":{{}}}}'
    with_schema(folder, f'{{"type":"struct","fields":[{column}]}}')


@case(*LOG)
def schema_with_a_name_twice(folder):
    with_schema(folder, json.dumps({"type": "struct", "fields": [field("id", "long"), field("id", "string")]}))


@case(*LOG)
def partition_column_unknown(folder):
    with_schema(folder, json.dumps({"type": "struct", "fields": SIMPLE}), partitionColumns=["nothing"])


def with_protocol(folder, **protocol):
    made = Table(folder, SIMPLE, protocol=protocol)
    made.commit(made.file("a.parquet", simple()))


@case(*LOG)
def reader_version_of_the_future(folder):
    with_protocol(folder, minReaderVersion=4, minWriterVersion=8)


@case(*LOG)
def reader_feature_unknown(folder):
    with_protocol(
        folder, minReaderVersion=3, minWriterVersion=7, readerFeatures=["someDay"], writerFeatures=["someDay"]
    )


@case(*LOG)
def reader_version_missing(folder):
    with_protocol(folder, minWriterVersion=2)


def drop_lines(path: Path, text: str):
    path.write_text("".join(line for line in path.read_text().splitlines(True) if text not in line))


@case(*LOG)
def protocol_missing(folder):
    made = good(folder)
    path = commit_path(made, 0)
    drop_lines(path, "protocol")


@case(*LOG)
def metadata_missing(folder):
    made = good(folder)
    path = commit_path(made, 0)
    drop_lines(path, "metaData")


# Checkpoints


def with_checkpoint(folder) -> Path:
    made = good(folder)
    (path,) = checkpoint(made)
    forget_commits(made, made.version + 1)
    return path


@case(*LOG)
def checkpoint_truncated(folder):
    path = with_checkpoint(folder)
    path.write_bytes(path.read_bytes()[:-50])


@case(*LOG)
def checkpoint_empty(folder):
    with_checkpoint(folder).write_bytes(b"")


@case(*LOG)
def checkpoint_of_noise(folder):
    path = with_checkpoint(folder)
    path.write_bytes(b"PAR1" + b"\xa5" * 500 + b"PAR1")


@case(*LOG)
def checkpoint_of_something_else(folder):
    pq.write_table(simple(), with_checkpoint(folder))


@case(*LOG)
def checkpoint_lacks_a_part(folder):
    made = good(folder)
    checkpoint(made, parts=3)[1].unlink()
    forget_commits(made, made.version + 1)


@case(*LOG)
def sidecar_missing(folder):
    made = good(folder, features=["v2Checkpoint"])
    checkpoint_v2(made)[1].unlink()
    forget_commits(made, made.version + 1)


@case(*LOG)
def sidecar_truncated(folder):
    made = good(folder, features=["v2Checkpoint"])
    path = checkpoint_v2(made)[1]
    path.write_bytes(path.read_bytes()[:-20])
    forget_commits(made, made.version + 1)


@case(*LOG)
def manifest_truncated(folder):
    made = good(folder, features=["v2Checkpoint"])
    path = checkpoint_v2(made, "json")[0]
    path.write_bytes(path.read_bytes()[:-30])
    forget_commits(made, made.version + 1)


@case(*LOG, ids=GOOD)
def checkpoint_broken_commits_whole(folder):
    """Everything is in the commits; a reader that trusts the checkpoint cannot know."""
    (path,) = checkpoint(good(folder))
    path.write_bytes(path.read_bytes()[:-50])


@case(*LOG, ids=GOOD)
def hint_names_no_checkpoint(folder):
    made = good(folder)
    (made.log / "_last_checkpoint").write_text('{"version": 77, "size": 3}')


@case(ids=GOOD)
def hint_of_noise(folder):
    made = good(folder)
    (made.log / "_last_checkpoint").write_bytes(b"\x00\xff{" * 1000)


@case(ids=GOOD)
def hint_is_empty(folder):
    made = good(folder)
    (made.log / "_last_checkpoint").write_bytes(b"")


@case(*LOG, ids=GOOD)
def hint_is_negative(folder):
    made = good(folder)
    (made.log / "_last_checkpoint").write_text('{"version": -1, "size": -3}')


# Partition values


def partitioned(folder, kind: str, text, **metadata):
    made = Table(folder, [field("id", "long"), field("p", kind)], partitions=["p"])
    values = {} if text is ... else {"p": text}
    made.commit(made.file("a.parquet", simple().select(["id"]), values))


BAD_VALUES = {
    "integer": [SECRET, "1.5", "99999999999", "0x10", "1 2"],
    "short": ["40000"],
    "double": [SECRET],
    "decimal(5,2)": [SECRET, "12345.67", "1.234"],
    "boolean": [SECRET, "yes"],
    "date": [SECRET, "2020-13-45", "20200101x"],
    "timestamp": [SECRET, "2020-01-01 25:61:00"],
    "timestamp_ntz": [SECRET],
}
for kind, texts in BAD_VALUES.items():
    for number, text in enumerate(texts):
        name = f"partition_value_{kind.split('(')[0]}_{number}"
        CASES[name] = Case(lambda folder, kind=kind, text=text: partitioned(folder, kind, text), LOG)


@case(*ANY, ids=FIRST)
def partition_value_missing(folder):
    """Not NULL but not there; what is there is taken for NULL, or refused."""
    partitioned(folder, "integer", ...)


# Data files


def broken_file(folder, change):
    made = good(folder)
    path = folder / "b.parquet"
    before = path.read_bytes()
    after = change(before)
    if after is None:
        path.unlink()
    else:
        path.write_bytes(after)


@case(*DATA)
def file_missing(folder):
    broken_file(folder, lambda _: None)


@case(*DATA)
def file_truncated(folder):
    broken_file(folder, lambda content: content[: len(content) // 2])


@case(*DATA)
def file_empty(folder):
    broken_file(folder, lambda _: b"")


@case(*DATA)
def file_grown(folder):
    broken_file(folder, lambda content: content + b"PAR1")


@case(*DATA)
def file_of_noise(folder):
    broken_file(folder, lambda content: b"\xa5" * len(content))


@case(*DATA)
def file_footer_overwritten(folder):
    broken_file(folder, lambda content: content[:-100] + b"\x00" * 92 + content[-8:])


@case(*DATA)
def file_footer_length_wrong(folder):
    broken_file(folder, lambda content: content[:-8] + struct.pack("<I", 2**31) + content[-4:])


@case(*DATA, count=2 * ROWS)
def file_pages_overwritten(folder):
    broken_file(folder, lambda content: content[:40] + b"\xa5" * 3000 + content[3040:])


@case(*DATA, count=ROWS)
def file_page_against_its_checksum(folder):
    """One bit of a value differs; the page's checksum tells."""
    made = Table(folder, SIMPLE)
    options = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    add = made.file("a.parquet", simple(), **options)
    made.commit(add)
    path = folder / "a.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<q", 500))] ^= 1
    path.write_bytes(content)


@case(*DATA, count=2)
def file_of_other_types(folder):
    made = Table(folder, SIMPLE)
    data = pa.table({"id": [SECRET, "x"], "v": [1, 2]})
    made.commit(made.file("a.parquet", data, statistics={"numRecords": 2}))


@case(*DATA, count=2)
def file_of_wider_types(folder):
    """What does not fit is not cut."""
    made = Table(folder, [field("id", "integer"), field("v", "string")])
    made.commit(made.file("a.parquet", simple(2**31, 2**31 + 2), statistics={"numRecords": 2}))


def variants(folder, rows: list, kind=None):
    parts = [pa.field("metadata", pa.binary(), nullable=False), pa.field("value", pa.binary())]
    if kind:
        parts.append(pa.field("typed_value", kind))
    schema = pa.schema([("id", pa.int64()), ("v", pa.struct(parts))])
    data = pa.Table.from_pylist([{"id": i, "v": row} for i, row in enumerate(rows)], schema=schema)
    made = Table(folder, [field("id", "long"), field("v", "variant")], features=["variantType", "variantShredding"])
    made.commit(made.file("a.parquet", data, statistics={"numRecords": len(rows)}))


WHOLE = dict(zip(("metadata", "value"), variant.encode({"a": [1, SECRET]})))


@case(*ANY, count=2)
def variant_metadata_truncated(folder):
    variants(folder, [WHOLE, WHOLE | {"metadata": WHOLE["metadata"][:-1]}])


@case(*ANY, count=2)
def variant_value_truncated(folder):
    variants(folder, [WHOLE, WHOLE | {"value": WHOLE["value"][:-5]}])


@case(*ANY, count=2)
def variant_of_noise(folder):
    variants(folder, [WHOLE, {"metadata": b"\xa5" * 30, "value": b"\xa5" * 30}])


@case(*ANY, count=2)
def variant_of_nothing(folder):
    variants(folder, [WHOLE, {"metadata": b"", "value": b""}])


@case(*ANY, count=2)
def variant_version_unknown(folder):
    variants(folder, [WHOLE, WHOLE | {"metadata": b"\x1f" + WHOLE["metadata"][1:]}])


@case(*ANY, count=1)
def variant_lacks_names_of_shredded_fields(folder):
    """A field that was taken out must be in the metadata, to be put back."""
    part = pa.struct([pa.field("value", pa.binary()), pa.field("typed_value", pa.int64())])
    kind = pa.struct([pa.field("a", part, nullable=False)])
    metadata, _ = variant.encode(1)
    variants(folder, [{"metadata": metadata, "typed_value": {"a": {"typed_value": 1}}}], kind)


@case(*ANY, count=1)
def variant_nested_deeply(folder):
    """Lists in lists: a megabyte of them may not end the process."""
    depth, empty = 100_000, b"\x00"
    # Each list has one element, behind the list's own head of ten bytes.
    head = bytes([3 << 2 | 3, 1]) + (0).to_bytes(4, "little")
    sizes = (len(empty) + 10 * inner for inner in reversed(range(depth)))
    value = b"".join(head + size.to_bytes(4, "little") for size in sizes) + empty
    variants(folder, [{"metadata": WHOLE["metadata"], "value": value}])


# Deletion vectors

VECTORS = {"features": ["deletionVectors"], "configuration": {"delta.enableDeletionVectors": "true"}}
GONE = [*range(100, 200), 500]


def vectored(folder, vector: dict, **changes):
    made = Table(folder, SIMPLE, **VECTORS)
    made.commit(made.file("a.parquet", simple(), vector=vector | changes))


def on_disk(folder, change=None, **changes):
    """A vector in a file whose bytes `change` edits."""
    (vector,) = vectors.write(_made(folder), [GONE])
    path = vectors.path_of(folder, vector)
    if change:
        content = bytearray(path.read_bytes())
        changed = change(content)
        path.write_bytes(content if changed is None else changed)
    vectored(folder, vector, **changes)


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def flip(position):
    def change(content):
        content[position] ^= 0x10

    return change


# Size, magic number, number of bitmaps, key, cookie, container, values, checksum.
for position in (1, 4, 5, 8, 9, 13, 17, 21, 25, 29, 33, 37, 60, 120, -5, -4, -1):
    name = f"vector_bit_{position}".replace("-", "last_")
    CASES[name] = Case(lambda folder, position=position: on_disk(folder, flip(position)), ANY)


@case(*ANY, ids=[i for i in FIRST if i not in GONE])
def vector_file_of_unknown_version(folder):
    """The version is said once for the whole file; the vector itself is whole."""
    on_disk(folder, flip(0))


@case(*ANY)
def vector_rows_swapped(folder):
    """Another row is deleted, and everything but the checksum agrees."""

    def change(content):
        at = content.index(struct.pack("<H", 500))
        content[at : at + 2] = struct.pack("<H", 600)

    on_disk(folder, change)


@case(*ANY)
def vector_file_missing(folder):
    on_disk(folder)
    next(folder.glob("*.bin")).unlink()


@case(*ANY)
def vector_file_empty(folder):
    on_disk(folder, lambda _: b"")


@case(*ANY)
def vector_file_truncated(folder):
    on_disk(folder, lambda content: content[:-20])


@case(*ANY)
def vector_file_of_noise(folder):
    on_disk(folder, lambda content: b"\xa5" * len(content))


@case(*ANY)
def vector_offset_wrong(folder):
    on_disk(folder, offset=7)


@case(*ANY)
def vector_offset_beyond(folder):
    on_disk(folder, offset=2**31 - 1)


@case(*ANY)
def vector_offset_negative(folder):
    on_disk(folder, offset=-1)


@case(*ANY)
def vector_size_wrong(folder):
    on_disk(folder, sizeInBytes=20)


@case(*ANY)
def vector_size_enormous(folder):
    on_disk(folder, sizeInBytes=2**31 - 1)


@case(*ANY)
def vector_size_negative(folder):
    on_disk(folder, sizeInBytes=-4)


@case(*ANY)
def vector_cardinality_wrong(folder):
    on_disk(folder, cardinality=len(GONE) + 1)


@case(*ANY)
def vector_cardinality_negative(folder):
    on_disk(folder, cardinality=-1)


@case(*ANY)
def vector_storage_unknown(folder):
    on_disk(folder, storageType="x")


@case(*ANY)
def vector_name_too_short(folder):
    on_disk(folder, pathOrInlineDv="abc")


@case(*ANY)
def vector_name_is_no_base85(folder):
    on_disk(folder, pathOrInlineDv="é" * 20)


@case(*ANY)
def vector_path_elsewhere(folder):
    on_disk(folder, storageType="p", pathOrInlineDv=f"file:///nowhere/{SECRET}.bin")


@case(*ANY)
def vector_path_to_a_system_file(folder):
    on_disk(folder, storageType="p", pathOrInlineDv="file:///etc/passwd", offset=1)


@case(*ANY)
def vector_inline_truncated(folder):
    vector = vectors.inline(GONE)
    vectored(folder, vector, pathOrInlineDv=vector["pathOrInlineDv"][:30])


@case(*ANY)
def vector_inline_of_noise(folder):
    vector = vectors.inline(GONE)
    vectored(folder, vector, pathOrInlineDv="0" * len(vector["pathOrInlineDv"]))


@case(*ANY)
def vector_inline_cardinality_wrong(folder):
    vectored(folder, vectors.inline(GONE), cardinality=3)


def rewritten(folder, data: bytes, cardinality: int):
    """A vector of these bytes, with a checksum that is theirs."""
    (vector,) = vectors.write(_made(folder), [[0]])
    content = b"\x01" + struct.pack(">i", len(data)) + data + struct.pack(">I", zlib.crc32(data))
    vectors.path_of(folder, vector).write_bytes(content)
    vectored(folder, vector, sizeInBytes=len(data), cardinality=cardinality)


@case(*ANY)
def vector_of_too_many_bitmaps(folder):
    """A count that would need all memory."""
    rewritten(folder, struct.pack("<iqI", vectors.MAGIC, 2**40, 0), 1)


@case(*ANY)
def vector_of_too_many_containers(folder):
    data = struct.pack("<iqI", vectors.MAGIC, 1, 0) + struct.pack("<II", vectors.NO_RUNS, 2**31)
    rewritten(folder, data, 1)


@case(*ANY)
def vector_of_values_out_of_order(folder):
    data = vectors.build([1, 2, 3])
    rewritten(folder, data[:-6] + struct.pack("<HHH", 3, 3, 1), 3)


@case(*ANY, ids=[i for i in FIRST if i != 5])
def vector_beyond_the_file(folder):
    """Names a row that the file does not have; the others are clear."""
    (vector,) = vectors.write(_made(folder), [[5, ROWS + 1]])
    vectored(folder, vector)


@case(*ANY, ids=[i for i in FIRST if i not in GONE])
def vector_without_its_feature(folder):
    """A file has a vector although the protocol knows of none: deleted rows do not come back."""
    (vector,) = vectors.write(_made(folder), [GONE])
    made = Table(folder, SIMPLE)
    made.commit(made.file("a.parquet", simple(), vector=vector))


# Column mapping


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


def build_all(folder: Path):
    good(folder / "good")
    for name, broken in CASES.items():
        broken.build(folder / name)
