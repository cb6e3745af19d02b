"""A configuration over folders that hold Delta tables, with one steward who sees all of them."""

import os
import re
from pathlib import Path

from server import lakeward, password

STEWARD = "stella"
# Other writers' commits show soon, and tests that wait for them end soon.
REFRESH = "200ms"


def make_configuration(directory: Path, tables: dict | None = None, layers: dict | None = None) -> Path:
    """Writes what a server needs; `tables` maps `schema.name` to a folder, `layers` a schema to a folder of tables."""
    directory.mkdir(parents=True, exist_ok=True)
    keys = directory / "keys"
    keys.mkdir()
    key = os.open(keys / "audit.key", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(key, os.urandom(32))
    os.close(key)
    lines = ["catalog:", f"  refresh_interval: {REFRESH}", f"  layers: {dict_text(layers or {})}", "  tables:"]
    for name, folder in (tables or {}).items():
        schema, table = name.split(".")
        lines.append(f"    - {{ schema: {schema}, name: {table}, location: {quoted(folder)} }}")
    if not tables:
        lines[-1] += " []"
    lines += [
        "identity: { users: users.yaml }",
        "policy: { files: [policies.yaml] }",
        'audit: { directory: audit, key: "file:keys/audit.key" }',
        "execution: { spill_directory: spill, memory_limit: 512MiB }",
    ]
    (directory / "lakeward.yaml").write_text("\n".join(lines) + "\n")
    (directory / "policies.yaml").write_text(
        'version: 1\ngrants:\n  - { role: steward, object: "*.*", action: select }\n'
    )
    added = lakeward(
        *("user", "add", STEWARD, "--role", "steward", "--password-stdin", "--users", directory / "users.yaml"),
        input=password(STEWARD) + "\n",
    )
    assert added.returncode == 0, added.stderr
    return directory


def dict_text(mapping: dict) -> str:
    return "{ " + ", ".join(f"{key}: {quoted(value)}" for key, value in mapping.items()) + " }"


def quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def table_name(folder: str) -> str:
    """A name that configuration takes, for a folder of any name."""
    return re.sub(r"[^a-z0-9_]", "_", folder.lower())
