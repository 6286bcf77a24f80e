# make demo | make test | make check | make acceptance        (Python 3.11+, make)
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export MPLBACKEND := Agg

.PHONY: demo test check format lint types acceptance

demo: .venv/core ## install, then the main job on its own world
	$(BIN)/longplay compare

test: .venv/dev ## install what testing needs, then every test
	$(BIN)/python -m pytest -n 2

check: .venv/dev lint types test ## the gate: format, lint, types, tests

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: .venv/dev
	$(BIN)/mypy

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
