"""One spelling for each value: what Arrow holds and what the wire says become equal exactly where they mean the same.

| Delta type | spelling |
| --- | --- |
| boolean, integers | themselves |
| float, double | shortest text, so that -0.0 differs from 0.0 and NaN equals itself; float as double |
| decimal | text with all digits of its scale |
| date, timestamp | days, microseconds since 1970-01-01 |
| string, binary | str, bytes |
| array, struct | tuples |
| map | tuple of (key, value), in the order of their spelling |
| variant | JSON text with sorted keys; on the wire it is text that holds JSON, inside other values too |

NULL is None everywhere.
"""

import decimal
import json
import re
from decimal import Decimal

import numpy
import pyarrow as pa

from . import variant

INTEGERS = ("byte", "short", "integer", "long")
TIMESTAMPS = ("timestamp", "timestamp_ntz")
DECIMAL = re.compile(r"^decimal\((\d+),\s*(-?\d+)\)$")
MICROS_PER_DAY = 86_400_000_000
WIDE = decimal.Context(prec=100)

WIRE_TYPES = {
    "boolean": "bool",
    "byte": "int2",
    "short": "int2",
    "integer": "int4",
    "long": "int8",
    "float": "float4",
    "double": "float8",
    "string": "text",
    "binary": "bytea",
    "date": "date",
    "timestamp": "timestamptz",
    "timestamp_ntz": "timestamp",
    "variant": "text",
}


def wire_type(kind) -> str:
    """PostgreSQL's name of the type a column of this Delta type has."""
    if isinstance(kind, dict):
        if kind["type"] == "array" and isinstance(kind["elementType"], str):
            return wire_type(kind["elementType"]) + "[]"
        return "json"
    return "numeric" if DECIMAL.match(kind) else WIRE_TYPES[kind]


def scale(kind) -> int | None:
    match = DECIMAL.match(kind) if isinstance(kind, str) else None
    return int(match[2]) if match else None


# From Arrow


def by_name(fields, field: dict) -> int | None:
    """Finds a Delta field among Arrow fields that bear its name."""
    return next((i for i, f in enumerate(fields) if f.name == field["name"]), None)


def from_arrow(array, kind, find=by_name) -> list:
    """Spells an Arrow array of any type that may stand for the Delta type, a narrower one included.

    `find(arrow_fields, delta_field)` gives the position of a nested field, None where it is missing.
    """
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in from_arrow(chunk, kind, find)]
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_null(array.type):
        return [None] * len(array)
    if kind == "variant":
        return _variants(array)
    if isinstance(kind, str):
        return _scalars(array, kind)
    match kind["type"]:
        case "struct":
            return _structs(array, kind["fields"], find)
        case "array":
            return _lists(array, from_arrow(array.values, kind["elementType"], find))
        case "map":
            keys = from_arrow(array.keys, kind["keyType"], find)
            items = from_arrow(array.items, kind["valueType"], find)
            maps = _lists(array, list(zip(keys, items)))
            return [None if m is None else tuple(sorted(m, key=repr)) for m in maps]
    raise ValueError(kind)


def _structs(array, fields: list, find) -> list:
    present = list(array.type)
    columns = []
    for field in fields:
        at = find(present, field)
        columns.append([None] * len(array) if at is None else from_arrow(array.field(at), field["type"], find))
    rows = zip(*columns) if columns else ((),) * len(array)
    return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist())]


def _lists(array, items: list) -> list:
    valid = array.is_valid().to_pylist()
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        starts = [(i + array.offset) * size for i in range(len(array))]
        return [tuple(items[s : s + size]) if v else None for s, v in zip(starts, valid)]
    offsets = array.offsets.to_pylist()
    return [tuple(items[a:b]) if v else None for a, b, v in zip(offsets, offsets[1:], valid)]


def _variants(array) -> list:
    return [None if v is None else json_text(variant.decode(v)) for v in array.to_pylist()]


def _scalars(array, kind: str) -> list:
    kind_scale = scale(kind)
    if kind in INTEGERS:
        assert pa.types.is_integer(array.type), array.type
        return array.to_pylist()
    if kind in ("float", "double"):
        return [None if v is None else repr(float(v)) for v in array.to_pylist()]
    if kind_scale is not None:
        unit = Decimal(1).scaleb(-kind_scale)
        return [None if v is None else format(Decimal(v).quantize(unit, context=WIDE), "f") for v in array.to_pylist()]
    if kind == "date":
        return array.cast(pa.date32()).cast(pa.int32()).to_pylist()
    if kind in TIMESTAMPS:
        return _micros(array)
    if kind == "boolean":
        return array.to_pylist()
    if kind == "string":
        return [v.decode() if isinstance(v, bytes) else v for v in array.to_pylist()]
    if kind == "binary":
        return array.to_pylist()
    raise ValueError(kind)


