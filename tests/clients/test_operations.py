"""What an operator meets: bad files, reloads, audit, metrics, ports, the end."""

import asyncio
import re
import signal
import socket
import subprocess
import threading

import asyncpg
import psycopg
import pytest
from server import BINARY, ENDLESS, Server, environment, eventually, lakeward, log_lines, password

def check(lake):
    return lakeward("config", "check", "--config", lake / "lakeward.yaml")


def append(path, text):
    path.write_text(path.read_text().rstrip("\n") + "\n" + text)


def line_of(path, needle) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if needle in line)


def test_version():
    run = lakeward("--version")
    assert run.returncode == 0 and re.fullmatch(r"lakeward \d+\.\d+\.\d+.*\n", run.stdout)


def test_a_good_configuration(own_lake):
    run = check(own_lake)
    assert run.returncode == 0, run.stderr


def test_the_reference_is_a_configuration(tmp_path):
    run = lakeward("config", "reference")
    assert run.returncode == 0
    for key in ("statement_timeout", "memory_limit", "refresh_interval", "grace_period"):
        assert key in run.stdout


def test_an_unknown_key(own_lake):
    config = own_lake / "lakeward.yaml"
    append(config, "no_such_section:\n  a: 1\n")
    run = check(own_lake)
    assert run.returncode == 2
    assert f"{config}:{line_of(config, 'no_such_section')}:" in run.stderr
    assert "no_such_section" in run.stderr
    serve = lakeward("serve", "--config", config)
    assert serve.returncode == 2 and "no_such_section" in serve.stderr


def test_a_wrong_type(own_lake):
    config = own_lake / "lakeward.yaml"
    append(config, "shutdown:\n  grace_period: [soon]\n")
    run = check(own_lake)
    assert run.returncode == 2
    assert re.search(rf"{re.escape(str(config))}:\d+(:\d+)?: .*", run.stderr)


def test_a_missing_file(own_lake):
    run = lakeward("config", "check", "--config", own_lake / "nothing.yaml")
    assert run.returncode == 2
    assert "nothing.yaml" in run.stderr


def test_a_missing_policy_file(own_lake):
    (own_lake / "policies.yaml").unlink()
    run = check(own_lake)
    assert run.returncode == 2 and "policies.yaml" in run.stderr


def test_duplicate_users(own_lake):
    users = own_lake / "users.yaml"
    text = users.read_text()
    entry = re.search(r"^  - name: alice\n(?:    .*\n)*", text, re.M).group(0)
    append(users, entry)
    run = check(own_lake)
    assert run.returncode == 2
    assert re.search(rf"users\.yaml:{line_of_last(users, 'name: alice')}:.*alice", run.stderr), run.stderr


def line_of_last(path, needle) -> int:
    return max(n for n, line in enumerate(path.read_text().splitlines(), 1) if needle in line)


@pytest.mark.parametrize(
    "broken,says",
    [
        ("grant:\n  - role: x\n", "grant"),
        ("nonsense", None),
    ],
)
def test_broken_policies(own_lake, broken, says):
    policies = own_lake / "policies.yaml"
    append(policies, broken)
    run = check(own_lake)
    assert run.returncode == 2
    assert re.search(r"policies\.yaml:\d+", run.stderr), run.stderr
    if says:
        assert says in run.stderr


def test_an_unknown_column_in_a_filter(own_lake):
    policies = own_lake / "policies.yaml"
    text = policies.read_text()
    assert "tenant_id = principal.tenant" in text
    policies.write_text(text.replace("tenant_id = principal.tenant", "no_such_column = principal.tenant", 1))
    run = lakeward("policy", "check", "--config", own_lake / "lakeward.yaml")
    assert run.returncode == 2
    assert re.search(r"policies\.yaml:\d+", run.stderr) and "no_such_column" in run.stderr, run.stderr


def test_policy_check(own_lake):
    run = lakeward("policy", "check", "--config", own_lake / "lakeward.yaml")
    assert run.returncode == 0, run.stderr


