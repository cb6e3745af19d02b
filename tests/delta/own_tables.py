"""Delta tables written by Lakeward itself: `benches/src/written` says what is done to each and what it holds."""

import os
import subprocess
from pathlib import Path

from server import REPOSITORY

# scripts/client-tests.sh builds it.
PROGRAM = Path(os.environ.get("LAKEWARD_TEST_WRITTEN") or REPOSITORY / "target" / "debug" / "written").absolute()

OPERATIONS = [
    "appended",
    "change_feed",
    "checkpointed",
    "cleaned",
    "deleted_and_updated",
    "emptied",
    "empty",
    "merged",
    "optimised",
    "overwritten",
    "vacuumed",
]
PARTITION_TYPES = ["b", "i8", "i16", "i32", "i64", "f32", "f64", "t", "d", "at", "ntz", "n9", "n18", "n38", "n38s"]
VALUES = ["decimals", "nested", "not_a_number", "partition_not_a_number", "partition_texts", "types"]
TABLES = sorted([*OPERATIONS, *VALUES, *(f"partition_{kind}" for kind in PARTITION_TYPES)])


def write_all(folder: Path):
    done = subprocess.run([PROGRAM, folder], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == TABLES
