"""Stores that fail: requests are tried again, or the statement fails with a clear error; never a part for the whole, and
never another table."""

import threading
import time

import psycopg
import pytest
from arro3.core import Array, DataType
from fault_proxy import INTERNAL_ERROR, SLOW_DOWN, Reset, Shorten, Stall, Status, Truncate
from server import eventually
from sites import reasons
from stand_ins import reading, write_local
from test_stores import fresh, patients, s3_settings

ROWS = 40_000
FILES = 4


def is_data(request) -> bool:
    return request.method == "GET" and ".parquet" in request.path and "_delta_log" not in request.path


def is_log(request) -> bool:
    return "_delta_log" in request.path


@pytest.fixture
def troubled(moto, proxies, sites, tmp_path):
    """A server over a table behind a proxy (`far.events`) and one on disk (`near.events`): (server, proxy, write)."""
    bucket = moto.bucket(fresh())
    proxy = proxies(moto.port)

    def write(where="far", first=0, rows=ROWS // FILES):
        table = {"n": Array(list(range(first, first + rows)), DataType.int64())}
        if where == "far":
            moto.write(f"s3://{bucket}/lake/events", table, mode="append")
        else:
            write_local(tmp_path / "near" / "events", table, mode="append")

    for part in range(FILES):
        write("far", part * (ROWS // FILES))
        write("near", part * (ROWS // FILES))
    server = sites.start(
        layers={"far": f"s3://{bucket}/lake", "near": str(tmp_path / "near")},
        stores={"lake": s3_settings(moto, bucket, tmp_path / "secrets", endpoint=proxy.endpoint)},
    )
    return server, proxy, write


SUM = "SELECT count(*), sum(n), min(n), max(n) FROM {}.events"
WHOLE = (ROWS, ROWS * (ROWS - 1) // 2, 0, ROWS - 1)

PASSING = {
    "slow-down": lambda: Status(503, SLOW_DOWN),
    "too-many-requests": lambda: Status(429),
    "internal-error": lambda: Status(500, INTERNAL_ERROR),
    "reset": Reset,
    "truncated": Truncate,
    "stalled": Stall,
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_not_noticed(troubled, fault):
    server, proxy, _ = troubled
    # A stall takes its time, of which the settings allow two.
    times = 1 if fault == "stalled" else 3
    rule = proxy.inject(PASSING[fault](), is_data, times=times)
    assert server.rows("stella", SUM.format("far")) == [WHOLE]
    assert rule.hits == times


@pytest.mark.parametrize("fault", [*PASSING, "shortened"])
def test_a_fault_that_lasts_is_an_error_and_no_other_tables(troubled, fault):
    server, proxy, _ = troubled
    proxy.inject(Shorten() if fault == "shortened" else PASSING[fault](), is_data)
    seen = []
    with pytest.raises(psycopg.Error) as caught, server.connect("stella") as connection:
        # Row by row, so that rows which come before the error are counted.
        for row in connection.cursor().stream("SELECT n FROM far.events"):
            seen.append(row)
    assert caught.value.sqlstate == "58030", caught.value
    assert '"far.events" cannot be read now' in str(caught.value)
    assert "s3://" not in str(caught.value) and ".parquet" not in str(caught.value)
    assert len(seen) < ROWS
    assert server.rows("stella", SUM.format("near")) == [WHOLE]
    proxy.heal()
    assert server.rows("stella", SUM.format("far")) == [WHOLE]
    assert "data of a table cannot be read" in server.log()


def test_rows_that_came_before_a_fault_end_in_an_error(troubled):
    """One of four files fails for good: whatever the client has by then, it learns that it is not all."""
    server, proxy, _ = troubled
    names = set()

    def is_one_file(request):
        name = request.path.split("?")[0]
        names.add(name) if is_data(request) and not names else None
        return is_data(request) and name in names

    proxy.inject(Status(500, INTERNAL_ERROR), is_one_file)
    with pytest.raises(psycopg.Error) as caught:
        server.rows("stella", "SELECT n FROM far.events")
    assert caught.value.sqlstate == "58030"


def test_a_silent_store_keeps_its_versions_and_holds_up_no_other(troubled):
    server, proxy, write = troubled
    proxy.inject(Status(503, SLOW_DOWN), lambda request: is_log(request) or "list-type" in request.path)
    write("near", ROWS, 5)
    eventually(lambda: server.value("stella", "SELECT count(*) FROM near.events") == ROWS + 5, "a commit elsewhere", 40)
    # The version that is loaded stays readable: its data come.
    assert server.rows("stella", SUM.format("far")) == [WHOLE]
    eventually(lambda: "catalog refresh is incomplete" in server.log(), "the log says so", 40)
    assert "too many requests (503 SlowDown)" in server.log()
    write("far", ROWS, 7)
    proxy.heal()
    eventually(lambda: server.value("stella", "SELECT count(*) FROM far.events") == ROWS + 7, "the commit meanwhile", 60)
    assert "catalog refresh is complete again" in server.log()


def test_a_store_that_stalls_at_the_start_is_empty_until_it_answers(moto, proxies, sites, tmp_path):
    bucket = moto.bucket(fresh())
    moto.write(f"s3://{bucket}/lake/wards", patients(0))
    moto.write(f"s3://{bucket}/other/beds", patients(10))
    write_local(tmp_path / "near" / "wards", patients(20))
    proxy = proxies(moto.port)
    proxy.inject(Reset())
    started = time.monotonic()
    server = sites.start(
        layers={"far": f"s3://{bucket}/lake", "near": str(tmp_path / "near")},
        tables=[{"schema": "alone", "name": "beds", "location": f"s3://{bucket}/other/beds"}],
        stores={"lake": s3_settings(moto, bucket, tmp_path / "secrets", endpoint=proxy.endpoint)},
    )
    assert time.monotonic() - started < 40
    assert server.value("stella", "SELECT sum(visits) FROM near.wards") == 86
    assert "no answer" in reasons(server)["alone.beds"]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        server.rows("stella", "SELECT * FROM alone.beds")
    proxy.heal()
    for sql, expected in (("SELECT sum(visits) FROM far.wards", 6), ("SELECT sum(visits) FROM alone.beds", 46)):
        eventually(lambda: answer(server, sql) == expected, sql, 60)


def answer(server, sql):
    try:
        return server.value("stella", sql)
    except psycopg.Error:
        return None


def test_what_is_wrong_is_said_with_what_to_do(moto, sites, tmp_path):
    bucket, blind = moto.bucket(fresh()), moto.bucket(fresh())
    moto.write(f"s3://{bucket}/wards", patients(0))
    moto.write(f"s3://{blind}/wards", patients(10))
    # May list, may not read.
    policy = reading(blind)
    policy["Statement"].pop()
    key = moto.user(f"{blind}-lister", policy)
    tables = [
        {"schema": "t", "name": "nowhere", "location": f"s3://{fresh()}/wards"},
        {"schema": "t", "name": "nothing", "location": f"s3://{bucket}/nothing"},
        {"schema": "t", "name": "blind", "location": f"s3://{blind}/wards"},
        {"schema": "t", "name": "silent", "location": "s3://silent/wards"},
        {"schema": "t", "name": "well", "location": f"s3://{bucket}/wards"},
    ]
    silent = s3_settings(moto, "silent", tmp_path / "secrets", endpoint="http://127.0.0.1:1")
    every = {**s3_settings(moto, bucket, tmp_path / "secrets"), "location": "s3://"}
    stores = {
        "every": every,
        "blind": s3_settings(moto, blind, tmp_path / "secrets", key=key),
        "silent": silent,
    }
    server = sites.start(layers={}, tables=tables, stores=stores)
    said = reasons(server)
    assert "no such bucket" in said["t.nowhere"] and "NoSuchBucket" in said["t.nowhere"]
    assert said["t.nothing"] == "no Delta log at this location"
    assert "access denied (403 AccessDenied)" in said["t.blind"] and "credentials" in said["t.blind"]
    assert "no answer" in said["t.silent"] and "refused" in said["t.silent"]
    assert server.value("stella", "SELECT sum(visits) FROM t.well") == 6
    for name in ("nowhere", "nothing", "blind", "silent"):
        with pytest.raises(psycopg.Error) as caught:
            server.rows("stella", f"SELECT * FROM t.{name}")
        assert f"t.{name}" in str(caught.value) and bucket not in str(caught.value)


def test_requests_wait_for_their_turn(moto, proxies, sites, tmp_path):
    """No more requests at once than the settings allow, however many statements want data."""
    bucket = moto.bucket(fresh())
    for n in range(20):
        moto.write(f"s3://{bucket}/lake/events", patients(10 * n), mode="append")
    proxy = proxies(moto.port)
    running, most, lock = 0, 0, threading.Lock()
    pass_on = proxy.pass_on

    def counted(request):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            time.sleep(0.02)
            return pass_on(request)
        finally:
            with lock:
                running -= 1

    proxy.pass_on = counted
    settings = s3_settings(moto, bucket, tmp_path / "secrets", endpoint=proxy.endpoint)
    settings["requests"] = {**settings["requests"], "timeout": "20s", "max_concurrent": 8}
    server = sites.start(layers={"far": f"s3://{bucket}/lake"}, stores={"lake": settings})
    failed = []

    def query():
        try:
            assert server.value("stella", "SELECT count(*) FROM far.events") == 80
            assert server.value("stella", "SELECT sum(visits) FROM far.events") == sum(40 * n + 6 for n in range(20))
        except Exception as error:  # the thread's only way to say so
            failed.append(error)

    threads = [threading.Thread(target=query) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert 4 <= most <= 8, most
