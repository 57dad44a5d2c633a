# Highwater's habits. Needs python3 (3.11 to 3.13) with its venv module, and make; the rest is installed into .venv.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench lock clean

PYTHON ?= python3
BIN := .venv/bin
# Some systems switch compiled bytecode off; without it every start takes three times as long.
export PYTHONDONTWRITEBYTECODE :=
UV := $(BIN)/uv

help: ## list these commands
	@sed -n 's/^\([a-z]*\):[^#]*## /make \1	/p' $(MAKEFILE_LIST)

demo: .venv/installed ## a made-up market, from alerts to a verdict
	@$(BIN)/python -m highwater demo

test: .venv/installed ## every test, then the kernels' again without compilation
	$(BIN)/python -m pytest
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest tests/kernels

check: .venv/installed ## style, types and floors
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

bench: .venv/installed ## how fast it is, here
	$(BIN)/python -m pytest bench --benchmark-only -o python_files='bench_*.py test_*.py' $(if $(FIGURES),--figures)

lock: .venv/bin/uv ## choose the versions anew
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml --all-extras --group dev -o requirements.lock

clean: ## remove all that the other commands made, except runs
	rm -rf .venv build dist *.egg-info .hypothesis .benchmarks .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/uv:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'python3 cannot make virtual environments here: apt-get install python3-venv' >&2; exit 1; }
	@echo 'setting up .venv, once'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/installed: requirements.lock pyproject.toml | .venv/bin/uv
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
