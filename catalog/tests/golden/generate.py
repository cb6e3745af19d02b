"""Writes what other software reads from the shared Delta tables, for the test that compares.

Usage: python generate.py <folder of Delta tables>   (needs PyPI deltalake and pyarrow)

Every value has one spelling (floats by their bits, times as integers), rows are sorted, and a table
with many rows is kept as a digest of its lines.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

MANY = 200
BY_HAND = ["checkpoint-v2-table", "table_with_edge_timestamps"]


def spell(value):
    """The one spelling of a pyarrow scalar."""
    kind = value.type
    if not value.is_valid:
        return "null"
    if pa.types.is_boolean(kind):
        return "true" if value.as_py() else "false"
    if pa.types.is_integer(kind):
        return str(value.as_py())
    if pa.types.is_floating(kind):
        return "f:" + struct.pack(">d", value.as_py()).hex()
    if pa.types.is_decimal(kind):
        return format(value.as_py(), "f")
    if pa.types.is_date32(kind):
        return f"d:{value.value}"
    if pa.types.is_timestamp(kind):
        assert kind.unit == "us", kind
        return f"t:{value.value}"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return json.dumps(value.as_py(), ensure_ascii=False)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return "x:" + value.as_py().hex()
    if pa.types.is_map(kind):
        pairs = (f"{spell(pair['key'])}:{spell(pair['value'])}" for pair in value.values)
        return "<" + ",".join(pairs) + ">"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "[" + ",".join(spell(item) for item in value.values) + "]"
    if pa.types.is_struct(kind):
        return "{" + ",".join(f"{name}={spell(value[name])}" for name in value) + "}"
    raise ValueError(kind)


def replay(folder):
    """Rows of a plain table whose log is all there as JSON, for what deltalake does not read."""
    live, fields = {}, None
    for commit in sorted((folder / "_delta_log").glob("*.json")):
        if not commit.stem.isdigit():
            continue
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "metaData" in action:
                assert not action["metaData"]["partitionColumns"]
                fields = json.loads(action["metaData"]["schemaString"])["fields"]
            if "remove" in action:
                live.pop(action["remove"]["path"])
            if "add" in action:
                assert not action["add"].get("deletionVector")
                live[action["add"]["path"]] = None
    names = [field["name"] for field in fields]
    files = [
        pq.read_table(folder / unquote(path), columns=names, coerce_int96_timestamp_unit="us")
        for path in live
    ]
    return names, pa.concat_tables(files)


def read(folder):
    """Lines of one table: its columns, then its rows or their digest."""
    if folder.name in BY_HAND:
        names, rows = replay(folder)
    else:
        table = DeltaTable(folder)
        names, rows = [field.name for field in table.schema().fields], table.to_pyarrow_table()
    columns = [rows.column(name).combine_chunks() for name in names]
    lines = sorted("|".join(spell(value) for value in row) for row in zip(*columns))
    head = ["|".join(names), f"rows {len(lines)}"]
    if len(lines) > MANY:
        text = "".join(line + "\n" for line in lines)
        return head + ["sha256 " + hashlib.sha256(text.encode()).hexdigest()]
    return head + lines


def main():
    here = Path(__file__).parent
    for log in sorted(Path(sys.argv[1]).glob("**/_delta_log")):
        folder = log.parent
        name = str(folder.relative_to(sys.argv[1])).replace("/", "__")
        try:
            lines = read(folder)
        except BaseException as error:  # panics of the native module too
            print(f"{name}: not read: {type(error).__name__} {str(error)[:150]}")
            continue
        (here / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{name}: {lines[1]}")


main()
