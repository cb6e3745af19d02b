#!/usr/bin/env bash
# Streams 50 million rows to a slow client; fails where the server grows by 200 MiB or more.
# Arguments go to tests/clients/soak.py: scripts/soak.sh --rows 1000000
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh build clients
exec .venv/bin/python tests/clients/soak.py "$@"
