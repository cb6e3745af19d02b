"""Tables that change, break, heal and go while a server has them open and queries run."""

import random
import shutil

import psycopg
import pyarrow as pa
import pytest
import travel
from conftest import serving
from deltalake import DeltaTable, write_deltalake
from handmade import Table, checkpoint, field, forget_commits, replace
from lake import STEWARD
from oracle import table as oracle
from oracle import vectors
from server import eventually
from wire import assert_same_rows, read, refusal

SIMPLE = [field("id", "long"), field("v", "string")]
# Enough that a client which does not read keeps its query waiting: more than sockets and batches hold.
FILES, FILE_ROWS, WIDTH = 12, 2000, 1500


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    return tmp_path_factory.mktemp("changing")


@pytest.fixture(scope="module")
def server(tmp_path_factory, layer):
    with serving(tmp_path_factory.mktemp("changing-server"), layers={"lake": layer}) as server:
        yield server


@pytest.fixture
def connection(server):
    """Prepares nothing by itself: a prepared statement may not change its columns."""
    with server.connect(STEWARD, prepare_threshold=None) as connection:
        yield connection


@pytest.fixture
def name(request):
    return request.node.name.removeprefix("test_").replace("[", "_").replace("]", "").replace("-", "_")


def simple(start: int, end: int) -> pa.Table:
    return pa.table({"id": pa.array(range(start, end), pa.int64()), "v": [f"v{i}" for i in range(start, end)]})


def count(connection, name) -> int | str:
    """Rows, or the SQLSTATE of the refusal."""
    try:
        return connection.execute(f"SELECT count(*) FROM lake.{name}").fetchone()[0]
    except psycopg.Error as error:
        return error.sqlstate


def until(connection, name, wanted, never=()):
    """Waits for a count or an SQLSTATE; what is `never` to be seen on the way there fails at once."""

    def arrived():
        found = count(connection, name)
        assert found not in never, found
        return found == wanted

    eventually(arrived, f"{name} answers {wanted}")


def made(layer, connection, name, **options) -> Table:
    """A table of 100 rows that the server shows."""
    table = Table(layer / name, SIMPLE, **options)
    table.commit(table.file("first.parquet", simple(0, 100)))
    until(connection, name, 100)
    return table


def test_new_commits_show(layer, connection, name):
    table = made(layer, connection, name)
    for i in range(1, 4):
        table.commit(table.file(f"{i}.parquet", simple(i * 100, i * 100 + 100)))
        until(connection, name, i * 100 + 100)
    assert_same_rows(read(connection, f"lake.{name}", SIMPLE), oracle.read(table.folder))


def test_a_vector_is_added_and_replaced(layer, connection, name):
    configuration = {"delta.enableDeletionVectors": "true"}
    table = made(layer, connection, name, features=["deletionVectors"], configuration=configuration)
    add = table.add("first.parquet", simple(0, 100))
    for gone in (10, 30, 60):
        vector = vectors.inline(range(gone)) if gone == 30 else vectors.write(table.folder, [list(range(gone))])[0]
        deleted = table.add("first.parquet", simple(0, 100), vector=vector)
        table.commit(table.remove(add), deleted)
        add = deleted
        until(connection, name, 100 - gone)
    table.commit(table.remove(add), table.add("first.parquet", simple(0, 100)))
    until(connection, name, 100)
    assert_same_rows(read(connection, f"lake.{name}", SIMPLE), oracle.read(table.folder))


def test_columns_are_renamed_dropped_and_widened(layer, connection, name):
    notes = [
        {"delta.columnMapping.id": i + 1, "delta.columnMapping.physicalName": n} for i, n in enumerate(("id", "v"))
    ]
    fields = [field("id", "integer", **notes[0]), field("v", "string", **notes[1])]
    configuration = {"delta.columnMapping.mode": "name", "delta.enableTypeWidening": "true"}
    table = Table(layer / name, fields, features=["columnMapping", "typeWidening"], configuration=configuration)
    narrow = pa.table({"id": pa.array(range(100), pa.int32()), "v": ["x"] * 100})
    table.commit(table.file("first.parquet", narrow))
    until(connection, name, 100)
    assert_same_rows(read(connection, f"lake.{name}", fields), oracle.read(table.folder))
    renamed = [fields[0], fields[1] | {"name": "the value"}]
    table.commit(table.metadata(renamed))
    eventually(lambda: columns(connection, name) == ["id", "the value"], "the new name shows")
    change = {"fromType": "integer", "toType": "long", "tableVersion": table.version + 1}
    widened = [field("id", "long", **notes[0], **{"delta.typeChanges": [change]})]
    table.commit(table.metadata(widened))
    eventually(lambda: columns(connection, name) == ["id"], "the column is gone")
    table.commit(table.file("second.parquet", pa.table({"id": pa.array([2**40], pa.int64())})))
    until(connection, name, 101)
    assert_same_rows(read(connection, f"lake.{name}", widened), oracle.read(table.folder))


