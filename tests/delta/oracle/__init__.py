"""A reader of Delta tables that shares no code with Lakeward, deltalake or Spark.

It follows the protocol's text over plain files: JSON, and Parquet through pyarrow. Small and slow on purpose: it
is what the tests hold the others to. It knows no statistics and skips nothing.

- `log`: which files a version consists of
- `vectors`: deletion vectors
- `variant`: variant values
- `values`: one spelling for each value, from Arrow and from the wire
- `table`: the rows of a version
- `changes`: the change data feed
- `peers`: the same rows from PyPI deltalake
"""
