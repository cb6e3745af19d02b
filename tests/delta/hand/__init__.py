"""Tables that no writer at hand writes, made action by action: one function each, named after the table.

- `deletion`: deletion vectors of every kind
- `columns`: column mapping, type widening, variants
- `logs`: checkpoints, commits, paths
- `contents`: partition values, and what data files may look like
- `bounds`: statistics
"""

from pathlib import Path

from . import bounds, columns, contents, deletion, logs  # noqa: F401 (they register what they have)
from .base import TABLES

__all__ = ["TABLES", "write_all"]


def write_all(folder: Path):
    for name, build in TABLES.items():
        build(folder / name)
