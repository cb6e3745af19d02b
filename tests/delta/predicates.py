"""Predicates over a column, as SQL and as what they mean: a full read, filtered here, is what they must give."""

import datetime
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from oracle.values import DECIMAL, INTEGERS, MICROS_PER_DAY, TIMESTAMPS, scale

BOUNDS = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
}
SQL_TYPES = {
    "byte": "SMALLINT",
    "short": "SMALLINT",
    "integer": "INTEGER",
    "long": "BIGINT",
    "float": "REAL",
    "double": "DOUBLE PRECISION",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
}
FIRST_DAY = datetime.date(1, 1, 1).toordinal() - datetime.date(1970, 1, 1).toordinal()
LAST_DAY = datetime.date(9999, 12, 31).toordinal() - datetime.date(1970, 1, 1).toordinal()
# Where literals of timestamps end: they are counted in nanoseconds.
NANOSECONDS = (-(2**63) // 1000 + 1, 2**63 // 1000 - 1)
ORDERED = (*INTEGERS, "float", "double", "date", *TIMESTAMPS, "string")


@dataclass(frozen=True)
class Predicate:
    sql: str
    # Over the spelled value of the column; False where SQL says NULL.
    holds: Callable


def key(kind: str):
    """How spelled values are ordered: NaN above all, decimals by worth, texts by code points."""
    if kind in ("float", "double"):
        return lambda v: (math.isnan(float(v)), 0.0 if math.isnan(float(v)) else float(v))
    return Decimal if scale(kind) is not None else lambda v: v


def is_ordered(kind) -> bool:
    return isinstance(kind, str) and (kind in ORDERED or scale(kind) is not None)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value, kind: str, alone: bool = True) -> str:
    """A spelled value in SQL; `alone` where no other constant stands beside it, whose type it would have to share."""
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "string":
        return quoted(value)
    if kind == "binary":
        return f"X'{value.hex()}'"
    if kind in INTEGERS and abs(value) < 2**31:
        return str(value)
    if kind == "date":
        text = day_text(value)
    elif kind in TIMESTAMPS and not (alone and NANOSECONDS[0] < value < NANOSECONDS[1]):
        return f"to_timestamp_micros({value})"
    elif kind in TIMESTAMPS:
        days, micros = divmod(value, MICROS_PER_DAY)
        time = datetime.timedelta(microseconds=micros)
        text = f"{day_text(days)} {(datetime.datetime.min + time).time().isoformat('microseconds')}"
        text += "+00" if kind == "timestamp" else ""
    else:
        text = str(value)
    target = SQL_TYPES.get(kind) or f"NUMERIC{kind.removeprefix('decimal')}"
    return f"CAST({quoted(text)} AS {target})"


def day_text(days: int) -> str:
    return datetime.date.fromordinal(days + datetime.date(1970, 1, 1).toordinal()).isoformat()


def neighbours(value, kind: str) -> list:
    """Values close by that the column may not have."""
    if kind in INTEGERS:
        low, high = BOUNDS[kind]
        return [v for v in (value - 1, value + 1) if low <= v <= high]
    if kind == "date":
        return [v for v in (value - 1, value + 1) if FIRST_DAY <= v <= LAST_DAY]
    if kind in TIMESTAMPS:
        low, high = FIRST_DAY * MICROS_PER_DAY, (LAST_DAY + 1) * MICROS_PER_DAY - 1
        return [v for v in (value - 1, value + 1, value + 1000) if low <= v <= high]
    if kind == "string":
        return [value + "\u0001", value[:-1], value[:33] + "\U0010ffff"]
    if kind in ("float", "double"):
        if not math.isfinite(float(value)):
            return []
        return [repr(float(value) + 0.5), repr(float(value) * 2)]
    kind_scale = scale(kind)
    if kind_scale is not None:
        step = Decimal(1).scaleb(-kind_scale)
        near = (Decimal(value) - step, Decimal(value) + step) if len(value) < 25 else ()
        return [format(v, "f") for v in near if len(v.as_tuple().digits) <= int(DECIMAL.match(kind)[1])]
    return []


