#!/usr/bin/env bash
# TPC-H under policies against plain DataFusion with the same filters and masks by hand.
# Arguments go to the benchmark: benches/run.sh --rounds 20 --queries 1,6. PROFILE=release for a release build.
set -euo pipefail
cd "$(dirname "$0")/.."

exec cargo run --locked --quiet --profile "${PROFILE:-dev}" --package lakeward-benches --bin tpch -- bench "$@"
