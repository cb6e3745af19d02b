"""psycopg 3 and 2: parameters, binary results, types, transactions, cancellation."""

import datetime
import decimal
import os
import socket
import threading

import psycopg
import psycopg2
import pytest
from server import ENDLESS, ENDLESS_ROWS, eventually

@pytest.fixture
def alice(server):
    with server.connect("alice") as connection:
        yield connection


VALUES = [
    ("smallint", 7),
    ("int", -8),
    ("bigint", 2**62),
    ("real", 1.5),
    ("double precision", 0.1),
    ("numeric(12,2)", decimal.Decimal("1234567890.12")),
    ("boolean", True),
    ("text", "žluťoučký 'kůň'"),
    ("date", datetime.date(1931, 2, 28)),
    ("timestamp", datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)),
    ("text", None),
]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("type_name,value", VALUES, ids=[f"{t}-{v is None}" for t, v in VALUES])
def test_values_go_there_and_back(alice, binary, type_name, value):
    with alice.cursor(binary=binary) as cursor:
        assert cursor.execute(f"SELECT CAST(%s AS {type_name})", [value]).fetchone() == (value,)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_text_and_binary_show_the_same_table(alice, binary):
    with alice.cursor(binary=binary) as cursor:
        rows = cursor.execute("SELECT * FROM silver.patients ORDER BY patient_id LIMIT 20").fetchall()
    with alice.cursor(binary=not binary) as cursor:
        assert rows == cursor.execute("SELECT * FROM silver.patients ORDER BY patient_id LIMIT 20").fetchall()
    assert len(rows) == 20


def test_parameters_in_predicates(alice):
    total = alice.execute("SELECT count(*) FROM silver.patients").fetchone()[0]
    born = datetime.date(1970, 1, 1)
    older = alice.execute("SELECT count(*) FROM silver.patients WHERE birth_date < %s", [born]).fetchone()[0]
    younger = alice.execute("SELECT count(*) FROM silver.patients WHERE birth_date >= %s", [born]).fetchone()[0]
    assert older > 0 and younger > 0 and older + younger == total
    assert alice.execute(
        "SELECT count(*) FROM silver.patients WHERE sex = ANY(ARRAY[%s, %s]) OR sex IS NULL", ["male", "female"]
    ).fetchone()[0] <= total
    assert len(alice.execute("SELECT 1 FROM silver.patients LIMIT %s", [3]).fetchall()) == 3


def test_prepared_statements_are_reused(alice):
    for born in range(1940, 1960):
        alice.execute(
            "SELECT count(*) FROM silver.patients WHERE birth_date < %s",
            [datetime.date(born, 1, 1)],
            prepare=True,
        ).fetchone()


def test_a_result_is_streamed(alice):
    with alice.cursor() as cursor:
        rows = cursor.stream("SELECT a.nhs_number FROM silver.patients a CROSS JOIN silver.patients b LIMIT 50000")
        assert sum(1 for _ in rows) == 50000


def test_the_description_names_types(alice):
    description = alice.execute("SELECT nhs_number, birth_date, 1 AS n, 1.5::double precision AS x FROM silver.patients LIMIT 1").description
    assert [column.name for column in description] == ["nhs_number", "birth_date", "n", "x"]
    types = [alice.adapters.types[column.type_code].name for column in description]
    assert types[0] in ("text", "varchar")
    assert types[1] == "date"
    assert types[2] in ("int4", "int8")
    assert types[3] == "float8"


ERRORS = [
    ("SELEC 1", "42601"),
    ("SELECT * FROM silver.no_such_table", "42P01"),
    ("SELECT no_such_column FROM silver.patients", "42703"),
    ("SELECT nhs_number FROM silver.patients a JOIN silver.patients b ON true", "42702"),
    ("SELECT no_such_function(1)", "42883"),
    ("SELECT 1/0", "22012"),
    ("SELECT count(*)/(count(*)-count(*)) FROM silver.patients", "22012"),
    ("SELECT 'abc'::int", "22P02"),
    ("SELECT tenant_id, count(*) FROM silver.patients", "42803"),
    ("SELECT (SELECT nhs_number FROM silver.patients)", "21000"),
]


@pytest.mark.parametrize("sql,state", ERRORS, ids=[state + " " + sql[:40] for sql, state in ERRORS])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_errors_have_their_sqlstate_and_no_data(server, alice, sql, state, extended):
    with pytest.raises(psycopg.Error) as caught:
        # prepare=True goes through Parse, Bind, Execute; a cursor of the client side is a simple query.
        if extended:
            alice.execute(sql, prepare=True).fetchall()
        else:
            psycopg.ClientCursor(alice).execute(sql).fetchall()
    assert caught.value.sqlstate == state, caught.value.diag.message_primary
    shown = " ".join(
        filter(None, [caught.value.diag.message_primary, caught.value.diag.message_detail, caught.value.diag.message_hint])
    )
    assert str(server.directory) not in shown and ".parquet" not in shown and "policy" not in shown.lower()
    assert alice.execute("SELECT 1").fetchone() == (1,), "the connection goes on"


