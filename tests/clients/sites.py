"""A service of the test's own over the stand-ins: its configuration, users and policies."""

import json
import shutil
from pathlib import Path

from server import Server

POLICIES = """
version: 1
grants:
  - { role: steward, object: "*.*", action: select }
  - { role: operator, object: "*.*", action: describe }
  - { role: operator, object: "system.*", action: select }
  - { role: analyst, object: "*.*", action: select }
row_filters:
  - name: own-tenant
    on: ["*.patients"]
    kind: restrictive
    to: [analyst]
    using: "tenant_id = principal.tenant"
"""

# Impatient: what a provider would get half a minute for is over in seconds.
REQUESTS = {"timeout": "2s", "connect_timeout": "1s", "max_retries": 4, "retry_timeout": "4s"}


def write_secret(path: Path, value: str) -> str:
    """A file that only its owner can read; the reference to it. Replaced as a whole, as rotation tools do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(value + "\n")
    fresh.replace(path)
    return f"file:{path}"


def make_site(directory: Path, lake: Path, layers: dict, tables=(), stores=None, policies=POLICIES) -> Path:
    """Writes a configuration; people are those of the demo lake."""
    (directory / "keys").mkdir(parents=True)
    shutil.copy(lake / "users.yaml", directory / "users.yaml")
    shutil.copy(lake / "keys" / "audit.key", directory / "keys" / "audit.key")
    (directory / "policies.yaml").write_text(policies)
    # JSON is YAML.
    configuration = {
        "catalog": {"layers": layers, "tables": list(tables), "refresh_interval": "250ms"},
        "stores": stores or {},
        "identity": {"users": "users.yaml"},
        "policy": {"files": ["policies.yaml"]},
        "audit": {"key": "file:keys/audit.key"},
        "execution": {"memory_limit": "256MiB"},
    }
    (directory / "lakeward.yaml").write_text(json.dumps(configuration, indent=2))
    return directory


class Sites:
    """Makes services and ends them."""

    def __init__(self, directory: Path, lake: Path):
        self.directory, self.lake = directory, lake
        self.servers = []

    def make(self, **options) -> Path:
        return make_site(self.directory / f"site-{len(self.servers)}", self.lake, **options)

    def start(self, settings=None, **options) -> Server:
        server = Server(self.make(**options), settings=settings)
        self.servers.append(server)
        return server.start()

    def stop(self):
        for server in self.servers:
            server.kill()


def reasons(server: Server) -> dict:
    """Why tables cannot be read, as an operator sees it, by their names."""
    rows = server.rows("oscar", "SELECT table_schema, table_name, reason FROM system.tables WHERE state = 'unavailable'")
    return {f"{schema}.{table}": reason for schema, table, reason in rows}
