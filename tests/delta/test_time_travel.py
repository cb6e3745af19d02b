"""Versions, histories and changes of tables."""

import datetime

import psycopg
import pyarrow as pa
import pytest
import travel
from conftest import FOLDERS, WRITTEN
from deltalake import DeltaTable
from handmade import field
from lake import STEWARD, table_name
from oracle import table as oracle
from oracle.changes import changes
from oracle.log import snapshot
from oracle.peers import deltalake_rows
from oracle.table import Rows, physical_name
from oracle.values import from_arrow
from rs_tables import DAY, FIRST
from wire import assert_same_rows, read, refusal, texts

# Tables with versions worth a visit: rewritten, partly deleted, with other columns, behind checkpoints.
VERSIONED = [
    "hand.mapping_nested_by_name",
    "hand.mapping_partition_renamed",
    "hand.mapping_upgraded",
    "hand.vector_replaced",
    "hand.widened_nested",
    "rs.appended",
    "rs.change_feed",
    "rs.checkpointed_and_cleaned",
    "rs.compacted",
    "rs.deleted_and_updated",
    "rs.merged",
    "rs.overwritten",
    "rs.restored",
    "rs.schema_merged",
    "rs.vacuumed",
    "sail.checkpoint_classic",
    "sail.checkpoint_v2",
    "sail.dv_checkpoint",
    "sail.dv_several_deletes",
    "sail.dv_update",
    "sail.log_compacted",
    "sail.mapping_renamed_and_dropped",
    "sail.overwritten",
    "sail.widened",
    *(f"own.{name}" for name in WRITTEN["own"]),
]
# deltalake does not read these, or not all versions.
NOT_BY_DELTALAKE = {"hand.mapping_nested_by_name", "hand.widened_nested", "own.partition_texts", "sail.widened"}
# Their commits have times a day apart.
DATED = ["rs.appended", "rs.change_feed", "rs.deleted_and_updated", "rs.overwritten", "rs.restored"]
FEEDS = {
    "cdc_ict_table": 0,
    "cdf-table": 0,
    "cdf-table-non-partitioned": 0,
    "cdf-table-with-cdc-and-dvs": 0,
    "checkpoint-cdf-table": 3,
    "simple_table_with_cdc": 0,
}
# No such version: out of range, or cleaned up.
NO_VERSION = ("22023", "55000")


@pytest.fixture(scope="module")
def server(written):
    return written.server


@pytest.fixture(scope="module")
def shared_connection(shared):
    with shared.connect(STEWARD) as connection:
        yield connection


def shown_today(folder, version: int) -> Rows:
    """A version as it may be shown: the columns that the table still has, under the names they have now.

    Policies speak of today's columns; of one that is gone they say nothing.
    """
    old, now = snapshot(folder, version), snapshot(folder)
    names = {physical_name(now.mapping, f): f["name"] for f in now.fields}
    rows = oracle.read(folder, version)
    kept = [(i, names[p]) for i, f in enumerate(rows.fields) if (p := physical_name(old.mapping, f)) in names]
    fields = [rows.fields[i] | {"name": name} for i, name in kept]
    return Rows(fields, [tuple(row[i] for i, _ in kept) for row in rows.rows])


