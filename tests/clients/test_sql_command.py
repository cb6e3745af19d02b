"""`lakeward sql`, `lakeward user`: the service's own commands as a person and a script use them."""

import json
import subprocess

import pytest
from server import BINARY, environment, lakeward, password


@pytest.fixture
def sql(server):
    def run(*arguments, person="alice", input=None):
        return subprocess.run(
            [BINARY, "sql", "--user", person, *arguments],
            env=environment({"PGPORT": server.postgres_port, "PGPASSWORD": password(person)}),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_a_table_for_people(sql):
    run = sql("-c", "SELECT 1 AS one, 'x' AS two")
    assert run.returncode == 0, run.stderr
    assert "one" in run.stdout and "two" in run.stdout and "x" in run.stdout


def test_csv_for_scripts(sql):
    run = sql("--format", "csv", "-c", "SELECT 1 AS one, 'a,\"b\"' AS two, CAST(NULL AS text) AS three, '' AS four")
    assert run.returncode == 0, run.stderr
    assert run.stdout == 'one,two,three,four\n1,"a,""b""",,""\n'


def test_json_for_scripts(sql):
    run = sql("--format", "json", "-c", "SELECT 1 AS one, 'a\"b' AS two, CAST(NULL AS text) AS three, true AS four")
    assert run.returncode == 0, run.stderr
    assert [json.loads(line) for line in run.stdout.splitlines()] == [
        {"one": 1, "two": 'a"b', "three": None, "four": True}
    ]


def test_statements_from_a_pipe(sql):
    run = sql("--format", "csv", input="SELECT 1 AS a;\nSELECT 2\n AS b;\n")
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["a", "1", "b", "2"]


def test_it_sees_what_the_person_sees(sql, server):
    run = sql("--format", "csv", "-c", "SELECT count(*) AS n FROM silver.patients", person="bob")
    assert run.stdout.split() == ["n", str(server.value("bob", "SELECT count(*) FROM silver.patients"))]


def test_a_failure_ends_with_1(sql, server):
    run = sql("-c", "SELECT 1/0")
    assert run.returncode == 1 and "22012" in run.stderr + run.stdout
    wrong = subprocess.run(
        [BINARY, "sql", "--user", "alice", "-c", "SELECT 1"],
        env=environment({"PGPORT": server.postgres_port, "PGPASSWORD": "wrong"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert wrong.returncode == 1 and "alice" in wrong.stderr and "wrong" not in wrong.stderr


def test_wrong_arguments_end_with_2():
    assert lakeward("sql").returncode == 2
    assert lakeward("no-such-command").returncode == 2


def test_users_are_listed_without_their_verifiers(own_lake):
    run = lakeward("user", "list", "--config", own_lake / "lakeward.yaml")
    assert run.returncode == 0, run.stderr
    assert "alice" in run.stdout and "northgate" in run.stdout and "SCRAM" not in run.stdout


@pytest.mark.parametrize("command", [[], ["serve"], ["demo"], ["sql"], ["config"], ["policy"], ["user"], ["cert"]])
def test_every_command_has_help(command):
    run = lakeward(*command, "--help")
    assert run.returncode == 0 and "Usage: lakeward" in run.stdout
