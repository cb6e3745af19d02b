"""Does a refusal tell, by the time it takes, whether the account exists?

usage: login_timing.py [--attempts N]        (make soak)

Wrong passwords for an account that exists and for ones that do not, in random order. The measure is the
share of pairs in which the known account took longer: 0.5 if nothing is told. Its standard error is that of
the Mann-Whitney statistic.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from server import Server, make_lake

# Further from 0.5 than by this many standard errors is no chance.
MOST_ERRORS = 4


def refused(server: Server, user: str) -> float:
    """Seconds until a login with a wrong password is refused."""
    started = time.perf_counter()
    try:
        options = server.dsn("alice", user=user, password=f"wrong-{random.random()}")
        psycopg.connect(**options).close()
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error), error
        return time.perf_counter() - started
    raise AssertionError(f"{user} was let in")


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--attempts", type=int, default=400)
    arguments = arguments.parse_args()
    times: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as directory:
        server = Server(make_lake(Path(directory) / "lake")).start()
        try:
            for number in range(arguments.attempts):
                for known in random.sample([True, False], 2):
                    times[known].append(refused(server, "alice" if known else f"nobody{number}"))
        finally:
            server.kill()
    known, unknown = times[True], times[False]
    pairs = len(known) * len(unknown)
    share = sum((a > b) + (a == b) / 2 for a in known for b in unknown) / pairs
    error = ((len(known) + len(unknown) + 1) / (12 * pairs)) ** 0.5
    print(
        f"refusals, median: {statistics.median(known) * 1e3:.2f} ms of a known account, "
        f"{statistics.median(unknown) * 1e3:.2f} ms of unknown ones; the known one took longer in {share:.3f} of "
        f"{pairs:,} pairs ({(share - 0.5) / error:+.1f} standard errors from one half)"
    )
    if abs(share - 0.5) > MOST_ERRORS * error:
        print("error: the time of a refusal tells whether an account exists", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
