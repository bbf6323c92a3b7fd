# make setup      the environment in .venv, nothing outside it (a second run does nothing)
# make check      ruff and pyright
# make test       setup, check, and every fast test; what continuous integration runs
# make test-all   the same with the slow tests
# make demo       the tour in nine scenes: convolutions, kernels, an RNN, gates, gradients through time, a cell of your own,
#                 a language model, attention, captions; two minutes
# make bench      our layers beside their peers, timed in turn: twelve minutes (BENCH=--quick: one)
# make clean      removes the environment and all caches
#
# On Linux torch's default wheel brings several gigabytes of CUDA. For the CPU alone, give the index that
# pytorch.org's installation page shows for it:
#     make setup TORCH_INDEX=…

PYTHON ?= python3
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# pyproject.toml is the one place that names versions.
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DELETE_ON_ERROR:
.PHONY: setup check test test-all demo bench clean

setup: $(READY)

# torch first, from its own index where one is given; the rest then finds it there. `--group` needs pip 25.1.
$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade "pip>=25.1"
	$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	$(PIP) install --group dev --editable .
	touch $@

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

test: check
	$(BIN)/python -m pytest -n 2 --dist worksteal --doctest-modules --durations=15 -m "not slow"

test-all: check
	$(BIN)/python -m pytest -n 2 --dist worksteal --doctest-modules --durations=15

demo: $(READY)
	$(BIN)/python -m chalkgrad.demo

# What cannot be had here, the bench names and leaves out.
bench: $(READY)
	-$(PIP) install --group bench
	$(BIN)/python -m bench.run $(BENCH)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
