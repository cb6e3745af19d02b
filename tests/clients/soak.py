"""Streams many rows to a client that reads slowly, and watches the server's memory.

usage: soak.py [--rows N] [--growth MIB]        (make soak)
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from server import PATIENTS, Server, make_lake

MEBIBYTE = 1 << 20
# Where the client stops reading for a while: a server that did not stop, too, would pile up rows.
PAUSES = (0.0, 0.02, 0.1)
PAUSE_SECONDS = 5


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def stream_slowly(server: Server, rows: int, report=lambda text: None) -> int:
    """Streams `rows` rows as stella; gives the greatest growth of the server in bytes."""
    times = -(-rows // (PATIENTS * PATIENTS))
    sql = (
        "SELECT a.patient_id, b.family_name, a.birth_date, c.n FROM silver.patients a CROSS JOIN silver.patients b"
        f" CROSS JOIN generate_series(1, {times}) AS c(n) LIMIT {rows}"
    )
    pid = server.process.pid
    with server.connect("stella") as connection, connection.cursor() as cursor:
        # What a first query allocates once (catalog, footers, pools) is no growth.
        cursor.execute("SELECT count(*) FROM silver.patients a JOIN silver.patients b ON a.patient_id = b.patient_id")
        before = resident(pid)
        greatest, seen = before, 0
        pauses = [int(rows * part) for part in PAUSES]
        started = time.monotonic()
        for _ in cursor.stream(sql, size=1000):
            seen += 1
            if pauses and seen > pauses[0]:
                pauses.pop(0)
                ends = time.monotonic() + PAUSE_SECONDS
                while time.monotonic() < ends:
                    time.sleep(0.1)
                    greatest = max(greatest, resident(pid))
            if seen % 100_000 == 0:
                greatest = max(greatest, resident(pid))
            if seen % 5_000_000 == 0:
                rate = seen / (time.monotonic() - started)
                report(f"{seen:>12,} rows, {rate:>9,.0f} rows/s, growth {(greatest - before) / MEBIBYTE:6.1f} MiB")
        assert seen == rows, f"{seen} rows of {rows}"
    return greatest - before


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=100_000_000)
    arguments.add_argument("--growth", type=int, default=200, help="most growth in MiB")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(
            make_lake(Path(directory) / "lake"), settings={"LAKEWARD_EXECUTION__STATEMENT_TIMEOUT": "0s"}
        ).start()
        try:
            growth = stream_slowly(server, arguments.rows, lambda text: print(text, flush=True)) / MEBIBYTE
        finally:
            server.kill()
    print(f"{arguments.rows:,} rows streamed to a slow client; the server grew by {growth:.1f} MiB")
    if growth >= arguments.growth:
        print(f"error: more than {arguments.growth} MiB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
