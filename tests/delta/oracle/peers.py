"""The same rows from PyPI deltalake."""

from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from .table import Rows
from .values import from_arrow


def deltalake_parts(folder: Path, fields: list):
    """The rows batch by batch."""
    for batch in QueryBuilder().register("t", DeltaTable(folder)).execute("SELECT * FROM t"):
        batch = pa.record_batch(batch)
        yield list(zip(*(from_arrow(batch.column(field["name"]), field["type"]) for field in fields)))


def deltalake_rows(folder: Path, fields: list, version: int | None = None) -> Rows:
    """Through its DataFusion reader, which knows deletion vectors and column mapping."""
    found = pa.table(
        QueryBuilder().register("t", DeltaTable(folder, version=version)).execute("SELECT * FROM t").read_all()
    )
    assert found.schema.names == [field["name"] for field in fields], found.schema.names
    columns = [from_arrow(found.column(i), field["type"]) for i, field in enumerate(fields)]
    return Rows(fields, list(zip(*columns)))
