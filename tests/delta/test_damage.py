"""Damage is an error with a class and no details, or does no harm; and never harms another table."""

import time

import pytest
from conftest import serving
from lake import STEWARD
from oracle import table as oracle
from damage import CASES, GOOD, SECRET, build_all
from wire import reason, refusal

STATEMENTS = {
    "rows": "SELECT * FROM broken.{} ORDER BY 1",
    "count": "SELECT count(*) FROM broken.{}",
    "sum": "SELECT sum(id) FROM broken.{}",
    "predicate": "SELECT id FROM broken.{} WHERE id >= 400 ORDER BY id",
    "limit": "SELECT id FROM broken.{} LIMIT 3000",
}
LONGEST_REASON = 5000
LONGEST_SECONDS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    build_all(folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, folder):
    with serving(tmp_path_factory.mktemp("broken-server"), layers={"broken": folder}) as server:
        yield server


@pytest.fixture
def connection(server):
    """One per test, and a server that runs: what one of them breaks, others do not meet."""
    if server.process.poll() is not None:
        server.start()
    with server.connect(STEWARD, options="-c statement_timeout=20s") as connection:
        yield connection


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", CASES)
def test_damage(server, connection, name):
    case = CASES[name]
    answers = {}
    for what, sql in STATEMENTS.items():
        started = time.monotonic()
        try:
            answers[what] = connection.execute(sql.format(name)).fetchall()
        except Exception:
            assert server.process.poll() is None, f"the server ended: {sql.format(name)}"
            error = refusal(connection, sql.format(name))
            assert error.sqlstate in case.states, (what, str(error))
            assert f'"broken.{name}"' in error.diag.message_primary
            assert SECRET not in str(error)
        assert time.monotonic() - started < LONGEST_SECONDS
    for what, answer in answers.items():
        check(case, what, answer)
    if not answers:
        assert case.states, "refused, but it can be read"
    why = reason(connection, "broken", name) or ""
    assert len(why) < LONGEST_REASON and SECRET not in why
    assert server.process.poll() is None, "the server ended"
    assert connection.execute("SELECT count(*), sum(id) FROM broken.good").fetchone() == (len(GOOD), sum(GOOD))


def check(case, what: str, answer: list):
    """Whatever is answered is right and whole."""
    if what == "count" and case.count is not None:
        assert answer == [(case.count,)]
        return
    ids = case.ids
    if what != "rows" and case.ids_alone is not None:
        ids = case.ids_alone
    assert ids is not None, f"{what} answered: {answer[:3]}"
    if what == "rows":
        answer = [row[:1] for row in answer]
    right = {
        "rows": [(i,) for i in ids],
        "count": [(len(ids),)],
        "sum": [(sum(ids),)],
        "predicate": [(i,) for i in ids if i >= 400],
        "limit": [(i,) for i in ids],
    }
    assert sorted(answer) == right[what], f"{what}: {len(answer)} rows, {answer[:3]}"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "vector" in name and case.ids is None])
def test_damaged_vectors_are_damaged(folder, name):
    """Guards the cases: a reader that looks at everything finds something."""
    with pytest.raises(Exception):
        oracle.read(folder / name)


def test_the_log_names_classes_not_values(server):
    """After all of the above: no panic, no stored value, no flood."""
    log = server.log()
    assert "panic" not in log
    assert SECRET not in log
    assert len(log) < 5_000_000
