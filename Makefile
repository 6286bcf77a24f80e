# make demo | make test | make check | make acceptance        (Python 3.11+, make)
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export MPLBACKEND := Agg

.PHONY: demo test test-minimums check format lint types docs acceptance

demo: .venv/core ## install, then the main job on its own world
	$(BIN)/longplay compare

test: .venv/dev ## install what testing needs, then every test
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-minimums: ## the tests of logs, worlds and policies at the declared lower bounds
	$(PYTHON) -m venv .venv-minimums
	.venv-minimums/bin/pip install --quiet --disable-pip-version-check --constraint constraints-minimums.txt torch
	.venv-minimums/bin/pip install --quiet --disable-pip-version-check --constraint constraints-minimums.txt --editable '.[dev]'
	.venv-minimums/bin/python -m pytest -n 2 --dist worksteal -m "not slow" tests/offpolicy tests/recsim_env tests/policies

check: .venv/dev lint types test ## the gate: format, lint, types, tests

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: .venv/dev
	$(BIN)/mypy

docs: .venv/docs ## these pages as a site in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

acceptance: .venv/dev ## long runs; results with their commands go to experiments/results/
	$(BIN)/python -m experiments.acceptance

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/dev: .venv/core
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/docs: .venv/core
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@