def columns(connection, name) -> list:
    return [column.name for column in connection.execute(f"SELECT * FROM lake.{name} LIMIT 0").description]


def test_a_prepared_statement_meets_another_schema(layer, connection, name):
    table = made(layer, connection, name)
    sql = f"SELECT * FROM lake.{name} ORDER BY 1 LIMIT 1"
    for _ in range(2):
        assert connection.execute(sql, prepare=True).fetchone() == (0, "v0")
    table.commit(table.metadata([*SIMPLE, field("w", "double")]))
    eventually(lambda: columns(connection, name) == ["id", "v", "w"], "the new column shows")
    try:
        assert connection.execute(sql, prepare=True).fetchone() == (0, "v0", None)
    except psycopg.errors.FeatureNotSupported as error:
        assert "cached plan must not change result type" in str(error)
    with connection.cursor() as cursor:
        assert cursor.execute(sql, prepare=False).fetchone() == (0, "v0", None)


@pytest.mark.parametrize("damage", [b"\x00\xff{", b'{"add":{"path":', b'{"add":{"path":"gone.parquet","size":-1}}\n'])
def test_a_broken_commit_and_its_repair(layer, connection, request, damage):
    name = f"broken_commit_{len(damage)}"
    table = made(layer, connection, name)
    whole = table.commit(table.file("second.parquet", simple(100, 200)))
    content = whole.read_bytes()
    until(connection, name, 200)
    broken = table.commit(table.file("third.parquet", simple(200, 300)))
    later = broken.read_bytes()
    broken.write_bytes(damage)
    # Refused, or the rows of before.
    eventually(lambda: count(connection, name) in ("55000", 200), "the damage was seen")
    assert count(connection, name) in ("55000", 200)
    broken.write_bytes(later)
    until(connection, name, 300)
    assert whole.read_bytes() == content
    assert_same_rows(read(connection, f"lake.{name}", SIMPLE), oracle.read(table.folder))


def test_a_file_goes_and_comes_back(layer, connection, name):
    table = made(layer, connection, name)
    away = layer.parent / f"{name}.parquet"
    shutil.move(table.folder / "first.parquet", away)
    for sql in ("SELECT * FROM lake.{}", "SELECT count(*) FROM lake.{}", "SELECT id FROM lake.{} WHERE id = 5"):
        assert refusal(connection, sql.format(name)).sqlstate == "XX001"
    shutil.move(away, table.folder / "first.parquet")
    assert count(connection, name) == 100


def test_a_file_is_replaced_by_one_of_its_size(layer, connection, name):
    """As a table made anew under old names: what was kept of the file before must not be used."""
    table = made(layer, connection, name)
    plain = {"compression": "none", "use_dictionary": False}
    table.commit(table.remove(table.add("first.parquet", simple(0, 0))), table.file("x", simple(100, 200), **plain))
    bounds = f"SELECT min(id), max(id) FROM lake.{name}"
    eventually(lambda: connection.execute(bounds).fetchone() == (100, 199), "the second file shows")
    size = (table.folder / "x").stat().st_size
    table.file("x", simple(500, 600), **plain)
    assert (table.folder / "x").stat().st_size == size
    assert connection.execute(bounds).fetchone() == (500, 599)


def test_a_table_goes_and_comes_back(layer, connection, name):
    table = made(layer, connection, name)
    away = layer.parent / name
    shutil.move(table.folder, away)
    until(connection, name, "42P01", never=(0, 55))
    shutil.move(away, table.folder)
    until(connection, name, 100, never=(0,))


def test_a_table_is_replaced_by_another(layer, connection, name, tmp_path):
    """Names of files, sizes and versions are the same; identity, schema and rows are not."""
    made(layer, connection, name)
    fields = [field("id", "long"), field("w", "string")]
    other = Table(tmp_path / "other", fields)
    other.commit(other.file("first.parquet", simple(1000, 1100).rename_columns(["id", "w"])))
    replace(layer / name, tmp_path / "other")
    eventually(lambda: columns_or_state(connection, name) == ["id", "w"], "the other table shows")
    assert_same_rows(read(connection, f"lake.{name}", fields), oracle.read(layer / name))


def test_versions_of_a_table_that_was_replaced(layer, connection, name, tmp_path):
    """A version that was read lately is not one of the table that came after."""
    made(layer, connection, name)
    old = travel.at_version(f"lake.{name}", 1)
    assert connection.execute(f"SELECT min(id), count(*) FROM {old}").fetchone() == (0, 100)
    other = Table(tmp_path / "other", SIMPLE)
    other.commit(other.file("first.parquet", simple(1000, 1100)))
    other.commit(other.file("second.parquet", simple(1100, 1150)))
    replace(layer / name, tmp_path / "other")
    until(connection, name, 150)
    assert connection.execute(f"SELECT min(id), count(*) FROM {old}").fetchone() == (1000, 100)


