#!/usr/bin/env bash
# The switches that take protections away exist in tests only: the service must not be built with them.
set -euo pipefail
cd "$(dirname "$0")/.."

# features PACKAGE [OPTION...]: our crates that PACKAGE is made of, each with its features.
features() {
  cargo tree --locked --offline --edges normal --prefix none --format '{p} [{f}]' --package "$@" |
    sed -n 's/^\(lakeward-[a-z]*\) v[^[]*\[\(.*\)\].*/\1 \2/p' | sort -u
}

service=$(features lakeward)
if ! grep -q '^lakeward-policy' <<<"$service" || grep 'mutations' <<<"$service" >&2; then
  echo "lakeward is built with switches for tests" >&2
  exit 1
fi
# The check must be able to fail.
broken=$(features lakeward-interference --features mutations)
grep -q '^lakeward-policy mutations' <<<"$broken" || { echo "switches for tests would not be noticed" >&2; exit 1; }
