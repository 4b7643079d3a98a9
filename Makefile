# Every target works in a clean clone with nothing but Python (3.11 or newer), make and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SUITE ?= quick
READY := $(VENV)/.ready

.PHONY: setup bench bench-slurm test test-all lint regression leaderboard docs speed pictures clean

setup: $(READY)

# pip runs again only when what it would install has changed. `git diff` shows scores as tables (.gitattributes).
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	-@test ! -e .git || git config diff.unblend-scores.textconv "$(BIN)/python -m benchmark.results.record_text"
	touch $@

bench: setup
	$(BIN)/unblend bench $(SUITE) $(ARGS)

# On a cluster; more with ARGS="--slurm.gpus_per_node=1 --slurm.time=600": see docs/scaling.md
bench-slurm: setup
	$(BIN)/unblend bench $(SUITE) --slurm.partition=$(PARTITION) $(ARGS)

# What shows most faults, in some minutes; `make test-all` runs the slow ones, too.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -q -m "not slow" $(ARGS)

test-all: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -q $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Retrains the smoke suite, some minutes; fails when a score has moved.
regression: setup
	$(BIN)/unblend regression $(ARGS)

# Tables and the page runs/$(SUITE)/index.html.
leaderboard: setup
	$(BIN)/unblend leaderboard runs/$(SUITE)

# The documentation as a site in build/docs; strict: a broken link is an error.
docs: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

# All of it, some fifteen minutes on two cores; some of it with ARGS="methods lmse".
speed: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmark.speed $(ARGS)

# One contact sheet for each data set, from what is embedded or generated.
pictures: setup
	for task in $$($(BIN)/python -c "from benchmark.plan import catalogue; print(*catalogue.datasets())"); do \
		$(BIN)/unblend show $$task --rows 2 --height 128 --out docs/pictures/$$task.png || exit 1; \
	done

clean:
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache
