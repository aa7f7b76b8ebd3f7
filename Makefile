# Works with GNU make 3.81 (macOS) and newer. `make help` lists the targets.

PYTHON ?= python3
ARGS ?=

VENV := .venv/bin
RUN := $(VENV)/python -m
SETUP := $(PYTHON) -m tools.setup

.DEFAULT_GOAL := help
.PHONY: help setup environment chat test lint check format bench wheel clean distclean

help: ## show this list
	@echo "make TARGET, with one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## make the environment in .venv, with the program and the demo model
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, and there is no $(PYTHON): sudo apt-get install python3 python3-venv (Debian), brew install python@3.13 (macOS)." >&2; exit 1; }
	@$(SETUP)

# What the other targets need; says nothing when it is there.
environment:
	@command -v $(PYTHON) >/dev/null || $(MAKE) setup
	@$(SETUP) --quiet

chat: environment ## open the terminal app (ARGS="..." for its options)
	@$(VENV)/urial $(ARGS)

test: environment ## run the tests (ARGS="..." for pytest's options)
	@$(RUN) pytest -n 3 --dist worksteal $(ARGS)

lint: environment ## check format, style and types
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy

check: lint test ## lint, then test

format: environment ## format the code, and correct what can be corrected by rule
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

bench: environment ## measure the engine with the demo model (ARGS="..." for options)
	@$(VENV)/urial bench $(ARGS)

wheel: environment ## build the wheel into dist/
	@$(RUN) pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist

clean: ## remove what building and testing left
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis snapshot_report.html
	find urial_tui tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv too; the compiled engine stays in the user's cache
	rm -rf .venv .cache
