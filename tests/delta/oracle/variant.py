"""Variant values (Parquet's Variant Binary Encoding, version 1, and Variant Shredding) as JSON-like Python values."""

import base64
import datetime
import struct
import uuid
from decimal import Decimal

EPOCH = datetime.datetime(1970, 1, 1)
SHORT, OBJECT, ARRAY = 1, 2, 3
MISSING = object()


def decode(variant: dict):
    """Numbers stay numbers; what JSON has no type for is text. `typed_value` need not be there."""
    found = _whole(_names(variant["metadata"]), variant)
    return None if found is MISSING else found


def _whole(names: list, group: dict):
    """Puts together what shredding took apart."""
    value, typed = group.get("value"), group.get("typed_value")
    rest = MISSING if value is None else _value(names, memoryview(value))
    if typed is None:
        return rest
    if isinstance(typed, list):
        return [_whole(names, element) for element in typed]
    if isinstance(typed, dict):
        fields = {name: _whole(names, field) for name, field in typed.items()}
        fields = {name: field for name, field in fields.items() if field is not MISSING}
        return fields | ({} if rest is MISSING else rest)
    return typed


def _unsigned(data, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _names(metadata: bytes) -> list:
    assert metadata[0] & 0x0F == 1, "version"
    size = (metadata[0] >> 6) + 1
    count = _unsigned(metadata, 1, size)
    offsets = [_unsigned(metadata, 1 + size * (1 + i), size) for i in range(count + 1)]
    start = 1 + size * (count + 2)
    return [metadata[start + a : start + b].decode() for a, b in zip(offsets, offsets[1:])]


def _value(names: list, data):
    kind, head = data[0] & 3, data[0] >> 2
    if kind == SHORT:
        return bytes(data[1 : 1 + head]).decode()
    if kind == OBJECT:
        offset_size, id_size, large = (head & 3) + 1, (head >> 2 & 3) + 1, head >> 4 & 1
        at = 1 + (4 if large else 1)
        count = _unsigned(data, 1, at - 1)
        ids = [_unsigned(data, at + i * id_size, id_size) for i in range(count)]
        at += count * id_size
        offsets = [_unsigned(data, at + i * offset_size, offset_size) for i in range(count + 1)]
        at += (count + 1) * offset_size
        return {names[i]: _value(names, data[at + offset :]) for i, offset in zip(ids, offsets)}
    if kind == ARRAY:
        offset_size, large = (head & 3) + 1, head >> 2 & 1
        at = 1 + (4 if large else 1)
        count = _unsigned(data, 1, at - 1)
        offsets = [_unsigned(data, at + i * offset_size, offset_size) for i in range(count + 1)]
        at += (count + 1) * offset_size
        return [_value(names, data[at + offset :]) for offset in offsets[:-1]]
    return _primitive(head, data[1:])


def _primitive(head: int, data):
    if head in (0, 1, 2):
        return (None, True, False)[head]
    if head in (3, 4, 5, 6):
        return int.from_bytes(data[: 1 << (head - 3)], "little", signed=True)
    if head == 7:
        return struct.unpack_from("<d", data)[0]
    if head in (8, 9, 10):
        unscaled = int.from_bytes(data[1 : 1 + (4 << (head - 8))], "little", signed=True)
        return Decimal(unscaled).scaleb(-data[0])
    if head == 11:
        return (EPOCH + datetime.timedelta(days=int.from_bytes(data[:4], "little", signed=True))).date().isoformat()
    if head in (12, 13):
        moment = EPOCH + datetime.timedelta(microseconds=int.from_bytes(data[:8], "little", signed=True))
        return moment.isoformat(sep=" ") + ("+00:00" if head == 12 else "")
    if head == 14:
        return struct.unpack_from("<f", data)[0]
    if head in (15, 16):
        content = bytes(data[4 : 4 + _unsigned(data, 0, 4)])
        return base64.b64encode(content).decode() if head == 15 else content.decode()
    if head == 20:
        return str(uuid.UUID(bytes=bytes(data[:16])))
    raise ValueError(f"primitive type {head}")


def encode(value, names=()) -> tuple:
    """Metadata and value of a JSON-like value, for tables made by hand; strings and objects may not be long.

    `names` are of fields that are shredded: the metadata lists them, too.
    """
    names = sorted(_keys(value) | set(names))
    offsets = [sum(len(name.encode()) for name in names[:i]) for i in range(len(names) + 1)]
    metadata = bytes([0x11, len(names), *offsets]) + "".join(names).encode()
    return metadata, _encoded(value, names)


def _keys(value) -> set:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


def _encoded(value, names: list) -> bytes:
    if value is None or isinstance(value, bool):
        return bytes([{None: 0, True: 1, False: 2}[value] << 2])
    if isinstance(value, int):
        return bytes([6 << 2]) + value.to_bytes(8, "little", signed=True)
    if isinstance(value, float):
        return bytes([7 << 2]) + struct.pack("<d", value)
    if isinstance(value, str):
        content = value.encode()
        assert len(content) < 64
        return bytes([len(content) << 2 | SHORT]) + content
    if isinstance(value, dict):
        # Fields in the order of their names.
        items = [(names.index(name), _encoded(value[name], names)) for name in sorted(value)]
        head = bytes([OBJECT, len(items), *(at for at, _ in items)])
    else:
        items = [(None, _encoded(item, names)) for item in value]
        head = bytes([ARRAY, len(items)])
    contents = [content for _, content in items]
    offsets = [sum(map(len, contents[:i])) for i in range(len(contents) + 1)]
    return head + bytes(offsets) + b"".join(contents)
