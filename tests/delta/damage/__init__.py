"""Tables that are broken, each in one way, and what may be answered about them.

- `cases`: what a case is
- `logs`: commits, schemas, checkpoints, partition values
- `files`: data files
- `columns`: column mapping, types, variants
- `deletion`: deletion vectors
"""

from pathlib import Path

from . import columns, deletion, files, logs  # noqa: F401 (they register what they have)
from .cases import CASES, GOOD, SECRET, good

__all__ = ["CASES", "GOOD", "SECRET", "build_all"]


def build_all(folder: Path):
    good(folder / "good")
    for name, broken in CASES.items():
        broken.build(folder / name)
