# Two commands do all the set-up on a machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
SECONDS ?= 3600
COUNT ?= 300
SIZES ?= 10000 100000
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test lint bench bench-paths bench-peers soak soak-kills soak-sync clean soak-apply

help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/demo.done ## Watch the whole job run on invented people
	$(BIN)/fhir-equity demo

test: $(VENV)/dev.done ## Check style and types, run every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --no-loadscope-reorder

lint: $(VENV)/dev.done ## Check style and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev.done ## Measure every path beside its floor and its peers at SIZES (10000 100000) members; the table of the README
	$(BIN)/python -m tests.benchmarks.table $(SIZES) --peers

bench-paths: $(VENV)/dev.done ## Measure one path after the other, each beside its floor, in rounds
	$(BIN)/python -m tests.benchmarks.bench_audit
	$(BIN)/python -m tests.benchmarks.bench_store
	$(BIN)/python -m tests.benchmarks.bench_publish 10 50
	$(BIN)/python -m tests.benchmarks.bench_write
	$(BIN)/python -m tests.benchmarks.bench_fhir
	$(BIN)/python -m tests.benchmarks.bench_fhir_write
	$(BIN)/python -m tests.benchmarks.bench_vocabulary
	$(BIN)/python -m tests.benchmarks.bench_ingest
	$(BIN)/python -m tests.benchmarks.bench_sync

bench-peers: $(VENV)/dev.done ## Measure reading beside linuxforhealth-x12 and pyx12, and the memory of a million members (minutes)
	$(BIN)/python -m tests.benchmarks.bench_peers
	$(BIN)/python -m tests.benchmarks.bench_memory

soak-kills: $(VENV)/dev.done ## Kill an ingest COUNT (300) times on SQLite and on PostgreSQL, which must be installed
	$(BIN)/python -m tests.faults.kills $(COUNT)

soak-sync: $(VENV)/dev.done ## Kill a sync apply COUNT (300) times with each server of others, which are fetched
	$(BIN)/python -m tests.servers.kills $(COUNT)

soak-apply: $(VENV)/dev.done ## Kill a sync apply COUNT (300) times on SQLite and on PostgreSQL, which must be installed
	$(BIN)/python -m tests.faults.sync_kills $(COUNT)

soak: $(VENV)/fuzz.done ## Fuzz the 834 reader for SECONDS (3600)
	$(BIN)/python -m tests.fuzz.soak $(SECONDS)

clean: ## Remove the virtual environment and what tools leave behind
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.done: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/dev.done: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[dev]'
	@touch $@

$(VENV)/fuzz.done: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[fuzz]'
	@touch $@
