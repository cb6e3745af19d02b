"""What a case of damage is, and the whole table that cases break."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from handmade import Table, field

# In paths, partition values and rows: no message to a user shows it.
SECRET = "secret-value"
SIMPLE = [field("id", "long"), field("v", "string")]
ROWS = 1000

LOG = ("55000",)
DATA = ("XX001",)
# A file that is looked at when the table is loaded, or when it is read: both are right.
ANY = ("55000", "XX001")


@dataclass(frozen=True)
class Case:
    build: Callable
    # SQLSTATEs of the refusal; empty where the table must be read.
    states: tuple
    # Rows that would be right; None where there is no right answer.
    ids: Sequence | None = None
    # What count(*) may say although the rows cannot be read: a footer that is whole knows it.
    count: int | None = None
    # Rows of the id alone, where only other columns cannot be read.
    ids_alone: Sequence | None = None


CASES = {}


def case(*states, ids=None, count=None, ids_alone=None):
    """The refusals that are right, and the answers that would be."""

    def register(build):
        CASES[build.__name__] = Case(build, states, ids, count, ids_alone)
        return build

    return register


def simple(start: int = 0, end: int = ROWS) -> pa.Table:
    return pa.table({"id": pa.array(range(start, end), pa.int64()), "v": [f"{SECRET} {i}" for i in range(start, end)]})


def good(folder: Path, **options) -> Table:
    """Two files of 1,000 rows in two commits."""
    made = Table(folder, SIMPLE, **options)
    made.commit(made.file("a.parquet", simple()))
    made.commit(made.file("b.parquet", simple(ROWS, 2 * ROWS)))
    return made


GOOD = range(2 * ROWS)
FIRST = range(ROWS)


def commit_path(made: Table, version: int) -> Path:
    return made.log / f"{version:020}.json"
