"""Data files that are missing, broken, or not what the log says."""

import struct

import pyarrow as pa
from handmade import Table, field

from .cases import DATA, ROWS, SECRET, SIMPLE, case, good, simple


def broken_file(folder, change):
    good(folder)
    path = folder / "b.parquet"
    before = path.read_bytes()
    after = change(before)
    if after is None:
        path.unlink()
    else:
        path.write_bytes(after)


@case(*DATA)
def file_missing(folder):
    broken_file(folder, lambda _: None)


@case(*DATA)
def file_truncated(folder):
    broken_file(folder, lambda content: content[: len(content) // 2])


@case(*DATA)
def file_empty(folder):
    broken_file(folder, lambda _: b"")


@case(*DATA)
def file_grown(folder):
    broken_file(folder, lambda content: content + b"PAR1")


@case(*DATA)
def file_of_noise(folder):
    broken_file(folder, lambda content: b"\xa5" * len(content))


@case(*DATA)
def file_footer_overwritten(folder):
    broken_file(folder, lambda content: content[:-100] + b"\x00" * 92 + content[-8:])


@case(*DATA)
def file_footer_length_wrong(folder):
    broken_file(folder, lambda content: content[:-8] + struct.pack("<I", 2**31) + content[-4:])


@case(*DATA, count=2 * ROWS)
def file_pages_overwritten(folder):
    broken_file(folder, lambda content: content[:40] + b"\xa5" * 3000 + content[3040:])


@case(*DATA, count=ROWS)
def file_page_against_its_checksum(folder):
    """One bit of a value differs; the page's checksum tells."""
    made = Table(folder, SIMPLE)
    options = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    add = made.file("a.parquet", simple(), **options)
    made.commit(add)
    path = folder / "a.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<q", 500))] ^= 1
    path.write_bytes(content)


@case(*DATA, count=2)
def file_of_other_types(folder):
    made = Table(folder, SIMPLE)
    data = pa.table({"id": [SECRET, "x"], "v": [1, 2]})
    made.commit(made.file("a.parquet", data, statistics={"numRecords": 2}))


@case(*DATA, count=2)
def file_of_wider_types(folder):
    """What does not fit is not cut."""
    made = Table(folder, [field("id", "integer"), field("v", "string")])
    made.commit(made.file("a.parquet", simple(2**31, 2**31 + 2), statistics={"numRecords": 2}))
