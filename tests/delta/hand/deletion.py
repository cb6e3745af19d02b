"""Deletion vectors of every kind that the protocol has."""

from handmade import Table, checkpoint, forget_commits
from oracle import vectors

from .base import SIMPLE, VECTORS, simple, table


@table
def vector_inline(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    made.commit(made.file("a.parquet", simple(0, 20), vector=vectors.inline([0, 7, 19])))


@table
def vector_absolute_path(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    (vector,) = vectors.write(folder, [[1, 2, 3]], absolute=True)
    made.commit(made.file("a.parquet", simple(0, 20), vector=vector))


@table
def vector_below_a_prefix(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    (vector,) = vectors.write(folder, [[4, 5]], prefix="aB")
    made.commit(made.file("a.parquet", simple(0, 20), vector=vector))


@table
def vectors_in_one_file(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    found = vectors.write(folder, [[0], list(range(5, 15)), [19]])
    made.commit(
        *(made.file(f"{i}.parquet", simple(i * 20, i * 20 + 20), vector=vector) for i, vector in enumerate(found))
    )


@table
def vector_of_runs(folder):
    """Run containers, and five of them, so that offsets are there."""
    made = Table(folder, SIMPLE, **VECTORS)
    rows = 65_536 * 4 + 100
    gone = [i for i in range(rows) if i % 1000 < 997]
    (vector,) = vectors.write(folder, [gone], runs=True)
    made.commit(made.file("a.parquet", simple(0, rows), vector=vector))


@table
def vector_over_row_groups(folder):
    """Whole row groups and whole pages are gone, and single rows at their borders."""
    made = Table(folder, SIMPLE, **VECTORS)
    gone = [*range(0, 100), 100, 199, 200, *range(300, 400), 450, *range(500, 600, 2), 999]
    options = {"row_group_size": 100, "data_page_size": 256, "write_batch_size": 16, "write_page_index": True}
    made.commit(made.file("a.parquet", simple(0, 1000), vector=vectors.inline(gone), **options))


@table
def vector_replaced(folder):
    """The same file under one vector after another, and under none in the end."""
    made = Table(folder, SIMPLE, **VECTORS)
    kept, returned = made.file("kept.parquet", simple(0, 10)), made.file("returned.parquet", simple(10, 20))
    made.commit(kept, returned)
    for gone in ([1], [1, 2], [1, 2, 3]):
        with_vector = made.add("kept.parquet", simple(0, 10), vector=vectors.inline(gone))
        made.commit(made.remove(kept), with_vector)
        kept = with_vector
    with_vector = made.add("returned.parquet", simple(10, 20), vector=vectors.inline([0, 9]))
    made.commit(made.remove(returned), with_vector)
    made.commit(made.remove(with_vector), returned)


@table
def vector_without_rows(folder):
    """A vector of no row is allowed."""
    made = Table(folder, SIMPLE, **VECTORS)
    made.commit(made.file("a.parquet", simple(0, 5), vector=vectors.inline([])))


@table
def vectors_in_checkpoint(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    found = vectors.write(folder, [[0, 1], [5]])
    for i, vector in enumerate([*found, vectors.inline([9]), None]):
        made.commit(made.file(f"{i}.parquet", simple(i * 10, i * 10 + 10), vector=vector))
    checkpoint(made)
    forget_commits(made, made.version)
    made.commit(made.file("last.parquet", simple(90, 95), vector=vectors.inline([4])))


@table
def vectors_without_statistics(folder):
    made = Table(folder, SIMPLE, **VECTORS)
    made.commit(
        made.file("a.parquet", simple(0, 50), statistics=False, vector=vectors.inline([0, 49])),
        made.file("b.parquet", simple(50, 100), statistics=False),
    )