def test_a_table_named_like_a_version_of_another(layer, connection, name):
    """Each is itself: what one is called does not make it the other's past."""
    made(layer, connection, name)
    other = Table(layer / f"{name}@v0", SIMPLE)
    other.commit(other.file("first.parquet", simple(1000, 1010)))
    named = f'lake."{name}@v0"'
    eventually(lambda: other_rows(connection, named) == 10, "the other table shows")
    assert other_rows(connection, travel.at_version(f"lake.{name}", 0)) in (0, None)
    assert other_rows(connection, travel.at_version(f"lake.{name}", 1)) == 100


def other_rows(connection, relation) -> int | None:
    try:
        return connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0]
    except psycopg.Error:
        return None


def columns_or_state(connection, name):
    try:
        return columns(connection, name)
    except psycopg.Error as error:
        assert error.sqlstate in ("42P01", "55000"), error
        return error.sqlstate


def test_log_cleaned_up_behind_a_checkpoint(layer, connection, name):
    table = made(layer, connection, name)
    table.commit(table.file("second.parquet", simple(100, 200)))
    checkpoint(table)
    forget_commits(table, table.version)
    table.commit(table.file("third.parquet", simple(200, 300)))
    until(connection, name, 300, never=(0,))
    forget_commits(table, table.version)
    checkpoint(table)
    table.commit(table.file("fourth.parquet", simple(300, 400)))
    until(connection, name, 400, never=(0,))


def test_other_writers_go_on_while_many_read(layer, server, name):
    """Every statement sees one version: a version has 10 rows more than the one before, or is a rewrite of it."""
    folder = layer / name
    write_deltalake(folder, simple(0, 10))
    with server.connect(STEWARD) as connection:
        until(connection, name, 10)
        seen = set()
        for step in range(1, 13):
            write_deltalake(folder, simple(step * 10, step * 10 + 10), mode="append")
            if step % 4 == 0:
                DeltaTable(folder).optimize.compact()
            if step % 6 == 0:
                DeltaTable(folder).create_checkpoint()
            for _ in range(5):
                total, largest, total_of_ids = connection.execute(
                    f"SELECT count(*), max(id), sum(id) FROM lake.{name}"
                ).fetchone()
                assert (largest, total_of_ids) == (total - 1, total * (total - 1) // 2)
                assert total % 10 == 0 and total >= max(seen, default=0)
                seen.add(total)
        until(connection, name, 130)


# Slow cursors


@pytest.fixture(scope="module")
def large(layer):
    """A table to copy, of some 36 MB that do not compress."""
    folder = layer.parent / "large"
    chance = random.Random(3)
    table = Table(folder, SIMPLE)
    for file in range(FILES):
        ids = range(file * FILE_ROWS, (file + 1) * FILE_ROWS)
        data = pa.table({"id": pa.array(ids, pa.int64()), "v": [chance.randbytes(WIDTH // 2).hex() for _ in ids]})
        table.commit(table.file(f"{file}.parquet", data, compression="none", use_dictionary=False))
    return folder


def remove_files(folder):
    for path in folder.glob("*.parquet"):
        path.unlink()


def truncate_files(folder):
    for path in folder.glob("*.parquet"):
        with path.open("r+b") as file:
            file.truncate(100)


def replace_table(folder):
    other = folder.parent.parent / f"{folder.name}_other"
    table = Table(other, [field("other", "string")])
    for file in range(FILES):
        table.commit(table.file(f"{file}.parquet", pa.table({"other": ["x"] * 10})))
    replace(folder, other)


def overwrite_and_vacuum(folder):
    write_deltalake(folder, pa.table({"n": [1, 2, 3]}), mode="overwrite", schema_mode="overwrite")
    DeltaTable(folder).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


CHANGES = {
    remove_files: "XX001",
    truncate_files: "XX001",
    replace_table: FILES * 10,
    overwrite_and_vacuum: 3,
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_slow_cursor_while_the_table_changes(layer, large, server, change):
    """The client gets every row of the version it began with, or an error; nothing of anything else."""
    name = f"slow_{change.__name__}"
    shutil.copytree(large, layer / name)
    rows = FILES * FILE_ROWS
    with server.connect(STEWARD) as watcher, server.connect(STEWARD) as connection:
        until(watcher, name, rows)
        ids = []
        with connection.cursor() as cursor:
            try:
                for row in cursor.stream(f"SELECT id, v FROM lake.{name}"):
                    ids.append(row[0])
                    assert len(row) == 2 and len(row[1]) == WIDTH // 2 * 2
                    if len(ids) == 10:
                        change(layer / name)
                assert sorted(ids) == list(range(rows))
            except psycopg.Error as error:
                assert error.sqlstate == "XX001", error
                assert len(ids) < rows
        assert connection.execute("SELECT 1").fetchone() == (1,)
        until(watcher, name, CHANGES[change])
