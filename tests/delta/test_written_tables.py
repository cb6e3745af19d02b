"""Tables of pysail, of deltalake, by hand and our own: all readers give the same rows."""

import pyarrow as pa
import pytest
from conftest import NAMES, WRITTEN
from oracle import table as oracle
from oracle.log import Unreadable, snapshot
from oracle.peers import deltalake_rows
from oracle.table import Rows
from oracle.values import from_arrow
from wire import assert_same_rows, check_peer, read, refusal

# A reader may refuse these; if it reads them, then right. docs/delta.md says why.
MAY_BE_REFUSED = {"hand.bounds_malformed", "hand.partition_decimal_digits"}

# See docs/delta.md, "Tables where readers differ".
DELTALAKE_DIFFERS = {
    "sail.partition_texts",
    "sail.vacuum_protocol_check",
    "sail.widened",
    "sail.widened_partition",
    "hand.bounds_malformed",
    "hand.escaped_characters",
    "hand.mapping_by_id_alone",
    "hand.mapping_nested_by_id",
    "hand.mapping_nested_by_name",
    "hand.partition_decimal_digits",
    "hand.partition_spellings",
    "hand.variants_shredded",
    "hand.widened_nested",
}


@pytest.fixture(scope="module")
def server(written):
    return written.server


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def expected(written, name):
    return oracle.read(written.table(name))


def test_read(connection, name, expected):
    if name in MAY_BE_REFUSED:
        try:
            found = read(connection, name, expected.fields)
        except Exception:
            assert refusal(connection, f"SELECT * FROM {name}").sqlstate == "55000"
            return
    else:
        found = read(connection, name, expected.fields)
    assert_same_rows(found, expected)


def test_deltalake_reads_the_same(written, name, expected):
    check_peer(name in DELTALAKE_DIFFERS, lambda: deltalake_rows(written.table(name), expected.fields), expected)


@pytest.mark.parametrize("table", sorted(WRITTEN["sail"]))
def test_pysail_reads_the_same(written, table):
    expected = oracle.read(written.table(f"sail.{table}"))
    assert_same_rows(sail_rows(written.read_by_sail / f"{table}.arrow", expected.fields), expected)


@pytest.mark.parametrize("table", WRITTEN["own"])
def test_pysail_reads_every_version_of_ours(written, table):
    folder, compared = written.table(f"own.{table}"), 0
    for version in range(snapshot(folder).version + 1):
        try:
            expected = oracle.read(folder, version)
        except (Unreadable, FileNotFoundError):
            # Vacuumed, or cleaned from the log.
            continue
        path = written.read_by_sail / f"{table}.{version}.arrow"
        if any(folder.glob("_delta_log/*.checkpoint*")) and not path.exists():
            assert "Missing commit file" in path.with_suffix(".txt").read_text()
            continue
        assert_same_rows(sail_rows(path, expected.fields), expected)
        compared += 1
    assert compared


@pytest.mark.parametrize("table", [name for name in WRITTEN["own"] if name.startswith("partition_")])
def test_our_partition_values_are_what_was_written(written, table):
    """The column `same` had the partition's values, too; an empty text is NULL as a partition value."""
    rows = oracle.read(written.table(f"own.{table}")).rows
    assert rows and [k for *_, k in rows] == [None if same == "" else same for _, same, _ in rows]


def sail_rows(path, fields) -> Rows:
    """What pysail read into an Arrow file."""
    assert path.exists(), path.with_suffix(".txt").read_text()
    with pa.memory_map(str(path)) as source:
        found = pa.ipc.open_file(source).read_all()
    columns = [from_arrow(found.column(f["name"]), f["type"]) for f in fields]
    return Rows(fields, list(zip(*columns)))
