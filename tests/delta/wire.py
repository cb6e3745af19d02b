"""Tables as Lakeward's clients get them."""

import re
from collections import Counter

import psycopg
import pytest
from oracle.table import Rows
from oracle.values import from_wire, wire_type
from psycopg import postgres
from psycopg.types.string import TextLoader

CLASSES = re.compile(r"^[0-9A-Z]{5}$")
# What a message may never show: a place on disk.
PLACES = re.compile(r"/tmp|/var|/home|/work|\.parquet|\.json|\.bin|_delta_log|file:")


def as_text() -> psycopg.adapt.AdaptersMap:
    """Adapters that leave every value as the text that came."""
    adapters = psycopg.adapt.AdaptersMap(psycopg.adapters)
    for info in postgres.types:
        adapters.register_loader(info.oid, TextLoader)
        adapters.register_loader(info.array_oid, TextLoader)
    return adapters


AS_TEXT = as_text()


def texts(connection: psycopg.Connection, sql: str, parameters=None) -> tuple:
    """Columns as (name, PostgreSQL type), and rows as the texts that came."""
    with connection.cursor() as cursor:
        cursor._adapters = AS_TEXT
        cursor.execute(sql, parameters)
        columns = [(column.name, type_name(column.type_code)) for column in cursor.description]
        return columns, cursor.fetchall()


def type_name(oid: int) -> str:
    info = postgres.types.get(oid)
    assert info, f"type {oid}"
    return info.name + ("[]" if oid == info.array_oid else "")


def read(connection: psycopg.Connection, relation: str, fields: list, where: str = "") -> Rows:
    """All columns of a relation, which must be the fields of the Delta schema, in their order and of their types."""
    columns, rows = texts(connection, f"SELECT * FROM {relation} {where}")
    assert columns == [(field["name"], wire_type(field["type"])) for field in fields]
    spelled = [from_wire(column, field["type"]) for column, field in zip(zip(*rows), fields)]
    return Rows(fields, list(zip(*spelled)) if rows else [])


def parts(connection: psycopg.Connection, relation: str, fields: list, size: int = 50_000):
    """The rows of a relation, some at a time."""
    with connection.cursor() as cursor:
        cursor._adapters = AS_TEXT
        cursor.execute(f"SELECT * FROM {relation}")
        assert [c.name for c in cursor.description] == [field["name"] for field in fields]
        while rows := cursor.fetchmany(size):
            yield list(zip(*(from_wire(column, field["type"]) for column, field in zip(zip(*rows), fields))))


def assert_same_rows(found: Rows, expected: Rows):
    """Equal as multisets; else says which rows are too few and too many."""
    assert found.names == expected.names
    few, many = Counter(expected.rows), Counter(found.rows)
    if few == many:
        return
    missing, extra = list((few - many).elements()), list((many - few).elements())
    raise AssertionError(
        f"{len(found.rows)} rows where {len(expected.rows)} are expected; columns {found.names}\n"
        f"missing {len(missing)}: {missing[:5]}\nnot expected {len(extra)}: {extra[:5]}"
    )


def check_peer(differs: bool, found, expected: Rows):
    """Another reader gives the same rows, or is known not to; the list of those must not outlive the reason."""
    if not differs:
        assert_same_rows(found(), expected)
        return
    with pytest.raises(Exception):
        assert_same_rows(found(), expected)


def refusal(connection: psycopg.Connection, sql: str) -> psycopg.Error:
    """The error of a statement that must fail; it shows no place, and the connection goes on."""
    try:
        rows = connection.execute(sql).fetchall()
    except psycopg.Error as error:
        shown = " ".join(filter(None, (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)))
        assert error.sqlstate and CLASSES.match(error.sqlstate), shown
        assert not PLACES.search(shown), shown
        assert len(shown) < 500, shown
        assert connection.execute("SELECT 1").fetchone() == (1,)
        return error
    raise AssertionError(f"answered with {len(rows)} rows: {rows[:3]}")


def reason(connection: psycopg.Connection, schema: str, table: str) -> str | None:
    """Why a table is unavailable, as operators read it; None where it is not."""
    ((reason,),) = connection.execute(
        "SELECT reason FROM system.tables WHERE table_schema = %s AND table_name = %s", [schema, table]
    ).fetchall()
    return reason
