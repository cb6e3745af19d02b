"""Delta tables written action by action: for what no writer at hand writes, and for damage."""

import datetime
import json
import math
import shutil
import uuid
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

NOW = 1_750_000_000_000  # milliseconds; nothing depends on it
CUT = 32  # characters that Spark keeps of a string in statistics
ABOVE = "\U0010ffff"  # what it appends to a maximum that it cut


def field(name: str, kind, **metadata) -> dict:
    """A field of a Delta schema."""
    return {"name": name, "type": kind, "nullable": True, "metadata": metadata}


def mapped(name: str, kind, number: int, physical: str | None = None) -> dict:
    """The same under column mapping."""
    return field(
        name,
        kind,
        **{"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical or f"col-{uuid.uuid4()}"},
    )


def struct(*fields: dict) -> dict:
    return {"type": "struct", "fields": list(fields)}


def array(element) -> dict:
    return {"type": "array", "elementType": element, "containsNull": True}


def map_of(key, value) -> dict:
    return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}


class Table:
    """A table whose first commit is its protocol and metadata."""

    def __init__(self, folder: Path, fields: list, partitions=(), configuration=None, features=(), protocol=None):
        self.folder = Path(folder)
        self.log = self.folder / "_delta_log"
        self.log.mkdir(parents=True)
        self.version = -1
        self.id = str(uuid.uuid4())
        self.partitions = list(partitions)
        self.configuration = dict(configuration or {})
        self.protocol = protocol or {"minReaderVersion": 1, "minWriterVersion": 2}
        if features:
            self.protocol = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": list(features),
                "writerFeatures": list(features),
            }
        self.commit({"protocol": self.protocol}, self.metadata(fields))

    def metadata(self, fields: list, **changes) -> dict:
        """The metadata action; a later one with other fields renames, drops or adds columns."""
        self.fields = fields
        metadata = {
            "id": self.id,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps(struct(*fields)),
            "partitionColumns": self.partitions,
            "configuration": self.configuration,
            "createdTime": NOW,
        }
        return {"metaData": metadata | changes}

    def file(self, name: str, data: pa.Table, partition=None, statistics=True, vector=None, **options) -> dict:
        """Writes a data file; its add action. `statistics` may be False, or the statistics themselves."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(data, path, **options)
        return self.add(name, data, partition, statistics, vector)

    def add(self, name: str, data: pa.Table, partition=None, statistics=True, vector=None) -> dict:
        """The add action of a file that is there."""
        add = {
            "path": name,
            "partitionValues": dict(partition or {}),
            "size": (self.folder / name).stat().st_size,
            "modificationTime": NOW,
            "dataChange": True,
        }
        if statistics:
            found = statistics if isinstance(statistics, dict) else statistics_of(data)
            if vector and statistics is True:
                found["tightBounds"] = False
            add["stats"] = json.dumps(found)
        if vector:
            add["deletionVector"] = vector
        return {"add": add}

    def remove(self, add: dict) -> dict:
        add = add["add"]
        remove = {"path": add["path"], "deletionTimestamp": NOW, "dataChange": True, "extendedFileMetadata": True}
        remove |= {"partitionValues": add["partitionValues"], "size": add["size"]}
        if vector := add.get("deletionVector"):
            remove["deletionVector"] = vector
        return {"remove": remove}

    def commit(self, *actions: dict) -> Path:
        """The next commit."""
        self.version += 1
        path = self.log / f"{self.version:020}.json"
        path.write_text("".join(json.dumps(action) + "\n" for action in actions), encoding="utf-8")
        return path


def reopen(folder: Path) -> Table:
    """A table of another writer, to commit to."""
    from oracle.log import snapshot

    state = snapshot(folder)
    table = Table.__new__(Table)
    table.folder, table.log = Path(folder), Path(folder) / "_delta_log"
    table.version, table.id = state.version, state.metadata["id"]
    table.partitions, table.fields = state.partition_columns, state.fields
    table.configuration, table.protocol = state.metadata["configuration"], state.protocol
    return table


def statistics_of(data: pa.Table) -> dict:
    """What a careful writer says of a file: NaN takes part in no bound, long texts are cut."""
    found = {"numRecords": data.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name, column in zip(data.schema.names, data.columns):
        kind = column.type
        if pa.types.is_nested(kind):
            continue
        found["nullCount"][name] = column.null_count
        values = [v for v in column.to_pylist() if v is not None and not (isinstance(v, float) and math.isnan(v))]
        if not values or pa.types.is_boolean(kind) or pa.types.is_binary(kind):
            continue
        low, high = min(values), max(values)
        if isinstance(low, float) and (math.isinf(low) or math.isinf(high)):
            continue
        found["minValues"][name] = spelled(low)
        found["maxValues"][name] = spelled(high)
        if isinstance(high, str):
            found["minValues"][name] = low[:CUT]
            found["maxValues"][name] = high if len(high) <= CUT else high[:CUT] + ABOVE
    return found


def spelled(value):
    """A bound as JSON has it; timestamps are cut to milliseconds, as Spark does."""
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="milliseconds")
        return text + ("Z" if value.tzinfo else "")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value


def physical(data: pa.Table, fields: list) -> pa.Table:
    """Renames columns to physical names and notes field ids, as files under column mapping have them."""
    types = [_physical_type(f["type"], data.schema.field(f["name"]).type) for f in fields]
    columns = [_relabel(data.column(f["name"]).combine_chunks(), t) for f, t in zip(fields, types)]
    return pa.Table.from_arrays(columns, schema=pa.schema([_physical_field(f, t) for f, t in zip(fields, types)]))


def _physical_field(f: dict, kind) -> pa.Field:
    number = str(f["metadata"]["delta.columnMapping.id"])
    return pa.field(f["metadata"]["delta.columnMapping.physicalName"], kind, metadata={"PARQUET:field_id": number})


def _physical_type(kind, arrow):
    if isinstance(kind, str):
        return arrow
    if kind["type"] == "struct":
        return pa.struct(
            [_physical_field(f, _physical_type(f["type"], arrow.field(f["name"]).type)) for f in kind["fields"]]
        )
    if kind["type"] == "array":
        return pa.list_(_physical_type(kind["elementType"], arrow.value_type))
    return pa.map_(arrow.key_type, _physical_type(kind["valueType"], arrow.item_type))


def _relabel(values, kind):
    """The same values under a type with other field names."""
    if pa.types.is_struct(kind):
        children = [_relabel(values.field(i), kind.field(i).type) for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=pc.is_null(values))
    if pa.types.is_map(kind):
        return pa.MapArray.from_arrays(
            values.offsets, values.keys, _relabel(values.items, kind.item_type), type=kind, mask=pc.is_null(values)
        )
    if pa.types.is_list(kind):
        items = _relabel(values.values, kind.value_type)
        return pa.ListArray.from_arrays(values.offsets, items, type=kind, mask=pc.is_null(values))
    return values


# Checkpoints

ADD = pa.struct(
    [
        pa.field("path", pa.string()),
        pa.field("partitionValues", pa.map_(pa.string(), pa.string())),
        pa.field("size", pa.int64()),
        pa.field("modificationTime", pa.int64()),
        pa.field("dataChange", pa.bool_()),
        pa.field("stats", pa.string()),
        pa.field(
            "deletionVector",
            pa.struct(
                [
                    pa.field("storageType", pa.string()),
                    pa.field("pathOrInlineDv", pa.string()),
                    pa.field("offset", pa.int32()),
                    pa.field("sizeInBytes", pa.int32()),
                    pa.field("cardinality", pa.int64()),
                ]
            ),
        ),
    ]
)
PROTOCOL = pa.struct(
    [
        pa.field("minReaderVersion", pa.int32()),
        pa.field("minWriterVersion", pa.int32()),
        pa.field("readerFeatures", pa.list_(pa.string())),
        pa.field("writerFeatures", pa.list_(pa.string())),
    ]
)
METADATA = pa.struct(
    [
        pa.field("id", pa.string()),
        pa.field("name", pa.string()),
        pa.field("description", pa.string()),
        pa.field(
            "format",
            pa.struct([pa.field("provider", pa.string()), pa.field("options", pa.map_(pa.string(), pa.string()))]),
        ),
        pa.field("schemaString", pa.string()),
        pa.field("partitionColumns", pa.list_(pa.string())),
        pa.field("configuration", pa.map_(pa.string(), pa.string())),
        pa.field("createdTime", pa.int64()),
    ]
)
SIDECAR = pa.struct(
    [
        pa.field("path", pa.string()),
        pa.field("sizeInBytes", pa.int64()),
        pa.field("modificationTime", pa.int64()),
    ]
)
CHECKPOINT_METADATA = pa.struct([pa.field("version", pa.int64())])
CLASSIC = pa.schema([pa.field("add", ADD), pa.field("protocol", PROTOCOL), pa.field("metaData", METADATA)])
MANIFEST = pa.schema(
    [
        pa.field("checkpointMetadata", CHECKPOINT_METADATA),
        pa.field("protocol", PROTOCOL),
        pa.field("metaData", METADATA),
        pa.field("sidecar", SIDECAR),
    ]
)


def _rows(actions: list, schema: pa.Schema) -> pa.Table:
    def shaped(name, action):
        maps = ("partitionValues", "configuration")
        action = {k: list(v.items()) if k in maps else v for k, v in action.items()}
        if name == "metaData":
            action["format"] = {"provider": "parquet", "options": []}
        return action

    rows = [{name: shaped(name, action) for name, action in row.items()} for row in actions]
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


def checkpoint(table: Table, parts: int = 1, hint: bool = True) -> list:
    """A classic checkpoint of the newest version, of one or several parts; its files."""
    from oracle.log import snapshot

    state = snapshot(table.folder)
    actions = [{"protocol": state.protocol}, {"metaData": state.metadata}, *({"add": add} for add in state.adds)]
    paths = []
    for part in range(parts):
        suffix = "" if parts == 1 else f".{part + 1:010}.{parts:010}"
        paths.append(table.log / f"{state.version:020}.checkpoint{suffix}.parquet")
        pq.write_table(_rows(actions[part::parts], CLASSIC), paths[-1])
    if hint:
        last = {"version": state.version, "size": len(actions)} | ({"parts": parts} if parts > 1 else {})
        (table.log / "_last_checkpoint").write_text(json.dumps(last))
    return paths


def checkpoint_v2(table: Table, form: str = "parquet", sidecars: int = 2) -> list:
    """A checkpoint with sidecars, its manifest as JSON or Parquet; all files, the manifest first."""
    from oracle.log import snapshot

    state = snapshot(table.folder)
    folder = table.log / "_sidecars"
    folder.mkdir(exist_ok=True)
    actions = [{"checkpointMetadata": {"version": state.version}}]
    actions += [{"protocol": state.protocol}, {"metaData": state.metadata}]
    paths = []
    for part in range(sidecars):
        path = folder / f"{uuid.uuid4()}.parquet"
        adds = [{"add": add} for add in state.adds[part::sidecars]]
        pq.write_table(_rows(adds, pa.schema([pa.field("add", ADD)])), path)
        size = path.stat().st_size
        actions.append({"sidecar": {"path": path.name, "sizeInBytes": size, "modificationTime": NOW}})
        paths.append(path)
    manifest = table.log / f"{state.version:020}.checkpoint.{uuid.uuid4()}.{form}"
    if form == "json":
        manifest.write_text("".join(json.dumps(action) + "\n" for action in actions))
    else:
        pq.write_table(_rows(actions, MANIFEST), manifest)
    return [manifest, *paths]


def forget_commits(table: Table, before: int):
    """What log clean-up does behind a checkpoint."""
    for version in range(before):
        (table.log / f"{version:020}.json").unlink(missing_ok=True)


def replace(folder: Path, other: Path):
    """Puts the table at `other` in the place of the one at `folder`."""
    shutil.rmtree(folder)
    shutil.move(other, folder)
