# Lakeward's commands. Each one runs without questions, as root or with sudo, with or without a terminal.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where `make demo` keeps its lake, and how many patients it makes there the first time.
DEMO_DIR ?= demo-lake
PATIENTS ?=

.PHONY: help setup build demo test lint fmt check clients advisories bench soak

help: ## Show this list
	@printf 'Lakeward: governed SQL over a healthcare lakehouse.\n\nTargets:\n'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@printf '\nSettings: DEMO_DIR=%s (the demo lake), PATIENTS=N (its size when it is made).\n' '$(DEMO_DIR)'

setup: ## Install what the build needs and this machine lacks (Debian packages), saying so
	@scripts/setup.sh build

build: setup ## Build target/debug/lakeward (the first build takes about 20 minutes on 2 cores)
	cargo build --locked

demo: build ## Make the demo lake if it is not there, serve it, print how to connect; Ctrl-C stops it
	target/debug/lakeward demo --dir '$(DEMO_DIR)' $(if $(PATIENTS),--patients '$(PATIENTS)')

test: ## Do everything CI does: format, lints, licences, tests, real clients
	@scripts/test.sh

lint: ## Check format, versions, licences and lints
	@scripts/setup.sh build lint
	@scripts/lint.sh

fmt: ## Format all Rust code
	cargo fmt --all

check: setup ## Type-check everything, quickly
	cargo check --locked --workspace --all-targets

clients: build ## Run the tests with real clients (psql, psycopg, SQLAlchemy, pandas, asyncpg) and real Delta tables
	@scripts/setup.sh build clients
	@scripts/client-tests.sh $(ARGS)

advisories: ## Check dependencies against the RustSec database (fetches it: needs the internet)
	@scripts/setup.sh build lint
	cargo deny --locked check advisories

bench: setup ## Cost of policies (TPC-H SF1), lakes of many files and tables, deletion vectors; PROFILE=release
	@PROFILE='$(PROFILE)' benches/run.sh $(ARGS)

soak: build ## The long tests: TPC-H SF1 answers and files opened, writers at once, thousands of drawn statements under drawn policies, timing of refused logins, memory while 100 million rows go to a slow client
	cargo run --locked --quiet --package lakeward-benches --bin tpch -- check --scale 1
	cargo run --locked --quiet --package lakeward-benches --bin tpch -- files --scale 1
	PROPTEST_CASES=300 cargo test --locked --quiet --package lakeward-catalog --lib writing::model
	PROPTEST_CASES=300 cargo test --locked --quiet --package lakeward-interference --test generated
	@scripts/soak.sh $(ARGS)