def test_a_failing_cast_shows_no_value(server, alice):
    names = {str(value) for row in server.rows("stella", "SELECT family_name, given_name FROM silver.patients") for value in row}
    with pytest.raises(psycopg.Error) as caught:
        alice.execute("SELECT CAST(family_name AS int) FROM silver.patients").fetchall()
    assert caught.value.sqlstate == "22P02"
    words = set(str(caught.value).replace('"', " ").replace("'", " ").replace(":", " ").split())
    assert not names & words


def test_a_failed_transaction_waits_for_its_end(server):
    with server.connect("alice") as connection:
        connection.autocommit = False
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0").fetchall()
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.commit()


@pytest.mark.parametrize("person", ["alice", "nobody-of-that-name", ""])
def test_a_wrong_password_says_the_same_for_an_unknown_user(server, person):
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(**server.dsn("alice", user=person or "x", password="wrong"))
    message = str(caught.value)
    assert f'password authentication failed for user "{person or "x"}"' in message


def test_cancel_stops_a_query_within_a_second(server):
    with server.connect("alice") as connection:
        failure = []

        def run():
            try:
                connection.execute(ENDLESS).fetchall()
            except psycopg.Error as error:
                failure.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        eventually(lambda: running(server, "alice"), "the query is in the registry")
        connection.cancel_safe(timeout=5)
        thread.join(timeout=2)
        assert not thread.is_alive()
        assert failure[0].sqlstate == "57014"
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_cancel_stops_a_stream(server):
    with server.connect("alice") as connection, connection.cursor() as cursor:
        rows = cursor.stream(ENDLESS_ROWS)
        next(rows)
        connection.cancel_safe(timeout=5)
        with pytest.raises(psycopg.errors.QueryCanceled):
            for _ in rows:
                pass


def running(server, person) -> bool:
    states = server.rows("oscar", "SELECT state FROM system.queries WHERE user_name = %s", [person])
    return any(state == "running" for (state,) in states)


@pytest.mark.parametrize("how", ["SET statement_timeout = 300", "SET statement_timeout TO '300ms'"])
def test_statement_timeout(server, how):
    with server.connect("alice") as connection:
        connection.execute(how)
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(ENDLESS).fetchall()
        connection.execute("SET statement_timeout = 0")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_client_that_disappears_cancels_its_query(server):
    connection = server.connect("bob")
    thread = threading.Thread(target=lambda: swallow(lambda: connection.execute(ENDLESS).fetchall()))
    thread.start()
    eventually(lambda: running(server, "bob"), "the query runs")
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=5)
    eventually(lambda: not running(server, "bob"), "the query ended with its client", seconds=5)


def swallow(call):
    try:
        call()
    except psycopg.Error:
        pass


def test_settings(alice):
    assert alice.execute("SHOW server_version").fetchone()[0]
    assert alice.execute("SHOW transaction isolation level").fetchone()[0]
    alice.execute("SET application_name = 'monthly report'")
    alice.execute("SET TIME ZONE 'UTC'")
    assert alice.execute("SHOW application_name").fetchone() == ("monthly report",)
    assert alice.execute("SELECT version()").fetchone()[0].startswith("PostgreSQL ")
    assert alice.execute("SELECT current_database()").fetchone() == ("lakeward",)
    alice.execute("DISCARD ALL")


def test_psycopg2(server):
    connection = psycopg2.connect(**server.dsn("alice"))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*), min(birth_date) FROM silver.patients WHERE birth_date > %s", [datetime.date(1950, 1, 1)])
            count, oldest = cursor.fetchone()
            assert count > 0 and oldest > datetime.date(1950, 1, 1)
        with pytest.raises(psycopg2.errors.UndefinedTable), connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nowhere.nothing")
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    finally:
        connection.close()


def test_many_connections_at_once(server):
    expected = {person: server.rows(person, "SELECT count(*) FROM silver.patients") for person in ("alice", "bob", "stella")}
    wrong = []

    def work(person):
        for _ in range(5):
            if server.rows(person, "SELECT count(*) FROM silver.patients") != expected[person]:
                wrong.append(person)

    threads = [threading.Thread(target=work, args=(person,)) for person in expected for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
