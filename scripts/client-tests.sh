#!/usr/bin/env bash
# Real clients, and real Delta tables, against the real binary. `scripts/setup.sh clients` and a build go before.
# Arguments go to pytest: scripts/client-tests.sh -k psql; scripts/client-tests.sh tests/delta
# LAKEWARD_TEST_BINARY names another binary than target/debug/lakeward, and
# LAKEWARD_TEST_WRITTEN another program than target/debug/written, which is built here otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh

binary=${LAKEWARD_TEST_BINARY:-target/debug/lakeward}
[ -x "$binary" ] || die "$binary is missing: make build"
if [ -z "${LAKEWARD_TEST_WRITTEN:-}" ]; then
  # Its dependencies are the service's.
  cargo build --locked --quiet --package lakeward-benches --bin written
fi
paths=(tests/clients tests/delta)
for argument in "$@"; do
  case "$argument" in tests/*) paths=() ;; esac
done
exec .venv/bin/python -m pytest -c tests/pytest.ini --rootdir tests "${paths[@]}" "$@"
