#!/usr/bin/env bash
# Installs what is missing, and says so; what is there already is left alone.
#
# usage: scripts/setup.sh [build] [lint] [peers] [clients]
#   build    compiler, linker          (default)
#   lint     rustfmt, clippy, cargo-deny, cargo-nextest
#   peers    a PostgreSQL server, which tests start for themselves
#   clients  psql, Node.js; Python packages and Azurite (a stand-in for Azure) in .venv
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh

packages=() # Debian packages to install

# need COMMAND PACKAGE: remember the package where the command is missing.
need() {
  command -v "$1" >/dev/null 2>&1 || packages+=("$2")
}

install_packages() {
  [ "${#packages[@]}" -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    die "this machine lacks: ${packages[*]} (Debian's names). It has no apt-get: install them by its own means and run again"
  fi
  say "installing Debian packages: ${packages[*]}"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300)
  as_root "${apt[@]}" update
  as_root "${apt[@]}" install --no-install-recommends "${packages[@]}" >/dev/null
  packages=()
}

want_build() {
  if ! command -v cargo >/dev/null 2>&1; then
    die "no cargo found: install Rust first, as https://rustup.rs says"
  fi
  # cc and libc headers for the C parts of zstd and AWS-LC; mold because .cargo/config.toml links with it.
  need cc gcc
  need git git
  need mold mold
  need pkg-config pkg-config
  [ -e /usr/include/stdio.h ] || packages+=(libc6-dev)
  install_packages
  check_rust_version
}

check_rust_version() {
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  have=$(rustc --version | cut -d' ' -f2)
  if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" != "$wanted" ]; then
    die "Rust $have is too old: $wanted or newer is needed (rustup update)"
  fi
}

# cargo_tool NAME VERSION: install a cargo subcommand from crates.io where it is missing.
cargo_tool() {
  command -v "$1" >/dev/null 2>&1 && return 0
  [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/$1" ] && return 0
  say "installing $1 $2 with cargo (once; takes minutes)"
  # A debug build compiles in a third of the time and is fast enough here. Away from the work tree,
  # so that neither its lock file nor its linker flags apply.
  (cd / && cargo install --quiet --locked --debug --version "$2" "$1")
}

want_lint() {
  local component
  for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
      say "installing the Rust component $component"
      rustup component add "$component" || die "the Rust component $component is missing: rustup component add $component"
    fi
  done
  cargo_tool cargo-deny 0.20.2
  cargo_tool cargo-nextest 0.9.143 || warn "cargo-nextest could not be installed: cargo test is used instead"
}

# A Python of 3.11 or newer that can make virtual environments.
find_python() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$python"
      return 0
    fi
  done
  return 1
}

# The server's programs only: Debian's package would make a cluster of its own and run it.
want_peers() {
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return 0
  need postgres postgresql
  [ "${#packages[@]}" -gt 0 ] || return 0
  local conf=/etc/postgresql-common/createcluster.d
  if [ ! -e /etc/postgresql-common ] && command -v apt-get >/dev/null 2>&1; then
    as_root mkdir -p "$conf"
    echo 'create_main_cluster = false' | as_root tee "$conf/no-main-cluster.conf" >/dev/null
  fi
  install_packages
}

want_clients() {
  need psql postgresql-client
  need node nodejs
  need npm npm
  find_python >/dev/null || packages+=(python3 python3-venv)
  install_packages
  local python stamp=.venv/requirements.txt
  python=$(find_python) || die "the client tests need Python 3.11 or newer with venv"
  if ! cmp -s tests/clients/requirements.txt "$stamp" || ! .venv/bin/python -c '' 2>/dev/null; then
    say "installing Python packages into .venv"
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/python -m pip --quiet --disable-pip-version-check install --only-binary :all: -r tests/clients/requirements.txt
    cp tests/clients/requirements.txt "$stamp"
  fi
  stamp=.venv/azurite/installed
  if ! cmp -s tests/clients/azurite/package-lock.json "$stamp"; then
    say "installing Azurite into .venv"
    rm -rf .venv/azurite
    mkdir .venv/azurite
    cp tests/clients/azurite/package.json tests/clients/azurite/package-lock.json .venv/azurite/
    npm --prefix .venv/azurite ci --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error
    cp tests/clients/azurite/package-lock.json "$stamp"
  fi
}

[ "$#" -gt 0 ] || set -- build
for part in "$@"; do
  case "$part" in
    build | lint | peers | clients) "want_$part" ;;
    *) die "unknown part: $part (build, lint, peers, clients)" ;;
  esac
done
