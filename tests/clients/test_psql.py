"""psql, as Debian ships it: its meta-commands ask the catalog dozens of things."""

import pytest


def output(run) -> str:
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout


def test_lists_relations(server):
    listing = output(server.psql("alice", "-c", r"\d"))
    assert "patients" in listing


def test_lists_tables_of_a_schema(server):
    listing = output(server.psql("alice", "-A", "-t", "-F", "|", "-c", r"\dt silver.*"))
    tables = {line.split("|")[1] for line in listing.splitlines() if "|" in line}
    assert {"patients", "encounters", "appointments", "claims"} <= tables
    assert {line.split("|")[2] for line in listing.splitlines() if "|" in line} == {"table"}


def test_describes_a_table(server):
    description = output(server.psql("alice", "-c", r"\d silver.patients"))
    assert 'Table "silver.patients"' in description
    for column in ("nhs_number", "birth_date", "tenant_id"):
        assert column in description
    assert "date" in description


def test_describes_with_comments(server):
    assert "Description" in output(server.psql("alice", "-c", r"\d+ silver.patients"))


def test_lists_schemas_that_may_be_seen(server):
    def schemas(person):
        listing = output(server.psql(person, "-A", "-t", "-F", "|", "-c", r"\dn"))
        return {line.split("|")[0] for line in listing.splitlines() if "|" in line}

    assert {"silver", "gold"} <= schemas("alice")
    assert "bronze" not in schemas("alice")
    assert "bronze" in schemas("stella")


def test_lists_databases(server):
    assert "lakeward" in output(server.psql("alice", "-c", r"\l"))


def test_lists_roles_without_other_people(server):
    listing = output(server.psql("alice", "-c", r"\du"))
    assert "alice" in listing
    for other in ("bob", "stella", "oscar"):
        assert other not in listing


def test_invisible_tables_are_not_described(server):
    run = server.psql("alice", "-c", r"\d bronze.*")
    assert "bronze" not in run.stdout
    assert "Did not find any relation" in run.stderr


@pytest.mark.parametrize("command", [r"\conninfo", r"\dv", r"\dT", r"\df", r"\di", r"\dp silver.*", r"\encoding"])
def test_other_meta_commands_do_not_fail(server, command):
    run = server.psql("alice", "-c", command)
    assert "ERROR" not in run.stderr
    assert run.returncode == 0, run.stderr


def test_csv(server):
    text = output(server.psql("alice", "--csv", "-c", "SELECT 1 AS one, 'a,b' AS two, NULL AS three"))
    assert text == 'one,two,three\n1,"a,b",\n'


def test_a_script_with_several_statements(server):
    script = "BEGIN;\nSELECT 1;\nSELECT 2;\nCOMMIT;\n"
    assert output(server.psql("alice", "-A", "-t", "-q", input=script)) == "1\n2\n"
    assert output(server.psql("alice", "-A", "-t", "-c", "SELECT 1; SELECT 2")) == "1\n2\n"


def test_an_error_shows_where(server):
    run = server.psql("alice", "-c", "SELECT no_such_column FROM silver.patients")
    assert run.returncode == 1
    assert 'column "no_such_column" does not exist' in run.stderr
    run = server.psql("alice", "-c", "SELEC 1")
    assert run.returncode == 1
    assert "syntax error" in run.stderr


def test_variables_are_quoted_by_psql(server):
    text = output(server.psql("alice", "-A", "-t", "-v", "name=O'Neil", input="SELECT :'name';\n"))
    assert text == "O'Neil\n"


def test_wrong_password(server):
    run = server.psql("alice", "-d", "postgresql://alice:wrong@127.0.0.1/lakeward", "-c", "SELECT 1")
    assert run.returncode == 2
    assert 'password authentication failed for user "alice"' in run.stderr


def test_a_long_result_through_a_pipe_that_closes(server):
    """`psql | head` ends the client in the middle of a result; the server goes on."""
    sql = "SELECT a.nhs_number FROM silver.patients a CROSS JOIN silver.patients b LIMIT 100000"
    assert output(server.psql("alice", "-A", "-t", "-c", sql)).count("\n") == 100000
