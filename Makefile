# Every target works in a clean clone with nothing but Python (3.11 or newer), make and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SUITE ?= quick
READY := $(VENV)/.ready

.PHONY: help setup bench bench-slurm test test-all lint regression leaderboard docs speed pictures clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'
	@echo 'SUITE=rain names another suite than quick; ARGS="--jobs 1" gives options to the command behind a target.'

setup: $(READY) ## the environment .venv, with the pinned versions

# pip runs again only when what it would install has changed. `git diff` shows scores as tables (.gitattributes).
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	-@test ! -e .git || git config diff.unblend-scores.textconv "$(BIN)/python -m benchmark.results.record_text"
	touch $@

bench: setup ## train and score a suite; what is finished is reused
	$(BIN)/unblend bench $(SUITE) $(ARGS)

# On a cluster; more with ARGS="--slurm.gpus_per_node=1 --slurm.time=600": see docs/scaling.md
bench-slurm: setup ## the same on a cluster: PARTITION=name
	$(BIN)/unblend bench $(SUITE) --slurm.partition=$(PARTITION) $(ARGS)

# What shows most faults, in some minutes; `make test-all` runs the slow ones, too.
test: setup ## the fast tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -q -m "not slow" $(ARGS)

test-all: setup ## the slow tests, too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -q $(ARGS)

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Retrains the smoke suite, some minutes; fails when a score has moved.
regression: setup ## retrain the smoke suite; fails where a score has moved
	$(BIN)/unblend regression $(ARGS)

# Tables and the page runs/$(SUITE)/index.html.
leaderboard: setup ## tables and the page of a suite that has run
	$(BIN)/unblend leaderboard runs/$(SUITE)

# The documentation as a site in build/docs; strict: a broken link is an error.
docs: setup ## the documentation as a site, in build/docs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

# All of it, some fifteen minutes on two cores; some of it with ARGS="methods lmse".
speed: setup ## measure how fast it all is; some of it with ARGS="methods lmse"
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmark.speed $(ARGS)

# A contact sheet of each task, histograms of those whose sets are found, the README's picture; some with ARGS="Rain Haze".
pictures: setup ## draw the pictures of docs/ again
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmark.workflows.pictures $(ARGS)
	OMP_NUM_THREADS=1 $(BIN)/python docs/hero.py

clean: ## remove runs/ and what tools keep
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache
