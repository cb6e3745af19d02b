#!/usr/bin/env bash
# TPC-H under policies against plain DataFusion with the same filters and masks by hand; then tables of very many
# files, a catalog of very many tables, deletion vectors against rewritten files, and very many policies.
# Arguments go to the benchmark: benches/run.sh --rounds 20 --queries 1,6. PROFILE=release for a release build.
set -euo pipefail
cd "$(dirname "$0")/.."

run() { cargo run --locked --quiet --profile "${PROFILE:-dev}" --package lakeward-benches "$@"; }

run --bin tpch -- bench "$@"
# Memory is that of the process, so each measures alone.
run --bin lake -- wide
run --bin lake -- many
run --bin lake -- vectors
run --bin policies
