"""A real `lakeward` process over a demo lake of its own, as an operator would run it."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg

REPOSITORY = Path(__file__).resolve().parents[2]
# Another build to test: LAKEWARD_TEST_BINARY. Commands that the tests run do not see the variable.
BINARY = Path(os.environ.get("LAKEWARD_TEST_BINARY") or REPOSITORY / "target" / "debug" / "lakeward").absolute()
START_DEADLINE_SECONDS = 60
PATIENTS = 1000

PEOPLE = ("alice", "bob", "dana", "parker", "stella", "oscar")

# Hours of work that hold no memory; their rows, one at a time.
ENDLESS = "SELECT count(*) FROM generate_series(1, 100000000000) AS s(n) WHERE n % 7 = 3"
ENDLESS_ROWS = "SELECT n FROM generate_series(1, 100000000000) AS s(n)"


def password(person: str) -> str:
    return f"{person}-demo"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def lakeward(*arguments, env=None, timeout=60, input="") -> subprocess.CompletedProcess:
    """One command of the binary, run to its end."""
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        input=input,
    )


def environment(extra=None) -> dict:
    """Ours without settings of a developer's shell that would reach the server or the clients."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEWARD_", "PG"))}
    return {**kept, **{k: str(v) for k, v in (extra or {}).items()}}


def make_lake(directory: Path) -> Path:
    """A demo lake: its configuration is directory/lakeward.yaml."""
    made = lakeward("demo", "--dir", directory, "--patients", PATIENTS, "--no-serve", timeout=110)
    assert made.returncode == 0, made.stderr
    return directory


class Server:
    """`lakeward serve` on ports of its own; `settings` are LAKEWARD_* overrides.

    `authority` is the file that its certificate is verified by, where it has one.
    """

    def __init__(self, directory: Path, settings=None, authority=None):
        self.directory = directory
        self.config = directory / "lakeward.yaml"
        self.postgres_port = free_port()
        self.http_port = free_port()
        self.authority = authority
        self.log_file = directory / f"serve-{self.postgres_port}.log"
        self.env = {
            "LAKEWARD_LISTEN__POSTGRES": f"127.0.0.1:{self.postgres_port}",
            "LAKEWARD_LISTEN__HTTP": f"127.0.0.1:{self.http_port}",
            **(settings or {}),
        }
        self.process = None

    def start(self) -> "Server":
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--config", self.config],
                env=environment(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not self.ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the server was not ready in time:\n{self.log()}")
            time.sleep(0.05)
        return self

    def ready(self) -> bool:
        try:
            return self.http("/readyz")[0] == 200
        except OSError:
            return False

    def http(self, path: str) -> tuple[int, str]:
        scheme = "https" if self.authority else "http"
        context = ssl.create_default_context(cafile=self.authority) if self.authority else None
        url = f"{scheme}://127.0.0.1:{self.http_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """Sum of a metric's samples; fails where there is none."""
        samples = [
            float(line.rsplit(" ", 1)[1])
            for line in self.http("/metrics")[1].splitlines()
            if line.split("{", 1)[0].split(" ", 1)[0] == name
        ]
        assert samples, f"no metric {name}"
        return sum(samples)

    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self, timeout=60) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def dsn(self, person: str, **options) -> dict:
        return {
            "host": "127.0.0.1",
            "port": self.postgres_port,
            "dbname": "lakeward",
            "user": person,
            "password": password(person),
            "connect_timeout": 20,
            **options,
        }

    def url(self, person: str, driver: str) -> str:
        return (
            f"postgresql+{driver}://{person}:{password(person)}@127.0.0.1:{self.postgres_port}/lakeward"
        )

    def connect(self, person: str, **options) -> psycopg.Connection:
        return psycopg.connect(**self.dsn(person, autocommit=True, **options))

    def rows(self, person: str, sql: str, parameters=None) -> list[tuple]:
        with self.connect(person) as connection:
            return connection.execute(sql, parameters).fetchall()

    def value(self, person: str, sql: str, parameters=None):
        ((value,),) = self.rows(person, sql, parameters)
        return value

    def psql(self, person: str, *arguments, input=None) -> subprocess.CompletedProcess:
        """psql without a start-up file, stopping at the first error."""
        return subprocess.run(
            ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-P", "pager=off", *arguments],
            env=environment(
                {
                    "PGHOST": "127.0.0.1",
                    "PGPORT": self.postgres_port,
                    "PGDATABASE": "lakeward",
                    "PGUSER": person,
                    "PGPASSWORD": password(person),
                    "PGCONNECT_TIMEOUT": 20,
                }
            ),
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def audit_directory(self) -> Path:
        return self.directory / "audit"


def copy_lake(source: Path, target: Path) -> Path:
    """A lake of one's own to break; what a server of the source wrote stays behind."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("audit", "spill", "serve-*.log"))
    return target


def eventually(condition, what: str, seconds=20):
    """Waits for something that another process does; gives what the condition gave."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.05)


def log_lines(text: str) -> list[dict]:
    """The JSON lines of a log."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