def test_a_port_in_use(own_lake):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = lakeward(
            "serve",
            "--config",
            own_lake / "lakeward.yaml",
            env={"LAKEWARD_LISTEN__POSTGRES": f"127.0.0.1:{port}", "LAKEWARD_LISTEN__HTTP": "127.0.0.1:0"},
        )
    assert run.returncode not in (0, None)
    assert str(port) in run.stderr
    assert "listen.postgres" in run.stderr, "how to change it"


def test_beyond_loopback_needs_tls(own_lake):
    run = lakeward(
        "serve", "--config", own_lake / "lakeward.yaml", env={"LAKEWARD_LISTEN__POSTGRES": "0.0.0.0:0"}
    )
    assert run.returncode == 2
    assert "tls" in run.stderr.lower()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_well(own_server, sent):
    server = own_server()
    server.rows("alice", "SELECT count(*) FROM silver.patients")
    idle = server.connect("alice")
    server.process.send_signal(sent)
    assert server.process.wait(20) == 0
    with pytest.raises(psycopg.Error):
        idle.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        server.connect("alice")


def test_a_running_query_may_finish_but_not_for_ever(own_server):
    server = own_server(settings={"LAKEWARD_SHUTDOWN__GRACE_PERIOD": "1s"})
    failure = []

    def run():
        try:
            server.rows("alice", ENDLESS)
        except psycopg.Error as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(
        lambda: server.rows("oscar", "SELECT 1 FROM system.queries WHERE user_name = 'alice' AND state = 'running'"),
        "the query runs",
    )
    assert server.stop(timeout=20) == 0
    thread.join(timeout=10)
    assert failure and failure[0].sqlstate == "57P01", failure


def test_broken_policies_keep_the_last_good_ones(own_server):
    server = own_server()
    policies = server.directory / "policies.yaml"
    good = policies.read_text()
    before = server.rows("alice", "SELECT count(*) FROM silver.patients")
    policies.write_text(good + "\nno_such_key: 1\n")
    eventually(lambda: "no_such_key" in server.log(), "the log says why")
    assert server.rows("alice", "SELECT count(*) FROM silver.patients") == before
    assert check(server.directory).returncode == 2
    policies.write_text(good)


def test_a_policy_change_reaches_open_connections(own_server):
    server = own_server()
    policies = server.directory / "policies.yaml"
    with server.connect("alice") as alice:
        sql = "SELECT count(*) FROM silver.patients"
        own = alice.execute(sql).fetchone()
        good = policies.read_text()
        policies.write_text(good.replace("tenant_id = principal.tenant", "tenant_id = 'no-such-tenant'"))
        eventually(lambda: alice.execute(sql).fetchone() == (0,), "the new filter holds")
        policies.write_text(good)
        eventually(lambda: alice.execute(sql).fetchone() == own, "and the old one again")


def test_users_are_reloaded(own_server):
    server = own_server()
    users = server.directory / "users.yaml"
    good = users.read_text()
    assert server.rows("alice", "SELECT 1") == [(1,)]
    users.write_text(re.sub(r"(  - name: alice\n)", r"\1    enabled: false\n", good))
    eventually(lambda: login_state(server, "alice") == "28000", "a disabled account is refused")
    users.write_text(re.sub(r"(  - name: alice\n)", r"\1    expires: 2020-01-01T00:00:00Z\n", good))
    eventually(lambda: login_state(server, "alice") == "28000", "an expired account is refused")
    users.write_text(good)
    eventually(lambda: login_state(server, "alice") == "ok", "and back")


def login_state(server, person) -> str:
    """SQLSTATE of a log-in; libpq gives only text for a failed one, so asyncpg is asked."""
    async def attempt():
        try:
            connection = await asyncpg.connect(
                host="127.0.0.1",
                port=server.postgres_port,
                user=person,
                password=password(person),
                database="lakeward",
            )
        except asyncpg.PostgresError as error:
            return error.sqlstate
        await connection.close()
        return "ok"

    return asyncio.run(attempt())


