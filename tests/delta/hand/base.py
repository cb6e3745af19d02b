"""What tables made by hand share."""

import pyarrow as pa
from handmade import field

SIMPLE = [field("id", "long"), field("v", "string")]
VECTORS = {"features": ["deletionVectors"], "configuration": {"delta.enableDeletionVectors": "true"}}
TABLES = {}


def table(build):
    """Registers a function that makes the table of its name in the folder it is given."""
    TABLES[build.__name__] = build
    return build


def simple(start: int, end: int) -> pa.Table:
    return pa.table({"id": pa.array(range(start, end), pa.int64()), "v": [f"v{i:05}" for i in range(start, end)]})