def usable(value, kind: str) -> bool:
    """Left out: what SQL cannot spell, or not shortly."""
    if kind == "string":
        return "\x00" not in value and len(value) < 1000
    if kind == "date":
        return FIRST_DAY <= value <= LAST_DAY
    if kind in TIMESTAMPS:
        return FIRST_DAY <= value // MICROS_PER_DAY <= LAST_DAY
    return True


def predicates(name: str, kind: str, values: list, seed: str, amount: int = 3) -> list:
    """Predicates over column `name`, whose spelled values are given; the same ones for the same seed."""
    column = identifier(name)
    found = [
        Predicate(f"{column} IS NULL", lambda v: v is None),
        Predicate(f"{column} IS NOT NULL", lambda v: v is not None),
    ]
    if not isinstance(kind, str) or kind == "variant":
        return found
    if kind == "boolean":
        return found + [
            Predicate(column, lambda v: v is True),
            Predicate(f"NOT {column}", lambda v: v is False),
            Predicate(f"{column} = true", lambda v: v is True),
            Predicate(f"{column} IS NOT TRUE", lambda v: v is not True),
        ]
    order = key(kind)
    chance = random.Random(seed + name)
    present = sorted({v for v in values if v is not None and usable(v, kind)}, key=order)
    if not present:
        return found
    chosen = [present[0], present[-1], *chance.sample(present, min(amount, len(present)))]
    absent = [n for v in chosen[:3] for n in neighbours(v, kind) if usable(n, kind)]
    constants = list(dict.fromkeys(chosen + chance.sample(absent, min(amount, len(absent)))))
    for constant in constants:
        found += comparisons(column, kind, order, constant)
    low, high = sorted(chance.sample(constants, 2) if len(constants) > 1 else constants * 2, key=order)
    spelled = [literal(c, kind, alone=False) for c in constants]
    keys = {order(c) for c in constants}
    a, b = literal(low, kind, alone=False), literal(high, kind, alone=False)
    found += [
        Predicate(f"{column} BETWEEN {a} AND {b}", lambda v: v is not None and order(low) <= order(v) <= order(high)),
        Predicate(
            f"{column} NOT BETWEEN {a} AND {b}",
            lambda v: v is not None and not order(low) <= order(v) <= order(high),
        ),
        Predicate(f"{column} IN ({', '.join(spelled)})", lambda v: v is not None and order(v) in keys),
        Predicate(f"{column} NOT IN ({', '.join(spelled)})", lambda v: v is not None and order(v) not in keys),
        Predicate(f"{column} < {a} OR {column} IS NULL", lambda v: v is None or order(v) < order(low)),
        Predicate(f"NOT ({column} >= {b})", lambda v: v is not None and order(v) < order(high)),
        Predicate(f"{column} IS DISTINCT FROM {a}", lambda v: v is None or order(v) != order(low)),
    ]
    if kind == "string":
        found += likes(column, chosen)
    return found


def comparisons(column: str, kind: str, order, constant) -> list:
    at, spelled = order(constant), literal(constant, kind)
    return [
        Predicate(f"{column} = {spelled}", lambda v: v is not None and order(v) == at),
        Predicate(f"{column} <> {spelled}", lambda v: v is not None and order(v) != at),
        Predicate(f"{column} < {spelled}", lambda v: v is not None and order(v) < at),
        Predicate(f"{column} <= {spelled}", lambda v: v is not None and order(v) <= at),
        Predicate(f"{spelled} < {column}", lambda v: v is not None and order(v) > at),
        Predicate(f"{column} >= {spelled}", lambda v: v is not None and order(v) >= at),
    ]


def likes(column: str, chosen: list) -> list:
    found = []
    for text in chosen:
        for prefix in {text[:1], text[:-1], text}:
            if not set(prefix) & set("%_\\"):
                pattern = quoted(prefix + "%")
                found += [
                    Predicate(f"{column} LIKE {pattern}", lambda v, p=prefix: v is not None and v.startswith(p)),
                    Predicate(
                        f"{column} NOT LIKE {pattern}", lambda v, p=prefix: v is not None and not v.startswith(p)
                    ),
                ]
    return found
