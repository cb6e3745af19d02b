"""Tables of many writers: each is read as its files say, or refused for the reason that holds."""

import re

import pytest
from conftest import FOLDERS, SHARED
from lake import table_name
from oracle import table as oracle
from oracle.log import snapshot
from oracle.peers import deltalake_parts, deltalake_rows
from wire import assert_same_rows, check_peer, parts, read, reason, refusal

# The fixture leaves data files of these out: the log can be read, the rows cannot.
WITHOUT_FILES = {
    "checkpoint_with_partitions",
    "checkpoints",
    "checkpoints_vacuumed",
    "latest_not_checkpointed",
    "spark-variant-stable-feature-checkpoint",
    "table-with-domain-metadata",
    "with_checkpoint_no_last_checkpoint",
}

# What operators read in system.tables.
REFUSED = {
    # Its protocol asks for reader version 5, which does not exist.
    "simple_table_features": r"(?i)reader (version|features)",
}

# See docs/delta.md, "Tables where readers differ".
DELTALAKE_DIFFERS = {
    "spark-shredded-variant-preview-delta",
    "table_with_edge_timestamps",
}


def test_the_tables_are_there():
    assert len(FOLDERS) >= 50, f"the shared Delta tables are not at {SHARED}: they belong beside the repository"
    assert WITHOUT_FILES | REFUSED.keys() | DELTALAKE_DIFFERS <= FOLDERS.keys()


@pytest.fixture(scope="module")
def server(shared):
    return shared


# More rows than are worth keeping three times over.
LARGE = "COVID-19_NYT"
READABLE = [name for name in FOLDERS if name not in WITHOUT_FILES | REFUSED.keys() | {LARGE}]


@pytest.fixture(scope="module", params=READABLE)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def expected(name):
    return oracle.read(FOLDERS[name])


def test_read(connection, name, expected):
    assert_same_rows(read(connection, f"lake.{table_name(name)}", expected.fields), expected)


def test_deltalake_reads_the_same(name, expected):
    check_peer(name in DELTALAKE_DIFFERS, lambda: deltalake_rows(FOLDERS[name], expected.fields), expected)


def test_a_large_table(connection):
    state = snapshot(FOLDERS[LARGE])
    expected = oracle.digest(oracle.file_rows(state, add) for add in state.adds)
    assert expected[0] == 1_111_930
    assert oracle.digest(parts(connection, f"lake.{table_name(LARGE)}", state.fields)) == expected
    assert oracle.digest(deltalake_parts(FOLDERS[LARGE], state.fields)) == expected


@pytest.mark.parametrize("name", sorted(WITHOUT_FILES))
@pytest.mark.parametrize("columns", ["*", "count(*)"])
def test_without_its_files(connection, name, columns):
    error = refusal(connection, f"SELECT {columns} FROM lake.{table_name(name)}")
    assert error.sqlstate == "XX001", error
    assert f'table "lake.{table_name(name)}"' in error.diag.message_primary


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(connection, name):
    error = refusal(connection, f"SELECT * FROM lake.{table_name(name)}")
    assert error.sqlstate == "55000", error
    assert f'table "lake.{table_name(name)}" is unavailable' in error.diag.message_primary
    assert re.search(REFUSED[name], reason(connection, "lake", table_name(name)))
