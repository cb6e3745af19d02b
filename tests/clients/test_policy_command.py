"""`lakeward policy` and `lakeward audit`: what policies mean, and who saw what."""

import json

from server import lakeward


def policy(lake, *arguments):
    return lakeward("policy", *arguments, "--config", lake / "lakeward.yaml")


def test_why_somebody_sees_what_they_see(own_lake):
    run = policy(own_lake, "explain", "--user", "alice", "--table", "silver.patients")
    assert run.returncode == 0, run.stderr
    assert "alice on silver.patients: select" in run.stdout
    assert f"{own_lake / 'policies.yaml'}:" in run.stdout
    assert "tenant_id = 'northgate'" in run.stdout

    run = policy(own_lake, "explain", "--user", "alice", "--table", "silver.nothing")
    assert run.returncode == 1 and "there is no table silver.nothing" in run.stderr
    run = policy(own_lake, "explain", "--user", "nobody", "--table", "silver.patients")
    assert run.returncode == 1 and "nobody" in run.stderr


def test_who_sees_what(own_lake):
    run = policy(own_lake, "matrix", "--user", "alice", "--user", "stella")
    assert run.returncode == 0, run.stderr
    lines = {line.split()[0]: line.split()[1:] for line in run.stdout.splitlines() if line.split()}
    assert lines["table"] == ["alice", "stella"]
    assert lines["silver.patients"][0].startswith("rows") and lines["silver.patients"][-1] == "all"


def test_who_gains_and_who_loses(own_lake, tmp_path):
    old = own_lake / "policies.yaml"
    run = policy(own_lake, "diff", old, old)
    assert run.returncode == 0 and "nobody sees more or less" in run.stdout

    new = own_lake / "policies.new.yaml"
    new.write_text(old.read_text().replace("tenant_id = principal.tenant", "tenant_id = 'nobody'"))
    run = policy(own_lake, "diff", old, new)
    assert run.returncode == 1
    assert "alice on silver.patients:" in run.stdout
    assert "- row filter" in run.stdout and "+ no longer: row filter" in run.stdout

    new.write_text("version: 1\ngrants: [")
    assert policy(own_lake, "diff", old, new).returncode == 2


def test_what_looks_like_a_mistake(own_lake):
    run = policy(own_lake, "check")
    assert run.returncode == 0, run.stderr
    warnings = [line for line in run.stderr.splitlines() if line.startswith("warning: ")]
    place = f"warning: {own_lake / 'policies.yaml'}:"
    assert any(line.startswith(place) and "`data_scientist` reads silver." in line for line in warnings)
    assert not any("`analyst`" in line or "`steward`" in line for line in warnings)
    assert "policies: " in run.stdout
    assert policy(own_lake, "check", "--strict").returncode == 2


def test_the_schema_is_printed():
    run = lakeward("policy", "schema")
    assert run.returncode == 0 and json.loads(run.stdout)["$defs"]["grant"]["additionalProperties"] is False


def test_cases(own_lake):
    cases = own_lake / "cases.yaml"
    cases.write_text(
        """version: 1
cases:
  - name: own tenant
    user: alice
    query: SELECT DISTINCT tenant_id FROM silver.patients
    expect: { columns: [tenant_id], values: [[northgate]], rows: 1 }
  - name: no such table for them
    user: alice
    query: SELECT * FROM silver.no_such_table
    expect: { denied: 42P01 }
"""
    )
    run = policy(own_lake, "test", cases)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 of 2 cases hold" in run.stdout
    # Who is acted for is on record, though no service ran.
    audit = lakeward("audit", "subject", "--table", "silver.patients", "--config", own_lake / "lakeward.yaml")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert sum("alice" in line for line in audit.stdout.splitlines()) == 1
    verified = lakeward("audit", "verify", "--config", own_lake / "lakeward.yaml")
    assert verified.returncode == 0 and "lakeward policy test" in verified.stdout

    cases.write_text(cases.read_text().replace("[[northgate]]", "[[somewhere]]").replace("42P01", "42501"))
    run = policy(own_lake, "test", cases)
    assert run.returncode == 1
    assert "FAILED  own tenant: expected [[somewhere]], got [[northgate]]" in run.stdout
    assert "expected 42501, got 42P01" in run.stdout

    cases.write_text("version: 1\ncases: [{ name: x, user: alice, query: SELECT 1, expect: {} }]\n")
    run = policy(own_lake, "test", cases)
    assert run.returncode == 2 and "expects either" in run.stderr


def test_the_audit_trail_is_checked_and_asked(own_server):
    server = own_server()
    config = server.directory / "lakeward.yaml"
    number = server.value("alice", "SELECT min(patient_id) FROM silver.patients")
    server.rows("alice", f"SELECT family_name FROM silver.patients WHERE patient_id = '{number}'")
    server.rows("stella", "SELECT count(*) FROM silver.encounters")
    assert server.stop() == 0

    head = lakeward("audit", "head", "--config", config)
    assert head.returncode == 0, head.stderr
    heads = server.directory / "heads.jsonl"
    heads.write_text(head.stdout)
    run = lakeward("audit", "verify", "--heads", heads, "--config", config)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 found in the chain" in run.stdout and "the trail is intact" in run.stdout

    arguments = ["--table", "silver.patients", "--column", "family_name", "--value", number]
    run = lakeward("audit", "subject", *arguments, "--config", config)
    assert run.returncode == 0, run.stderr
    [line] = [line for line in run.stdout.splitlines() if "alice" in line]
    assert "family_name" in line and line.rstrip().endswith("yes")
    assert "stella" not in run.stdout
    assert "does not hold which rows" in run.stdout

    # Cut off at the end, the chain is still one; the head tells.
    [trail] = server.audit_directory().glob("audit-*.jsonl")
    lines = trail.read_text().splitlines(keepends=True)
    trail.write_text("".join(lines[:-1]))
    assert lakeward("audit", "verify", "--config", config).returncode == 0
    run = lakeward("audit", "verify", "--heads", heads, "--config", config)
    assert run.returncode == 1 and "is missing" in run.stdout

    forged = json.loads(head.stdout)
    forged["seq"] -= 1
    heads.write_text(json.dumps(forged) + "\n")
    run = lakeward("audit", "verify", "--heads", heads, "--config", config)
    assert run.returncode == 1 and "signature is wrong" in run.stderr
