"""Log replay: which files, which schema, at which version."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

COMMIT = re.compile(r"^(\d{20})\.json$")
CHECKPOINT = re.compile(
    r"^(?P<version>\d{20})\.checkpoint"
    r"(?:\.(?P<part>\d{10})\.(?P<parts>\d{10})|\.(?P<uuid>[0-9a-f-]{36}))?\.(?P<format>parquet|json)$"
)
ADD_FIELDS = ("path", "partitionValues", "size", "stats", "deletionVector")
REMOVE_FIELDS = ("path", "deletionVector")
MAPS = ("partitionValues", "configuration")


class Unreadable(Exception):
    """The log is not one that a reader may answer from."""


@dataclass(frozen=True)
class Snapshot:
    """One version: the actions that count."""

    folder: Path
    version: int
    protocol: dict
    metadata: dict
    adds: list

    @property
    def fields(self) -> list:
        return json.loads(self.metadata["schemaString"])["fields"]

    @property
    def partition_columns(self) -> list:
        return self.metadata["partitionColumns"]

    @property
    def mapping(self) -> str:
        """none, name or id."""
        return (self.metadata.get("configuration") or {}).get("delta.columnMapping.mode", "none")


def snapshot(folder: Path, version: int | None = None) -> Snapshot:
    """Replays all commits; starts at a checkpoint only where commits before it are gone."""
    log = Path(folder) / "_delta_log"
    commits = {int(m[1]): p for p in log.iterdir() if (m := COMMIT.match(p.name))}
    checkpoints = complete_checkpoints(log)
    if not commits and not checkpoints:
        raise Unreadable("no log")
    target = max([*commits, *checkpoints]) if version is None else version
    start = 0
    state = _State()
    if any(v not in commits for v in range(target + 1)):
        start = max((v for v in checkpoints if v <= target), default=None)
        if start is None:
            raise Unreadable("commits are missing")
        for action in checkpoint_actions(log, checkpoints[start]):
            state.apply(action)
        start += 1
    for v in range(start, target + 1):
        if v not in commits:
            raise Unreadable(f"commit {v} is missing")
        for action in json_lines(commits[v]):
            state.apply(action)
    if state.protocol is None or state.metadata is None:
        raise Unreadable("no protocol or metadata")
    return Snapshot(Path(folder), target, state.protocol, state.metadata, list(state.adds.values()))


class _State:
    def __init__(self):
        self.protocol = None
        self.metadata = None
        self.adds = {}

    def apply(self, action: dict):
        if add := action.get("add"):
            self.adds[file_key(add)] = add
        elif remove := action.get("remove"):
            self.adds.pop(file_key(remove), None)
        elif metadata := action.get("metaData"):
            self.metadata = metadata
        elif protocol := action.get("protocol"):
            self.protocol = protocol


def file_key(action: dict) -> tuple:
    """A file with another deletion vector is another logical file."""
    vector = action.get("deletionVector")
    if not vector:
        return action["path"], None
    identity = vector["storageType"] + vector["pathOrInlineDv"]
    if vector.get("offset") is not None:
        identity += f"@{vector['offset']}"
    return action["path"], identity


def json_lines(path: Path) -> list:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def complete_checkpoints(log: Path) -> dict:
    """Files of one complete checkpoint for each version that has any."""
    whole, parts = {}, {}
    for path in sorted(log.iterdir()):
        match = CHECKPOINT.match(path.name)
        if not match:
            continue
        version = int(match["version"])
        if match["parts"]:
            parts.setdefault((version, int(match["parts"])), []).append(path)
        else:
            whole[version] = [path]
    for (version, count), paths in parts.items():
        if len(paths) == count:
            whole.setdefault(version, paths)
    return whole


def checkpoint_actions(log: Path, paths: list):
    """Actions of a checkpoint of any kind, those of its sidecars too."""
    for path in paths:
        actions = json_lines(path) if path.suffix == ".json" else parquet_actions(path)
        for action in actions:
            if sidecar := action.get("sidecar"):
                yield from parquet_actions(log / "_sidecars" / sidecar["path"])
            else:
                yield action


def parquet_actions(path: Path):
    table = pq.ParquetFile(path)
    present = {field.name: field.type for field in table.schema_arrow}
    columns = []
    for name, wanted in (("add", ADD_FIELDS), ("remove", REMOVE_FIELDS)):
        if name in present:
            # Parsed statistics hold values that Python has no type for; nothing here needs them.
            columns += [f"{name}.{f.name}" for f in present[name] if f.name in wanted]
    columns += [name for name in ("metaData", "protocol", "sidecar") if name in present]
    for row in table.read(columns=columns).to_pylist():
        for name, action in row.items():
            if action is not None:
                # pyarrow gives maps as lists of pairs.
                yield {name: {key: dict(v) if key in MAPS else v for key, v in action.items()}}
