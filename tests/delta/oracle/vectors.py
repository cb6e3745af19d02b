"""Deletion vectors: which rows of a file are gone; and writing them, for tables made by hand."""

import struct
import uuid
import zlib
from pathlib import Path
from urllib.parse import unquote, urlparse

MAGIC = 1681511377
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
UUID_CHARACTERS = 20
NO_RUNS, WITH_RUNS = 12346, 12347
ARRAY_LIMIT = 4096
OFFSETS_FROM = 4


def decode85(text: str) -> bytes:
    """ZeroMQ's Base85: five characters for four bytes."""
    out = bytearray()
    for start in range(0, len(text), 5):
        number = 0
        for character in text[start : start + 5]:
            number = number * 85 + Z85.index(character)
        out += number.to_bytes(4, "big")
    return bytes(out)


def encode85(data: bytes) -> str:
    """The same backwards; zero bytes fill the last four."""
    out = []
    for start in range(0, len(data), 4):
        number = int.from_bytes(data[start : start + 4].ljust(4, b"\0"), "big")
        out.append("".join(Z85[number // 85**place % 85] for place in (4, 3, 2, 1, 0)))
    return "".join(out)


def path_of(folder: Path, vector: dict) -> Path | None:
    """The file of a vector; None where it is inline."""
    text = vector["pathOrInlineDv"]
    match vector["storageType"]:
        case "u":
            prefix, name = text[:-UUID_CHARACTERS], uuid.UUID(bytes=decode85(text[-UUID_CHARACTERS:]))
            return Path(folder) / prefix / f"deletion_vector_{name}.bin"
        case "p":
            return Path(unquote(urlparse(text).path))
        case "i":
            return None
    raise ValueError(f"storage type {vector['storageType']}")


def rows(folder: Path, vector: dict) -> set:
    """Positions of deleted rows, from 0; size, checksum and cardinality are checked."""
    size = vector["sizeInBytes"]
    path = path_of(folder, vector)
    if path is None:
        data = decode85(vector["pathOrInlineDv"])[:size]
    else:
        content = path.read_bytes()
        assert content[0] == 1, "version of the file's format"
        offset = vector.get("offset") or 0
        (stored,) = struct.unpack_from(">i", content, offset)
        assert stored == size, "size of the vector"
        data = content[offset + 4 : offset + 4 + size]
        (checksum,) = struct.unpack_from(">I", content, offset + 4 + size)
        assert zlib.crc32(data) == checksum, "checksum"
    found = parse(data)
    assert len(found) == vector["cardinality"], "cardinality"
    return found


def parse(data: bytes) -> set:
    """A 64-bit Roaring bitmap in the portable format."""
    magic, count = struct.unpack_from("<iq", data)
    assert magic == MAGIC, "magic number"
    at, found = 12, set()
    for _ in range(count):
        (high,) = struct.unpack_from("<I", data, at)
        low, at = _bitmap(data, at + 4)
        found.update((high << 32) | value for value in low)
    assert at == len(data), "length"
    return found


def _bitmap(data: bytes, at: int) -> tuple:
    (cookie,) = struct.unpack_from("<I", data, at)
    runs = None
    if cookie & 0xFFFF == WITH_RUNS:
        count = (cookie >> 16) + 1
        length = (count + 7) // 8
        runs = data[at + 4 : at + 4 + length]
        at += 4 + length
    else:
        assert cookie == NO_RUNS, "cookie"
        (count,) = struct.unpack_from("<I", data, at + 4)
        at += 8
    containers = [struct.unpack_from("<HH", data, at + 4 * i) for i in range(count)]
    at += 4 * count
    if runs is None or count >= OFFSETS_FROM:
        at += 4 * count
    values = []
    for i, (key, less_one) in enumerate(containers):
        high, size = key << 16, less_one + 1
        if runs is not None and runs[i // 8] >> (i % 8) & 1:
            (number,) = struct.unpack_from("<H", data, at)
            for start, length in struct.iter_unpack("<HH", data[at + 2 : at + 2 + 4 * number]):
                values += range(high + start, high + start + length + 1)
            at += 2 + 4 * number
        elif size > ARRAY_LIMIT:
            bits = int.from_bytes(data[at : at + 8192], "little")
            values += (high + bit for bit in range(1 << 16) if bits >> bit & 1)
            at += 8192
        else:
            values += (high + value for value in struct.unpack_from(f"<{size}H", data, at))
            at += 2 * size
    return values, at


def build(positions, runs: bool = False) -> bytes:
    """The bytes of a vector of these positions, all below 2**32; with run containers if asked."""
    by_key = {}
    for position in sorted(positions):
        by_key.setdefault(position >> 16, []).append(position & 0xFFFF)
    keys = b"".join(struct.pack("<HH", key, len(values) - 1) for key, values in by_key.items())
    if runs:
        containers = [_runs(values) for values in by_key.values()]
        flags = ((1 << len(by_key)) - 1).to_bytes((len(by_key) + 7) // 8, "little")
        head = struct.pack("<I", WITH_RUNS | (len(by_key) - 1) << 16) + flags
        with_offsets = len(by_key) >= OFFSETS_FROM
    else:
        containers = [_container(values) for values in by_key.values()]
        head = struct.pack("<II", NO_RUNS, len(by_key))
        with_offsets = True
    offsets = b""
    if with_offsets:
        at = len(head) + 8 * len(by_key)
        for container in containers:
            offsets += struct.pack("<I", at)
            at += len(container)
    return struct.pack("<iqI", MAGIC, 1, 0) + head + keys + offsets + b"".join(containers)


def _container(values: list) -> bytes:
    if len(values) <= ARRAY_LIMIT:
        return struct.pack(f"<{len(values)}H", *values)
    return sum(1 << value for value in values).to_bytes(8192, "little")


def _runs(values: list) -> bytes:
    found = []
    for value in values:
        if found and value == found[-1][0] + found[-1][1] + 1:
            found[-1][1] += 1
        else:
            found.append([value, 0])
    return struct.pack("<H", len(found)) + b"".join(struct.pack("<HH", *run) for run in found)


def inline(positions, **how) -> dict:
    """The descriptor of a vector that is kept in the log."""
    data = build(positions, **how)
    return {
        "storageType": "i",
        "pathOrInlineDv": encode85(data),
        "sizeInBytes": len(data),
        "cardinality": len(set(positions)),
    }


def write(folder: Path, vectors: list, absolute: bool = False, prefix: str = "", **how) -> list:
    """One file with several vectors; their descriptors."""
    name = uuid.uuid4()
    path = Path(folder) / prefix / f"deletion_vector_{name}.bin"
    path.parent.mkdir(exist_ok=True)
    content, descriptors = bytearray(b"\x01"), []
    for positions in vectors:
        data = build(positions, **how)
        descriptors.append(
            {
                "storageType": "p" if absolute else "u",
                "pathOrInlineDv": path.as_uri() if absolute else prefix + encode85(name.bytes),
                "offset": len(content),
                "sizeInBytes": len(data),
                "cardinality": len(set(positions)),
            }
        )
        content += struct.pack(">i", len(data)) + data + struct.pack(">I", zlib.crc32(data))
    path.write_bytes(content)
    return descriptors
