"""The change data feed: what each commit inserted, updated and deleted."""

from pathlib import Path

from . import vectors
from .log import json_lines, snapshot
from .table import Rows, file_rows

CHANGE_TYPE = {"name": "_change_type", "type": "string", "nullable": True, "metadata": {}}
COMMIT_VERSION = {"name": "_commit_version", "type": "long", "nullable": True, "metadata": {}}


def changes(folder: Path, first: int, last: int) -> Rows:
    """Rows of the table with kind and version of the change; commits first to last, both included."""
    state = snapshot(Path(folder), last)
    log = state.folder / "_delta_log"
    rows = []
    for version in range(first, last + 1):
        actions = json_lines(log / f"{version:020}.json")
        rows += [(*row, version) for row in _of_commit(state, actions)]
    return Rows([*state.fields, CHANGE_TYPE, COMMIT_VERSION], rows)


def _of_commit(state, actions: list):
    """Change files speak for the whole commit; without any, files that came are inserts and that went are deletes."""
    recorded = [action["cdc"] for action in actions if "cdc" in action]
    for change in recorded:
        yield from file_rows(state, change, more=[CHANGE_TYPE])
    if recorded:
        return
    came = {a["add"]["path"]: a["add"] for a in actions if "add" in a and a["add"]["dataChange"]}
    went = {a["remove"]["path"]: a["remove"] for a in actions if "remove" in a and a["remove"]["dataChange"]}
    for path in came | went:
        # A file that comes and goes at once changes its deletion vector: what either shows and the other does not.
        before = _positions(state, went.get(path))
        after = _positions(state, came.get(path))
        yield from ((*row, "delete") for at, row in before.items() if at not in after)
        yield from ((*row, "insert") for at, row in after.items() if at not in before)


def _positions(state, file: dict | None) -> dict:
    """Rows that a file shows, by their position in it."""
    if file is None:
        return {}
    vector = file.get("deletionVector")
    gone = vectors.rows(state.folder, vector) if vector else ()
    rows = file_rows(state, {k: v for k, v in file.items() if k != "deletionVector"})
    return {at: row for at, row in enumerate(rows) if at not in gone}
