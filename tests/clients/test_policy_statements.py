"""Policies changed by statements, through real clients; no policies; drafts."""

import psycopg
import pytest
from server import PEOPLE, eventually, lakeward

COUNT = "SELECT count(*) FROM silver.patients"


def code(server, person, sql) -> str:
    with pytest.raises(psycopg.Error) as caught:
        server.rows(person, sql)
    return caught.value.sqlstate


def test_psql_shows_the_command_tags(own_server):
    script = """
        CREATE ROW POLICY cheap ON silver.patients TO analyst USING (sex = 'female');
        ALTER ROW POLICY cheap USING (sex = 'male');
        DROP ROW POLICY cheap;
        CREATE MASKING POLICY towns ON TAG pii.place TO analyst EXCEPT data_scientist, steward USING null();
        DROP MASKING POLICY towns;
        GRANT SELECT ON silver.patients TO partner;
        DENY SELECT ON silver.patients TO partner;
        REVOKE SELECT ON silver.patients FROM partner;
    """
    run = own_server().psql("oscar", input=script)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "CREATE ROW POLICY",
        "ALTER ROW POLICY",
        "DROP ROW POLICY",
        "CREATE MASKING POLICY",
        "DROP MASKING POLICY",
        "GRANT",
        "DENY",
        "REVOKE",
    ]


def test_a_change_is_seen_at_once_and_is_in_the_file(own_server, own_lake):
    server = own_server()
    before = server.value("alice", COUNT)
    name = "\"only women: # 'x'\""
    with server.connect("oscar") as oscar:
        # Parse, Describe, Execute.
        oscar.execute(
            f"CREATE ROW POLICY {name} ON silver.patients TO analyst\nUSING (sex = 'female' -- a comment\n)",
            prepare=True,
        )
        assert 0 < server.value("alice", COUNT) < before
        text = (own_lake / "policies.yaml").read_text()
        assert "# oscar, 2" in text and "# Who sees what in the demo lake." in text
        check = lakeward("policy", "check", "--config", own_lake / "lakeward.yaml")
        assert check.returncode == 0, check.stderr
        explained = oscar.execute("EXPLAIN POLICY FOR USER alice ON silver.patients", prepare=True).fetchall()
        assert any("only women" in line for (line,) in explained)
        shown = oscar.execute("SELECT 1; SHOW POLICIES ON silver.patients")
        assert shown.nextset() and any("only women" in row[1] for row in shown.fetchall())
        oscar.execute(f"DROP ROW POLICY {name}")
    assert server.value("alice", COUNT) == before
    # The file that was looked at meanwhile says what is in force.
    assert server.metric("lakeward_reload_failures_total") == 0
    assert server.stop() == 0
    verified = lakeward("audit", "verify", "--config", own_lake / "lakeward.yaml")
    assert verified.returncode == 0 and "without an end: 0" in verified.stdout, verified.stdout


def test_others_are_refused_whatever_they_name(own_server, own_lake):
    server = own_server()
    before = (own_lake / "policies.yaml").read_text()
    for person in (person for person in PEOPLE if person != "oscar"):
        for sql in ('DROP ROW POLICY "own-tenant"', "DROP ROW POLICY nothing", "GRANT SELECT ON a.b TO c"):
            assert code(server, person, sql) == "42501", (person, sql)
        assert code(server, person, "SHOW POLICIES") == "42501"
    assert (own_lake / "policies.yaml").read_text() == before


def test_errors_have_their_codes(own_server):
    server = own_server()
    for sql, expected in [
        ("CREATE POLICY p ON silver.patients USING (true)", "0A000"),
        ("GRANT SELECT ON silver.patients", "42601"),
        ("DROP ROW POLICY nothing", "42704"),
        ("CREATE ROW POLICY p ON silver.patients USING (no_such = 1)", "42P17"),
        ("BEGIN; DROP ROW POLICY nothing", "25001"),
    ]:
        assert code(server, "oscar", sql) == expected, sql
    run = server.psql("oscar", "-c", "GRANT SELECT ON silver TO x")
    assert "LINE 1: GRANT SELECT ON silver TO x" in run.stderr and "HINT" in run.stderr, run.stderr


def test_without_a_managed_file_nothing_is_changed(own_server, own_lake):
    config = own_lake / "lakeward.yaml"
    config.write_text(config.read_text().replace("  managed: policies.yaml\n", ""))
    server = own_server()
    before = (own_lake / "policies.yaml").read_text()
    with pytest.raises(psycopg.Error, match="no policy file is managed") as caught:
        server.rows("oscar", "GRANT SELECT ON silver.patients TO partner")
    assert caught.value.sqlstate == "55000" and "policy.managed" in caught.value.diag.message_hint
    assert (own_lake / "policies.yaml").read_text() == before


