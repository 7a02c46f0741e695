# One verb for each task; each works alone on a fresh clone that has python3 (3.11 or later) and make.
# `make help` lists them.

PYTHON ?= python3
# Many tests wait for servers of their own, so that some more workers than processors keep these busy.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); \
	if [ "$$n" -gt 4 ]; then echo "$$n"; else echo 4; fi)
PYTEST_ARGUMENTS ?=
BENCH_ARGUMENTS ?=
UP_ARGUMENTS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# mypy looks for a folder named like the package; here stands one that is the repository itself.
SOURCE_LINK := $(VENV)/source/clustrio
# Generators know by themselves what is stale: each takes --check.
GENERATORS := $(patsubst tools/gen/%.py,%,$(filter-out tools/gen/__init__.py,$(wildcard tools/gen/*.py)))

.DEFAULT_GOAL := help
.PHONY: help install up test check format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## create the virtual environment and install everything into it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Clustrio needs Python 3.11 or later: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "python3 cannot make virtual environments here: install its venv module" >&2; \
		echo "(Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@mkdir -p $(dir $(SOURCE_LINK))
	@ln -sfn ../.. $(SOURCE_LINK)
	@touch $(STAMP)

up: $(STAMP) ## start a local cluster and show it (UP_ARGUMENTS='--masters 5')
	$(BIN)/clustrio up $(UP_ARGUMENTS)

test: $(STAMP) ## run all tests in parallel (PYTEST_ARGUMENTS='-k resp')
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGUMENTS)

check: $(STAMP) ## lint, formatting, types, the laws of the repository, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(dir $(SOURCE_LINK)) $(BIN)/mypy --strict --package clustrio
	$(BIN)/python -m clustrio.tools.check.tidy
	@set -e; for generator in $(GENERATORS); do \
		echo "$(BIN)/python -m clustrio.tools.gen.$$generator --check"; \
		$(BIN)/python -m clustrio.tools.gen.$$generator --check; \
	done

format: $(STAMP) ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure against redis-server (BENCH_ARGUMENTS='--quick')
	$(BIN)/python -m clustrio.tools.bench $(BENCH_ARGUMENTS)
	$(if $(BENCH_ARGUMENTS),,$(BIN)/python -m clustrio.tools.bench.migration)

clean: ## remove the virtual environment, caches and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
