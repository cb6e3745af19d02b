#!/usr/bin/env bash
# Everything that judges the code without running it. `scripts/setup.sh build lint` goes before.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh

say "format"
cargo fmt --all --check

say "single versions"
scripts/check-single-versions.sh

say "no switches for tests in the service"
scripts/check-no-mutations.sh

say "licences, bans, sources"
cargo deny --offline --locked check --hide-inclusion-graph bans licenses sources

# The advisory database is a git repository that cargo-deny fetches; without one, or without the
# internet, that check cannot be made here. `make advisories` fetches it and checks.
if compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-db*/*" >/dev/null; then
  say "advisories (database as last fetched)"
  cargo deny --offline --locked check --hide-inclusion-graph advisories
else
  warn "advisories were not checked: no RustSec database on this machine (make advisories fetches it)"
fi

say "clippy"
cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
