"""Tables of pysail, of deltalake and by hand: all readers give the same rows."""

import pyarrow as pa
import pytest
from conftest import NAMES, WRITTEN
from oracle import table as oracle
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
    with pa.memory_map(str(written.read_by_sail / f"{table}.arrow")) as source:
        found = pa.ipc.open_file(source).read_all()
    columns = [from_arrow(found.column(f["name"]), f["type"]) for f in expected.fields]
    assert_same_rows(Rows(expected.fields, list(zip(*columns))), expected)
