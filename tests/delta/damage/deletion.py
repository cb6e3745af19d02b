"""Deletion vectors whose bytes or descriptors are wrong: no deleted row may come back."""

import struct
import zlib
from pathlib import Path

from handmade import Table
from oracle import vectors

from .cases import ANY, CASES, FIRST, ROWS, SECRET, SIMPLE, Case, case, simple

VECTORS = {"features": ["deletionVectors"], "configuration": {"delta.enableDeletionVectors": "true"}}
GONE = [*range(100, 200), 500]


def vectored(folder, vector: dict, **changes):
    made = Table(folder, SIMPLE, **VECTORS)
    made.commit(made.file("a.parquet", simple(), vector=vector | changes))


def on_disk(folder, change=None, **changes):
    """A vector in a file whose bytes `change` edits."""
    (vector,) = vectors.write(_made(folder), [GONE])
    path = vectors.path_of(folder, vector)
    if change:
        content = bytearray(path.read_bytes())
        changed = change(content)
        path.write_bytes(content if changed is None else changed)
    vectored(folder, vector, **changes)


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def flip(position):
    def change(content):
        content[position] ^= 0x10

    return change


# Size, magic number, number of bitmaps, key, cookie, container, values, checksum.
for position in (1, 4, 5, 8, 9, 13, 17, 21, 25, 29, 33, 37, 60, 120, -5, -4, -1):
    name = f"vector_bit_{position}".replace("-", "last_")
    CASES[name] = Case(lambda folder, position=position: on_disk(folder, flip(position)), ANY)


@case(*ANY, ids=[i for i in FIRST if i not in GONE])
def vector_file_of_unknown_version(folder):
    """The version is said once for the whole file; the vector itself is whole."""
    on_disk(folder, flip(0))


@case(*ANY)
def vector_rows_swapped(folder):
    """Another row is deleted, and everything but the checksum agrees."""

    def change(content):
        at = content.index(struct.pack("<H", 500))
        content[at : at + 2] = struct.pack("<H", 600)

    on_disk(folder, change)


@case(*ANY)
def vector_file_missing(folder):
    on_disk(folder)
    next(folder.glob("*.bin")).unlink()


@case(*ANY)
def vector_file_empty(folder):
    on_disk(folder, lambda _: b"")


@case(*ANY)
def vector_file_truncated(folder):
    on_disk(folder, lambda content: content[:-20])


@case(*ANY)
def vector_file_of_noise(folder):
    on_disk(folder, lambda content: b"\xa5" * len(content))


@case(*ANY)
def vector_offset_wrong(folder):
    on_disk(folder, offset=7)


@case(*ANY)
def vector_offset_beyond(folder):
    on_disk(folder, offset=2**31 - 1)


@case(*ANY)
def vector_offset_negative(folder):
    on_disk(folder, offset=-1)


@case(*ANY)
def vector_size_wrong(folder):
    on_disk(folder, sizeInBytes=20)


@case(*ANY)
def vector_size_enormous(folder):
    on_disk(folder, sizeInBytes=2**31 - 1)


@case(*ANY)
def vector_size_negative(folder):
    on_disk(folder, sizeInBytes=-4)


@case(*ANY)
def vector_cardinality_wrong(folder):
    on_disk(folder, cardinality=len(GONE) + 1)


@case(*ANY)
def vector_cardinality_negative(folder):
    on_disk(folder, cardinality=-1)


@case(*ANY)
def vector_storage_unknown(folder):
    on_disk(folder, storageType="x")


@case(*ANY)
def vector_name_too_short(folder):
    on_disk(folder, pathOrInlineDv="abc")


@case(*ANY)
def vector_name_is_no_base85(folder):
    on_disk(folder, pathOrInlineDv="é" * 20)


@case(*ANY)
def vector_path_elsewhere(folder):
    on_disk(folder, storageType="p", pathOrInlineDv=f"file:///nowhere/{SECRET}.bin")


@case(*ANY)
def vector_path_to_a_system_file(folder):
    on_disk(folder, storageType="p", pathOrInlineDv="file:///etc/passwd", offset=1)


@case(*ANY)
def vector_inline_truncated(folder):
    vector = vectors.inline(GONE)
    vectored(folder, vector, pathOrInlineDv=vector["pathOrInlineDv"][:30])


@case(*ANY)
def vector_inline_of_noise(folder):
    vector = vectors.inline(GONE)
    vectored(folder, vector, pathOrInlineDv="0" * len(vector["pathOrInlineDv"]))


@case(*ANY)
def vector_inline_cardinality_wrong(folder):
    vectored(folder, vectors.inline(GONE), cardinality=3)


def rewritten(folder, data: bytes, cardinality: int):
    """A vector of these bytes, with a checksum that is theirs."""
    (vector,) = vectors.write(_made(folder), [[0]])
    content = b"\x01" + struct.pack(">i", len(data)) + data + struct.pack(">I", zlib.crc32(data))
    vectors.path_of(folder, vector).write_bytes(content)
    vectored(folder, vector, sizeInBytes=len(data), cardinality=cardinality)


@case(*ANY)
def vector_of_too_many_bitmaps(folder):
    """A count that would need all memory."""
    rewritten(folder, struct.pack("<iqI", vectors.MAGIC, 2**40, 0), 1)


@case(*ANY)
def vector_of_too_many_containers(folder):
    data = struct.pack("<iqI", vectors.MAGIC, 1, 0) + struct.pack("<II", vectors.NO_RUNS, 2**31)
    rewritten(folder, data, 1)


@case(*ANY)
def vector_of_values_out_of_order(folder):
    data = vectors.build([1, 2, 3])
    rewritten(folder, data[:-6] + struct.pack("<HHH", 3, 3, 1), 3)


@case(*ANY, ids=[i for i in FIRST if i != 5])
def vector_beyond_the_file(folder):
    """Names a row that the file does not have; the others are clear."""
    (vector,) = vectors.write(_made(folder), [[5, ROWS + 1]])
    vectored(folder, vector)


@case(*ANY, ids=[i for i in FIRST if i not in GONE])
def vector_without_its_feature(folder):
    """A file has a vector although the protocol knows of none: deleted rows do not come back."""
    (vector,) = vectors.write(_made(folder), [GONE])
    made = Table(folder, SIMPLE)
    made.commit(made.file("a.parquet", simple(), vector=vector))