def moment(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()


@pytest.mark.parametrize("name", VERSIONED)
def test_every_version(written, connection, name):
    folder = written.table(name)
    for version in range(snapshot(folder).version + 1):
        relation = travel.at_version(name, version)
        try:
            whole, expected = oracle.read(folder, version), shown_today(folder, version)
        except Exception:
            # Cleaned up: the log does not reach back, or the files are gone.
            assert refusal(connection, f"SELECT * FROM {relation}").sqlstate in (*NO_VERSION, "XX001")
            continue
        assert_same_rows(read(connection, relation, expected.fields), expected)
        if name not in NOT_BY_DELTALAKE:
            assert_same_rows(deltalake_rows(folder, whole.fields, version), whole)


@pytest.mark.parametrize("name", VERSIONED)
def test_the_newest_version_by_its_number(written, connection, name):
    newest = snapshot(written.table(name)).version
    expected = oracle.read(written.table(name))
    assert_same_rows(read(connection, travel.at_version(name, newest), expected.fields), expected)


@pytest.mark.parametrize("version", ["99", "-1", "9223372036854775807", "'x'", "id", "1.5", "NULL", "1 + 1"])
def test_no_such_version(connection, version):
    try:
        rows = connection.execute(f"SELECT * FROM {travel.at_version('rs.appended', version)}").fetchall()
    except psycopg.Error as error:
        assert error.sqlstate in (*NO_VERSION, "42601", "0A000", "42703", "22P02")
        assert "appended" in str(error) or error.sqlstate in ("42601", "0A000", "42703", "22P02")
    else:
        # An expression may be one of a version.
        assert version == "1 + 1" and len(rows) == 30


def test_a_missing_table_has_no_version(connection):
    sql = f"SELECT * FROM {travel.at_version('rs.no_such_table', 0)}"
    assert refusal(connection, sql).sqlstate == "42P01"


def test_predicates_in_a_version(written, connection):
    expected = oracle.read(written.table("rs.deleted_and_updated"), 0)
    relation = travel.at_version("rs.deleted_and_updated", 0)
    for where, holds in (
        ("k = 'k0'", lambda row: row[2] == "k0"),
        ("id BETWEEN 10 AND 20 AND k <> 'k1'", lambda row: 10 <= row[0] <= 20 and row[2] != "k1"),
        ("v > 6", lambda row: float(row[1]) > 6),
    ):
        kept = Rows(expected.fields, [row for row in expected.rows if holds(row)])
        assert_same_rows(read(connection, relation, expected.fields, f"WHERE {where}"), kept)


def test_versions_side_by_side(connection):
    old, new = travel.at_version("rs.appended", 1), travel.at_version("rs.appended", 3)
    sql = f"SELECT count(*) FROM {new} WHERE id NOT IN (SELECT id FROM {old})"
    assert connection.execute(sql).fetchone() == (20,)
    joined = f"SELECT count(*) FROM {old} AS a JOIN rs.appended AS b USING (id)"
    assert connection.execute(joined).fetchone() == (20,)


@pytest.mark.parametrize("name", DATED)
def test_every_time(written, connection, name):
    folder = written.table(name)
    for version in range(snapshot(folder).version + 1):
        expected = shown_today(folder, version)
        at = FIRST + version * DAY
        for seconds in (at, at + 1, at + DAY - 1):
            if version == snapshot(folder).version and seconds > at:
                continue
            assert_same_rows(read(connection, travel.at_time(name, moment(seconds)), expected.fields), expected)
        local = datetime.datetime.fromtimestamp(at, datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
        relation = travel.at_time(name, local.isoformat())
        assert_same_rows(read(connection, relation, expected.fields), expected)


@pytest.mark.parametrize("at", ["1999-01-01T00:00:00Z", "nonsense", ""])
def test_no_such_time(connection, at):
    error = refusal(connection, f"SELECT * FROM {travel.at_time('rs.appended', at)}")
    assert error.sqlstate in (*NO_VERSION, "22007", "22P02", "42601")


def test_times_inside_commits_count(written, connection):
    """Where the table keeps them in its commits, times of files mean nothing."""
    folder = written.table("sail.in_commit_timestamps")
    for version in range(3):
        (info, *_) = oracle_commit(folder, version)
        at = info["commitInfo"]["inCommitTimestamp"] / 1000
        expected = oracle.read(folder, version)
        relation = travel.at_time("sail.in_commit_timestamps", moment(at))
        assert_same_rows(read(connection, relation, expected.fields), expected)


def oracle_commit(folder, version: int) -> list:
    from oracle.log import json_lines

    return json_lines(folder / "_delta_log" / f"{version:020}.json")


@pytest.mark.parametrize("name", [*DATED, "sail.dv_update", "sail.checkpoint_classic", "rs.checkpointed_and_cleaned"])
def test_history(written, connection, name):
    columns, rows = texts(connection, f"SELECT version, operation FROM {travel.history(name)} ORDER BY version DESC")
    assert [column for column, _ in columns] == ["version", "operation"]
    expected = [(str(entry["version"]), entry["operation"]) for entry in DeltaTable(written.table(name)).history()]
    assert rows == expected


@pytest.mark.parametrize("name", DATED)
def test_history_has_times(connection, name):
    _, rows = texts(connection, f"SELECT version, timestamp FROM {travel.history(name)} ORDER BY version")
    for version, at in rows:
        assert datetime.datetime.fromisoformat(at + ":00").timestamp() == FIRST + int(version) * DAY


def feed(folder, fields, first, last) -> Rows:
    """What deltalake says; it has partition columns last."""
    found = pa.table(DeltaTable(folder).load_cdf(starting_version=first, ending_version=last))
    columns = [from_arrow(found.column(f["name"]), f["type"]) for f in fields]
    return Rows(fields, list(zip(*columns)))


def check_changes(connection, relation, folder, first, last):
    expected = changes(folder, first, last)
    assert_same_rows(feed(folder, expected.fields, first, last), expected)
    fields = [*expected.fields, field("_commit_timestamp", "timestamp")]
    found = read(connection, travel.changes(relation, first, last), fields)
    assert all(row[-1] for row in found.rows)
    assert_same_rows(Rows(expected.fields, [row[:-1] for row in found.rows]), expected)


@pytest.mark.parametrize("name", FEEDS)
def test_changes_of_shared_tables(shared_connection, name):
    folder, first = FOLDERS[name], FEEDS[name]
    last = snapshot(folder).version
    for start, end in {(first, last), (last, last), (first, first)}:
        check_changes(shared_connection, f"lake.{table_name(name)}", folder, start, end)


@pytest.mark.parametrize("bounds", [(0, 5), (0, 0), (1, 1), (2, 4), (5, 5)])
def test_changes(written, connection, bounds):
    check_changes(connection, "rs.change_feed", written.table("rs.change_feed"), *bounds)


@pytest.mark.parametrize("name", ["rs.appended", "rs.deleted_and_updated", "sail.dv_several_deletes", "sail.dv_update"])
def test_changes_of_a_table_that_keeps_none(written, connection, name):
    """Files and deletion vectors that came and went say it, too; what a rewrite carried on comes and goes."""
    folder = written.table(name)
    newest = snapshot(folder).version
    expected = changes(folder, 0, newest)
    relation = f"(SELECT {', '.join(expected.names)} FROM {travel.changes(name, 0, newest)}) AS changed"
    assert_same_rows(read(connection, relation, expected.fields), expected)


@pytest.mark.parametrize("bounds", [(3, 1), (0, 99), (99, 99)])
def test_no_such_changes(connection, bounds):
    """Bounds the wrong way round, and beyond the newest version."""
    error = refusal(connection, f"SELECT * FROM {travel.changes('rs.change_feed', *bounds)}")
    assert error.sqlstate in (*NO_VERSION, "0A000"), error