def _micros(array) -> list:
    if pa.types.is_date(array.type):
        days = array.cast(pa.date32()).cast(pa.int32()).to_pylist()
        return [None if d is None else d * MICROS_PER_DAY for d in days]
    unit = array.type.unit
    counts = array.cast(pa.int64()).to_pylist()
    if unit == "ns":
        return [None if c is None else c // 1000 for c in counts]
    factor = {"us": 1, "ms": 1000, "s": 1_000_000}[unit]
    return [None if c is None else c * factor for c in counts]


# From the text of a log's partition values


def from_partition_text(text: str | None, kind: str):
    """A partition value as the protocol's "Partition Value Serialization" writes it."""
    if text is None or text == "":
        return None
    kind_scale = scale(kind)
    if kind in INTEGERS:
        return int(text)
    if kind in ("float", "double"):
        return _float(text, kind)
    if kind_scale is not None:
        return format(Decimal(text).quantize(Decimal(1).scaleb(-kind_scale), context=WIDE), "f")
    if kind == "boolean":
        return {"true": True, "false": False}[text.lower()]
    if kind == "date":
        return _date(text)
    if kind in TIMESTAMPS:
        return _timestamp(text.removesuffix("Z"))
    return text.encode() if kind == "binary" else text


# From the wire


class _Memo(dict):
    """Spellings of texts that were met before; columns repeat themselves."""

    def __init__(self, spell):
        super().__init__({None: None})
        self.spell = spell

    def __missing__(self, text):
        self[text] = spelled = self.spell(text)
        return spelled


def from_wire(texts, kind) -> list:
    """Spells a column of texts as PostgreSQL's protocol carries them."""
    if kind == "string":
        return list(texts)
    if isinstance(kind, str):
        spell = lambda text: _from_text(text, kind)  # noqa: E731
    elif kind["type"] == "array" and isinstance(kind["elementType"], str):
        spell = lambda text: tuple(  # noqa: E731
            None if item is None else _from_text(item, kind["elementType"]) for item in array_items(text)
        )
    else:
        spell = _parsed(lambda value: _from_json(value, kind))
    memo = _Memo(spell)
    return [memo[text] for text in texts]


def _from_text(text: str, kind: str):
    kind_scale = scale(kind)
    if kind in INTEGERS:
        return int(text)
    if kind in ("float", "double"):
        return _float(text, kind)
    if kind_scale is not None:
        assert len(text.partition(".")[2]) == max(kind_scale, 0), f"{text} for {kind}"
        return text
    if kind == "boolean":
        return {"t": True, "f": False}[text]
    if kind == "date":
        return _date(text)
    if kind == "timestamp":
        assert text.removesuffix(" BC").endswith("+00"), text
        return _timestamp(text.replace("+00", ""))
    if kind == "timestamp_ntz":
        return _timestamp(text)
    if kind == "binary":
        assert text.startswith("\\x"), text
        return bytes.fromhex(text[2:])
    if kind == "variant":
        return json_text(json.loads(text, **JSON))
    return text


def _float(text: str, kind: str) -> str:
    return repr(float(numpy.float32(text)) if kind == "float" else float(text))


DATE = re.compile(r"^(\d{4,})-(\d\d)-(\d\d)$")
TIME = re.compile(r"^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$")


def _date(text: str) -> int:
    text, before_christ = (text[:-3], True) if text.endswith(" BC") else (text, False)
    year, month, day = map(int, DATE.match(text).groups())
    return days(1 - year if before_christ else year, month, day)


def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar; Python's own ends at year 1 and 9999."""
    shifted = year - (month <= 2)
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _timestamp(text: str) -> int:
    text, suffix = (text[:-3], " BC") if text.endswith(" BC") else (text, "")
    date, _, time = text.replace("T", " ").partition(" ")
    hours, minutes, seconds, fraction = TIME.match(time).groups()
    micros = int((fraction or "").ljust(6, "0"))
    seconds = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return _date(date + suffix) * MICROS_PER_DAY + seconds * 1_000_000 + micros


def array_items(text: str) -> list:
    """Items of a one-dimensional PostgreSQL array in text form."""
    assert text.startswith("{") and text.endswith("}"), text
    items, at = [], 1
    while at < len(text) - 1:
        if text[at] == '"':
            item, at = "", at + 1
            while text[at] != '"':
                at += text[at] == "\\"
                item += text[at]
                at += 1
            at += 1
        else:
            end = at
            while text[end] not in ",}":
                end += 1
            item, at = text[at:end], end
            item = None if item == "NULL" else item
        items.append(item)
        assert text[at] in ",}", text
        at += 1
    return items


class _Number(str):
    """A JSON number as it was written."""


class _Pairs(list):
    """A JSON object: its members in their order."""


JSON = {"parse_int": _Number, "parse_float": _Number, "object_pairs_hook": _Pairs}


def _parsed(spell):
    return lambda text: spell(json.loads(text, **JSON))


def _from_json(value, kind):
    if value is None:
        return None
    if isinstance(kind, str):
        if kind == "boolean":
            assert isinstance(value, bool), value
            return value
        if isinstance(value, _Number):
            assert kind in INTEGERS or kind in ("float", "double") or scale(kind) is not None, (value, kind)
        if kind == "timestamp":
            assert value.removesuffix(" BC").endswith("+00:00"), value
            return _timestamp(value.replace("+00:00", ""))
        return _from_text(value, kind)
    match kind["type"]:
        case "array":
            assert isinstance(value, list) and not isinstance(value, _Pairs), value
            return tuple(_from_json(item, kind["elementType"]) for item in value)
        case "struct":
            assert isinstance(value, _Pairs), value
            assert [name for name, _ in value] == [field["name"] for field in kind["fields"]], value
            return tuple(_from_json(v, f["type"]) for (_, v), f in zip(value, kind["fields"]))
        case "map":
            assert isinstance(value, _Pairs), value
            pairs = ((_from_text(k, kind["keyType"]), _from_json(v, kind["valueType"])) for k, v in value)
            return tuple(sorted(pairs, key=repr))
    raise ValueError(kind)


def json_text(value) -> str:
    """Canonical text of a JSON-like value: sorted keys, numbers by what they are worth."""
    if isinstance(value, _Pairs):
        value = dict(value)
    if isinstance(value, dict):
        members = (f"{json.dumps(k)}:{json_text(v)}" for k, v in sorted(value.items()))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(json_text(item) for item in value) + "]"
    if isinstance(value, (_Number, int, float, Decimal)) and not isinstance(value, bool):
        return format(Decimal(str(value)).normalize(WIDE), "f")
    return json.dumps(value, ensure_ascii=False)
