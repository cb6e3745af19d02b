#!/usr/bin/env bash
# Whether refusals tell accounts apart by their time; then streams 100 million rows to a slow client and fails where the
# server grows by 200 MiB or more.
# Arguments go to tests/clients/soak.py: scripts/soak.sh --rows 1000000
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh build clients

.venv/bin/python tests/clients/login_timing.py
exec .venv/bin/python tests/clients/soak.py "$@"
