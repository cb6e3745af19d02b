import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hand
import own_tables
import pytest
import rs_tables
from lake import STEWARD, make_configuration, table_name
from sail_tables import TABLES as SAIL_TABLES
from server import REPOSITORY, Server, environment

HERE = Path(__file__).parent
# Layers by who wrote them, and the tables in each.
WRITTEN = {"sail": SAIL_TABLES, "rs": rs_tables.TABLES, "hand": hand.TABLES, "own": own_tables.TABLES}
NAMES = [f"{writer}.{name}" for writer, tables in WRITTEN.items() for name in tables]

# Tables of many writers, beside the repository.
SHARED = REPOSITORY.parent / "shared" / "delta-tables"
FOLDERS = {
    folder.relative_to(SHARED).as_posix(): folder
    for folder in sorted(log.parent for log in SHARED.glob("**/_delta_log"))
}


@contextmanager
def serving(directory, **sources):
    """A server over these tables and layers, which must stop in order at the end."""
    server = Server(make_configuration(directory, **sources)).start()
    try:
        yield server
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


@pytest.fixture(scope="module")
def connection(server):
    """One for all tests of a module; it must outlive every error."""
    with server.connect(STEWARD) as connection:
        yield connection


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A server over the shared tables."""
    tables = {f"lake.{table_name(name)}": folder for name, folder in FOLDERS.items()}
    with serving(tmp_path_factory.mktemp("shared"), tables=tables) as server:
        yield server


@dataclass(frozen=True)
class Written:
    """Tables of four writers, and how pysail read its own and ours."""

    folder: Path
    read_by_sail: Path
    server: Server

    def table(self, name: str) -> Path:
        return self.folder / name.replace(".", "/")


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Read only: tests that change a table make their own."""
    folder, read_by_sail = tmp_path_factory.mktemp("written"), tmp_path_factory.mktemp("read-by-sail")
    for writer in WRITTEN:
        (folder / writer).mkdir()
    own_tables.write_all(folder / "own")
    sail = subprocess.Popen(
        [sys.executable, "-W", "ignore", HERE / "sail_tables.py", folder / "sail", read_by_sail, folder / "own"],
        env=environment({"RUST_LOG": "off"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    rs_tables.write_all(folder / "rs")
    hand.write_all(folder / "hand")
    said, _ = sail.communicate(timeout=100)
    assert sail.returncode == 0, said
    layers = {writer: folder / writer for writer in WRITTEN}
    with serving(tmp_path_factory.mktemp("written-server"), layers=layers) as server:
        yield Written(folder, read_by_sail, server)
