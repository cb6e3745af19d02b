"""Commits, schemas, checkpoints and partition values that cannot be what a writer meant."""

import json
from pathlib import Path

import pyarrow.parquet as pq
from handmade import Table, checkpoint, checkpoint_v2, field, forget_commits

from .cases import ANY, CASES, DATA, FIRST, GOOD, LOG, ROWS, SECRET, SIMPLE, Case, case, commit_path, good, simple


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
