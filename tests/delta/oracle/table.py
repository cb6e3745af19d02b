"""The rows of a version, from its files alone."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import pyarrow.parquet as pq

from . import vectors
from .log import Snapshot, snapshot
from .values import by_name, from_arrow, from_partition_text

PHYSICAL_NAME = "delta.columnMapping.physicalName"
FIELD_ID = "delta.columnMapping.id"


@dataclass(frozen=True)
class Rows:
    """Fields of the Delta schema, and rows with one spelled value for each."""

    fields: list
    rows: list

    @property
    def names(self) -> list:
        return [field["name"] for field in self.fields]


def read(folder: Path, version: int | None = None) -> Rows:
    """Reads a version, the newest by default."""
    state = snapshot(Path(folder), version)
    return Rows(state.fields, [row for add in state.adds for row in file_rows(state, add)])


def digest(parts) -> tuple:
    """Number of rows, and a sum over them that does not depend on their order: for tables too large to keep twice.

    `parts` gives lists of spelled rows; digests mean something within one process only.
    """
    count = total = 0
    for rows in parts:
        count += len(rows)
        total += sum(map(hash, rows))
    return count, total


def file_rows(state: Snapshot, add: dict, more=()) -> list:
    """Rows of one file without those that its deletion vector names; `more` fields are in the file alone."""
    parquet = pq.ParquetFile(data_path(state.folder, add["path"]), coerce_int96_timestamp_unit="us")
    find = finder(state.mapping)
    present = list(parquet.schema_arrow)
    data = parquet.read()
    columns = []
    for field in [*state.fields, *more]:
        if field["name"] in state.partition_columns:
            text = add["partitionValues"].get(physical_name(state.mapping, field))
            columns.append([from_partition_text(text, field["type"])] * data.num_rows)
        elif (at := find(present, field)) is None:
            # Added to the table after this file was written.
            columns.append([None] * data.num_rows)
        else:
            columns.append(from_arrow(data.column(at), field["type"], find))
    rows = list(zip(*columns))
    if vector := add.get("deletionVector"):
        gone = vectors.rows(state.folder, vector)
        rows = [row for position, row in enumerate(rows) if position not in gone]
    return rows


def physical_name(mapping: str, field: dict) -> str:
    return field["name"] if mapping == "none" else field["metadata"][PHYSICAL_NAME]


def finder(mapping: str):
    """How files name the fields of the table."""
    if mapping == "none":
        return by_name
    if mapping == "name":
        return lambda fields, field: next(
            (i for i, f in enumerate(fields) if f.name == field["metadata"][PHYSICAL_NAME]), None
        )

    def by_id(fields, field):
        wanted = str(field["metadata"][FIELD_ID]).encode()
        return next((i for i, f in enumerate(fields) if (f.metadata or {}).get(b"PARQUET:field_id") == wanted), None)

    return by_id


def data_path(folder: Path, path: str) -> Path:
    if "://" in path or path.startswith("file:"):
        return Path(unquote(urlparse(path).path))
    return folder / unquote(path)
