# Each target makes its own virtual environment in .venv; nothing has to be prepared but Python 3.11+, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_SECONDS ?= 45
PYTEST_ARGS ?=
# One test at a time to each worker (it always has the next one at hand), so that none is left with the longest.
SPREAD := -n auto --maxschedchunk 1

.PHONY: help demo test bench soak lint format clean
help:
	@echo "make demo    broker, gateway, three twins with the real firmware and 200 flock tags, $(DEMO_SECONDS) s (DEMO_SECONDS=)"
	@echo "make test    every test this machine can run"
	@echo "make bench   measure speed and memory into build/bench.json"
	@echo "make soak    the long forms: fuzzing, power cuts, kills"
	@echo "make lint    ruff, mypy for host packages, tests and benchmarks, and for the firmware"

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tagstack needs Python 3.11 or later; choose one with: make PYTHON=python3.12 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "no venv module: on Debian or Ubuntu, install the package python3-venv"; exit 2; }
	@echo "installing into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/tagfleet demo --seconds $(DEMO_SECONDS)

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(SPREAD) $(PYTEST_ARGS)

$(VENV)/.soak: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[soak]'
	@touch $@

soak: $(VENV)/.soak
	$(BIN)/python -m pytest $(SPREAD) -m soak --timeout 3600 $(PYTEST_ARGS)

$(VENV)/.bench: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@{ command -v cmake >/dev/null && $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[theengs]'; } || \
	  echo "TheengsGateway cannot be built here (cmake, C++ compiler): the gateway is measured without this peer"
	@touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" sh firmware/lint.sh

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache
