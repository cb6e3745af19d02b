"""Checkpoints, commits and paths."""

import json

import pyarrow as pa
from handmade import Table, checkpoint, checkpoint_v2, field, forget_commits, struct
from oracle import vectors

from .base import SIMPLE, VECTORS, simple, table


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