def test_policy_test_changes_no_policies(own_lake, tmp_path):
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "version: 1\ncases:\n  - name: changes nothing\n    user: oscar\n"
        "    query: GRANT SELECT ON silver.patients TO partner\n    expect: { denied: '55000' }\n"
    )
    before = (own_lake / "policies.yaml").read_text()
    run = lakeward("policy", "test", cases, "--config", own_lake / "lakeward.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (own_lake / "policies.yaml").read_text() == before


@pytest.mark.parametrize("files", ["[]", "[policies.yaml]"])
def test_no_policies_are_said_and_show_nothing(own_server, own_lake, files):
    config, policies = own_lake / "lakeward.yaml", own_lake / "policies.yaml"
    good = policies.read_text()
    text = config.read_text().replace("  managed: policies.yaml\n", "")
    config.write_text(text.replace("files: [policies.yaml]", f"files: {files}"))
    policies.write_text("version: 1\n")
    check = lakeward("config", "check", "--config", config)
    assert check.returncode == 0 and "NO POLICIES" in check.stdout, check
    server = own_server()
    assert "NO POLICIES" in server.log()
    assert server.http("/readyz") == (200, '{"ready":true,"warnings":["no_policies"]}\n')
    for person in PEOPLE:
        assert code(server, person, COUNT) == "42P01"
    if files == "[]":
        return
    policies.write_text(good)
    eventually(lambda: server.http("/readyz") == (200, "ready\n"), "policies in force")
    assert server.value("stella", COUNT) > 0
    # From something to nothing is a mistake.
    policies.write_text("version: 1\n")
    eventually(lambda: server.metric("lakeward_reload_failures_total") > 0, "the refusal")
    assert server.value("stella", COUNT) > 0


def test_a_draft_is_tried_against_statements(own_server, own_lake, tmp_path):
    config = own_lake / "lakeward.yaml"
    good = (own_lake / "policies.yaml").read_text()
    draft, same = tmp_path / "draft.yaml", tmp_path / "same.yaml"
    key = f"file:{own_lake / 'keys' / 'mask.key'}"
    same.write_text(good.replace("file:keys/mask.key", key))
    draft.write_text(
        same.read_text()
        .replace("{ role: partner, object: \"gold.*\"", "{ role: partner, object: \"silver.*\"")
        .replace("tenant_id = principal.tenant", "tenant_id = principal.tenant AND sex = 'female'")
        .replace('on: ["silver.*", "gold.*"]', 'on: ["silver.patients"]')
        .replace("mask: { type: show_last, n: 4 }", "mask: { type: show_last, n: 2 }", 1)
    )
    recorded = tmp_path / "recorded.yaml"
    recorded.write_text(
        "version: 1\nstatements:\n"
        "  - { user: alice, query: SELECT nhs_number FROM silver.patients WHERE patient_id = $1 }\n"
        "  - { user: parker, query: SELECT * FROM gold.monthly_revenue_by_doctor }\n"
        "  - { user: stella, query: SELECT count(*) FROM silver.patients }\n"
        "  - { user: nobody, query: SELECT 1 }\n"
    )

    def dry_run(draft, statements):
        arguments = ("--draft", draft, "--statements", statements, "--config", config)
        return lakeward("policy", "dry-run", *arguments)

    run = dry_run(same, recorded)
    assert run.returncode == 0 and "0 of 3 statements" in run.stdout, run.stdout + run.stderr
    run = dry_run(draft, recorded)
    assert run.returncode == 1 and "2 of 3 statements" in run.stdout, run.stdout + run.stderr
    assert "silver.patients: - column nhs_number shown as show last 2" in run.stdout
    assert "sex = 'female'" in run.stdout and "mrn" not in run.stdout
    assert "parker: SELECT * FROM gold.monthly_revenue_by_doctor\n  - denied: 42P01" in run.stdout
    assert "1 left out" in run.stdout

    server = own_server()
    server.value("alice", COUNT)
    server.value("stella", COUNT)
    assert server.stop() == 0
    run = dry_run(draft, "audit")
    assert run.returncode == 1 and "1 of 2 statements" in run.stdout, run.stdout + run.stderr
    assert f"alice: {COUNT}" in run.stdout
