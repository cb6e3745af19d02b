#!/usr/bin/env bash
# Everything CI does, in the order in which it fails fastest; ends with a summary.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh

summary=()
step() { # step NAME COMMAND...: run it, note how long it took; stop at the first failure
  local name=$1 started=$SECONDS
  shift
  say "$name"
  if "$@"; then
    summary+=("ok      $(printf '%4ds' $((SECONDS - started)))  $name")
  else
    summary+=("FAILED  $(printf '%4ds' $((SECONDS - started)))  $name")
    print_summary
    exit 1
  fi
}
print_summary() {
  printf '\nSummary (%d min %d s in all)\n' $((SECONDS / 60)) $((SECONDS % 60))
  printf '  %s\n' "${summary[@]}"
  compared
}

# What the tests of non-interference left: a file for each that held, with the number of statements in it.
counts=${CARGO_TARGET_DIR:-target}/tmp/non-interference
compared() {
  [ -d "$counts" ] || return 0
  find "$counts" -type f -printf '%f ' -exec cat {} \; | awk '
    { split($1, name, "-"); statements[name[1]] += $2; files[name[1]]++ }
    END {
      printf "non-interference: %d statements over %d paths x 3 lakes; %d drawn x 3 lakes; %d beside PostgreSQL\n",
        statements["path"], files["path"], statements["drawn"], statements["peer"]
    }'
}

unit_tests() {
  rm -rf "$counts"
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace
  else
    cargo test --locked --workspace --lib --bins --tests
  fi
}

# Each protection is taken away, and the suite must notice.
mutation_tests() {
  cargo test --locked --quiet --package lakeward-interference --features mutations --test mutations
  cargo test --locked --quiet --package lakeward-interference --features mutations --test suite parquet_
}

step "setup" scripts/setup.sh build lint peers clients
step "lint" scripts/lint.sh
step "tests" unit_tests
step "broken on purpose" mutation_tests
step "build" cargo build --locked
step "clients" scripts/client-tests.sh
print_summary
