"""Views as psql and drivers meet them."""

import psycopg
import pytest

VIEWS = """version: 1
views:
  - view: marts.by_tenant
    description: Patients of every trust
    rights: owner
    query: SELECT tenant_id, count(*) AS patients FROM silver.patients GROUP BY tenant_id
  - view: marts.own
    query: SELECT tenant_id, sex FROM silver.patients
"""

GRANT = "grants:\n  - { role: analyst, object: marts.*, action: select }\n"


@pytest.fixture
def server(own_lake, own_server):
    (own_lake / "views.yaml").write_text(VIEWS)
    policies = own_lake / "policies.yaml"
    text = policies.read_text()
    assert "grants:\n" in text
    policies.write_text(text.replace("grants:\n", GRANT, 1))
    return own_server(settings={"LAKEWARD_CATALOG__VIEWS": own_lake / "views.yaml"})


def output(run) -> str:
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout


def test_psql_lists_and_describes_views(server):
    listing = output(server.psql("alice", "-A", "-t", "-F", "|", "-c", r"\dv marts.*"))
    assert {tuple(line.split("|")[1:3]) for line in listing.splitlines() if "|" in line} == {
        ("by_tenant", "view"),
        ("own", "view"),
    }
    description = output(server.psql("alice", "-c", r"\d marts.by_tenant"))
    assert 'View "marts.by_tenant"' in description
    assert "patients" in description and "bigint" in description


def test_an_owners_view_shows_what_its_tables_hide(server):
    assert len(server.rows("alice", "SELECT * FROM marts.by_tenant")) == 3
    assert server.value("alice", "SELECT count(DISTINCT tenant_id) FROM marts.own") == 1
    assert server.value("stella", "SELECT count(DISTINCT tenant_id) FROM marts.own") == 3


def test_definitions_are_for_who_may_change_views(server):
    sql = "SELECT definition FROM pg_views WHERE viewname = 'by_tenant'"
    assert server.value("alice", sql) is None
    assert server.value("alice", "SELECT pg_get_viewdef('marts.by_tenant'::regclass)") is None
    assert server.value("oscar", "SELECT count(*) FROM system.views") == 2
    with pytest.raises(psycopg.errors.UndefinedTable):
        server.rows("alice", "SELECT * FROM system.views")
