"""Variant values (Parquet's Variant Binary Encoding, version 1) as JSON-like Python values."""

import base64
import datetime
import struct
import uuid
from decimal import Decimal

EPOCH = datetime.datetime(1970, 1, 1)
SHORT, OBJECT, ARRAY = 1, 2, 3


def decode(metadata: bytes, value: bytes):
    """Numbers stay numbers; what JSON has no type for is text. Shredded values are not known here."""
    return _value(_names(metadata), memoryview(value))


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
