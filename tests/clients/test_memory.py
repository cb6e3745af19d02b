"""Results stream: a client that reads slowly costs the server no memory. `make soak` does it with 50 million rows."""

from soak import MEBIBYTE, stream_slowly


def test_a_slow_reader_costs_no_memory(own_server):
    assert stream_slowly(own_server(), 2_000_000) < 200 * MEBIBYTE
