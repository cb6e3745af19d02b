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
}

unit_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace
  else
    cargo test --locked --workspace --lib --bins --tests
  fi
}

# Each protection is taken away, and the suite must notice.
mutation_tests() {
  cargo test --locked --quiet --package lakeward-interference --features mutations --test mutations
}

step "setup" scripts/setup.sh build lint clients
step "lint" scripts/lint.sh
step "tests" unit_tests
step "broken on purpose" mutation_tests
step "build" cargo build --locked
step "clients" scripts/client-tests.sh
print_summary
