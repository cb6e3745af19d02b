#!/usr/bin/env bash
# Real clients against the real binary. `scripts/setup.sh clients` and a build go before.
# Arguments go to pytest: scripts/client-tests.sh -k psql
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh

[ -x target/debug/lakeward ] || die "target/debug/lakeward is missing: make build"
exec .venv/bin/python -m pytest -c tests/clients/pytest.ini tests/clients "$@"