def test_user_add(own_server):
    server = own_server()
    run = subprocess.run(
        [BINARY, "user", "add", "nina", "--config", server.config, "--tenant", "northgate", "--role", "analyst", "--password-stdin"],
        input="nina-demo\n",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert "nina-demo" not in (server.directory / "users.yaml").read_text()
    eventually(lambda: login_state(server, "nina") == "ok", "the new account works")
    assert server.rows("nina", "SELECT count(*) FROM silver.patients") == server.rows(
        "alice", "SELECT count(*) FROM silver.patients"
    )


def test_audit_keeps_what_was_asked_but_not_in_plain_text(own_server):
    server = own_server()
    marker = "zebra-4711"
    server.rows("alice", f"SELECT count(*) FROM silver.patients WHERE nhs_number = '{marker}'")
    with pytest.raises(psycopg.Error):
        server.rows("oscar", "SELECT * FROM silver.patients")
    assert server.stop() == 0
    files = [path for path in server.audit_directory().rglob("*") if path.is_file()]
    assert files and any(path.stat().st_size for path in files)
    content = b"".join(path.read_bytes() for path in files)
    assert marker.encode() not in content
    assert b"silver.patients WHERE" not in content
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, f"{path.name} is for its owner only"
    assert marker not in server.log(), "no literal in the log either"


def test_logs_are_json_without_a_terminal(own_server):
    server = own_server()
    assert server.stop() == 0
    lines = [line for line in server.log().splitlines() if line.strip()]
    assert lines and len(log_lines(server.log())) == len(lines), server.log()


def test_http(server):
    assert server.http("/healthz")[0] == 200
    assert server.http("/readyz")[0] == 200
    server.rows("alice", "SELECT 1")
    status, metrics = server.http("/metrics")
    assert status == 200 and "# TYPE lakeward_" in metrics
    assert "alice" not in metrics
    assert server.http("/no-such-page")[0] == 404


def data_files(lake, table):
    return sorted(path for path in (lake / "lake" / "silver" / table).rglob("*.parquet") if "_delta_log" not in path.parts)


@pytest.mark.parametrize("damage", ["missing", "truncated", "overwritten"])
def test_a_damaged_data_file_gives_an_error_that_names_the_table(own_server, damage):
    server = own_server()
    for path in data_files(server.directory, "patients"):
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(psycopg.Error) as caught:
        server.rows("stella", "SELECT * FROM silver.patients")
    assert "silver.patients" in str(caught.value)
    assert str(server.directory) not in str(caught.value) and ".parquet" not in str(caught.value)
    assert server.value("stella", "SELECT count(*) FROM silver.encounters") > 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT array_agg(a.patient_id || b.patient_id || c.patient_id)"
        " FROM silver.patients a, silver.patients b, silver.patients c",
        "SELECT count(*) FROM silver.patients a, silver.patients b, silver.patients c, silver.patients d"
        " WHERE a.birth_date < b.birth_date AND c.birth_date < d.birth_date",
    ],
    ids=["aggregate", "join"],
)
def test_out_of_memory(own_server, sql):
    server = own_server(settings={"LAKEWARD_EXECUTION__MEMORY_LIMIT": "16MiB"})
    with pytest.raises(psycopg.Error) as caught:
        server.rows("stella", sql)
    assert caught.value.sqlstate == "53200"
    assert server.value("stella", "SELECT count(*) FROM silver.patients") == 1000


def test_two_servers_over_one_lake_do_not_meet(own_server):
    first = own_server()
    second = Server(first.directory, settings={"LAKEWARD_AUDIT__DIRECTORY": first.directory / "audit-2"})
    try:
        second.start()
        assert first.rows("alice", "SELECT count(*) FROM silver.patients") == second.rows(
            "alice", "SELECT count(*) FROM silver.patients"
        )
    finally:
        second.kill()
