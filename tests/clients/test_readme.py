"""README.md's commands, as written: each block after `<!-- tested -->` is run by a shell.

Where a `text` block follows it, that is what the commands must print. The first one, `make demo`, is
the server that all others meet at its default ports.
"""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from server import REPOSITORY, environment

README = REPOSITORY / "README.md"
BLOCK = re.compile(
    r"<!-- tested -->\n```sh\n(?P<commands>.*?)```\n(?:(?:\n[^`\n][^\n]*)?\n+```text\n(?P<expected>.*?)```)?", re.S
)
PORTS = (5433, 8480)


def blocks():
    return [(match["commands"], match["expected"]) for match in BLOCK.finditer(README.read_text())]


def is_server(commands: str) -> bool:
    return commands.strip() == "make demo"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """`make demo`, as README says, with its lake elsewhere than a developer's own."""
    assert any(is_server(commands) for commands, _ in blocks()), "README starts with make demo"
    for port in PORTS:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, (
                f"port {port} is in use: README's commands are tested at the default ports, stop what runs there"
            )
    log = tmp_path_factory.mktemp("readme") / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "demo"],
            cwd=REPOSITORY,
            env=environment({"DEMO_DIR": log.parent / "demo-lake"}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 110
        while not ready():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield log
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def ready() -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:8480/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_there_are_commands_to_test():
    assert len(blocks()) >= 4


@pytest.mark.parametrize(
    "commands,expected",
    [pytest.param(*block, id=block[0].strip().splitlines()[-1][:60]) for block in blocks() if not is_server(block[0])],
)
def test_the_readme_tells_the_truth(demo, commands, expected):
    run = subprocess.run(
        ["bash", "-eu", "-c", commands],
        cwd=REPOSITORY,
        env=environment({"PATH": f"{REPOSITORY / '.venv' / 'bin'}:{os.environ['PATH']}"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    if expected is None:
        assert run.returncode == 0, run.stdout
    else:
        assert tidy(run.stdout) == tidy(expected)


def tidy(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def test_the_demo_prints_how_to_connect(demo):
    printed = demo.read_text()
    for person in ("alice", "bob", "dana", "parker", "stella", "oscar"):
        assert f"{person}-demo" in printed, f"a line to paste for {person}"
