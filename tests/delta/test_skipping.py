"""What is skipped by statistics and partition values would not have been in the answer."""

import random
from collections import Counter

import pytest
from conftest import NAMES
from oracle import table as oracle
from oracle.table import Rows
from predicates import identifier, is_ordered, key, literal, predicates, usable
from test_written_tables import MAY_BE_REFUSED
from wire import assert_same_rows, read, texts

# Larger tables show only their first column.
MANY = 500
# Tables with more rows are asked less.
HUGE = 50_000
# So many predicates of a column, chosen by a fixed seed; all of them for tables that are about bounds.
CHOSEN = 14
THOROUGH = {
    "hand.bounds_cut_by_spark",
    "hand.bounds_wide_and_missing",
    "hand.text_order",
    "rs.extremes",
    "rs.long_prefixes",
    "rs.not_a_number",
}


@pytest.fixture(scope="module")
def server(written):
    return written.server


@pytest.fixture(scope="module", params=[name for name in NAMES if name not in MAY_BE_REFUSED])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def full(written, name):
    return oracle.read(written.table(name))


def test_predicates(connection, name, full):
    shown = Rows(full.fields[:1], [row[:1] for row in full.rows]) if len(full.rows) > MANY else full
    columns = ", ".join(identifier(n) for n in shown.names)
    wrong = []
    for at, field in enumerate(full.fields):
        column = [row[at] for row in full.rows]
        found = predicates(field["name"], field["type"], column, name)
        if name not in THOROUGH:
            amount = CHOSEN if len(full.rows) < HUGE else CHOSEN // 3
            found = random.Random(name).sample(found, min(amount, len(found)))
        for predicate in found:
            kept = [row for row, value in zip(shown.rows, column) if predicate.holds(value)]
            relation = f"(SELECT {columns} FROM {name} WHERE {predicate.sql}) AS kept"
            check(wrong, connection, relation, Rows(shown.fields, kept))
    assert not wrong, "\n".join(wrong[:20])


def test_combined_predicates(connection, name, full):
    """Conjunctions and disjunctions over two columns, partition columns among them."""
    chance = random.Random(name)
    pools = [
        [(at, p) for p in predicates(field["name"], field["type"], [row[at] for row in full.rows], name)]
        for at, field in enumerate(full.fields)
    ]
    wrong = []
    for _ in range(12 if len(full.rows) < HUGE else 3):
        (i, a), (j, b) = (chance.choice(chance.choice(pools)) for _ in range(2))
        word, both = chance.choice([("AND", all), ("OR", any)])
        kept = [row[:1] for row in full.rows if both((a.holds(row[i]), b.holds(row[j])))]
        first = identifier(full.names[0])
        relation = f"(SELECT {first} FROM {name} WHERE ({a.sql}) {word} ({b.sql})) AS kept"
        check(wrong, connection, relation, Rows(full.fields[:1], kept))
    assert not wrong, "\n".join(wrong)


def check(wrong: list, connection, relation: str, expected: Rows):
    try:
        assert_same_rows(read(connection, relation, expected.fields), expected)
    except Exception as error:
        wrong.append(f"{relation[:300]}: {str(error)[:300]}")


def test_bounds(connection, name, full):
    """Counts, smallest and largest values, with and without a predicate: never from statistics that are not exact."""
    ordered = [(at, f["name"], f["type"]) for at, f in enumerate(full.fields) if is_ordered(f["type"])]
    columns = ", ".join(f"count({c}), min({c}), max({c})" for c in (identifier(n) for _, n, _ in ordered))
    at, field_name, kind = ordered[0]
    middle = sorted((row[at] for row in full.rows if row[at] is not None and usable(row[at], kind)), key=key(kind))
    halves = [("true", full.rows)]
    if middle:
        middle = middle[len(middle) // 2]
        upper = [row for row in full.rows if row[at] is not None and key(kind)(row[at]) >= key(kind)(middle)]
        halves.append((f"{identifier(field_name)} >= {literal(middle, kind)}", upper))
    for where, rows in halves:
        _, ((total, *found),) = texts(connection, f"SELECT count(*), {columns} FROM {name} WHERE {where}")
        assert int(total) == len(rows), where
        for (at, field_name, kind), got in zip(ordered, zip(found[::3], found[1::3], found[2::3])):
            values = [row[at] for row in rows if row[at] is not None]
            assert int(got[0]) == len(values), field_name
            bounds = [min(values, key=key(kind)), max(values, key=key(kind))] if values else [None, None]
            assert [same(kind, v) for v in spelled(got[1:], kind)] == [same(kind, v) for v in bounds], field_name


def test_first_and_last_rows(connection, name, full):
    """ORDER BY with LIMIT, which narrows what is read while it reads."""
    for at, field in enumerate(full.fields):
        if not is_ordered(field["type"]):
            continue
        column, order = identifier(field["name"]), key(field["type"])
        values = sorted((row[at] for row in full.rows if row[at] is not None), key=order)
        for direction, wanted in (("ASC", values[:4]), ("DESC", values[::-1][:4])):
            sql = f"SELECT {column} FROM {name} WHERE {column} IS NOT NULL ORDER BY {column} {direction} LIMIT 4"
            found = spelled([value for (value,) in texts(connection, sql)[1]], field["type"])
            assert [same(field["type"], v) for v in found] == [same(field["type"], v) for v in wanted], sql


def test_limits(connection, name, full):
    """A limit counts rows that are there, and each of them is one of the table's."""
    for at, field in enumerate(full.fields):
        column, present = identifier(field["name"]), Counter(row[at] for row in full.rows)
        for limit in (1, 7, len(full.rows) + 1):
            _, rows = texts(connection, f"SELECT {column} FROM {name} LIMIT {limit}")
            assert len(rows) == min(limit, len(full.rows)), (column, limit)
            assert not Counter(spelled([value for (value,) in rows], field["type"])) - present, (column, limit)


def test_joined_with_few_rows(connection, name, full):
    """A join on the first column hands its keys down to the scan."""
    field = full.fields[0]
    if not is_ordered(field["type"]):
        pytest.skip("the first column is no key")
    order = key(field["type"])
    values = [row[0] for row in full.rows if row[0] is not None and usable(row[0], field["type"])]
    if not values:
        pytest.skip("nothing to join")
    keys = list(dict.fromkeys(random.Random(name).choices(values, k=3)))
    listed = ", ".join(f"({literal(k, field['type'])})" for k in keys)
    column = identifier(field["name"])
    relation = f"(SELECT t.* FROM {name} AS t JOIN (VALUES {listed}) AS few(k) ON t.{column} = few.k) AS joined"
    wanted = {order(k) for k in keys}
    expected = Rows(full.fields, [r for r in full.rows if r[0] is not None and order(r[0]) in wanted])
    assert_same_rows(read(connection, relation, full.fields), expected)


def spelled(values, kind) -> list:
    from oracle.values import from_wire

    return from_wire(values, kind)


def same(kind, value):
    """Values that are equal for the order are one here: which of 0.0 and -0.0 comes is not said."""
    return value if value is None else key(kind)(value)
