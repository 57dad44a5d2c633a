# Highwater's habits. Needs python3 (3.11 to 3.13) with its venv module, and make; the rest is installed into .venv.
.DEFAULT_GOAL := help
.PHONY: help demo demo-labs test test-crash test-peers test-web screenshots test-sources test-dask check bench bench-baseline bench-compare lock clean

PYTHON ?= python3
BIN := .venv/bin
# Some systems switch compiled bytecode off; without it every start takes three times as long.
export PYTHONDONTWRITEBYTECODE :=
UV := $(BIN)/uv

# Two files of tests at a time, each file in one process.
TWO := -n 2 --dist loadfile

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):[^#]*## /make \1	/p' $(MAKEFILE_LIST)

demo: .venv/installed ## a made-up market, from alerts to a verdict
	@$(BIN)/python -m highwater demo

demo-labs: .venv/installed ## HaasOnline's labs from a server that is made up, from the login to a report
	@$(BIN)/python -m highwater labs demo

test: .venv/installed ## every test, then the kernels' again without compilation
	$(BIN)/python -m pytest $(TWO)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest $(TWO) tests/kernels

test-crash: .venv/installed ## kill what writes, and let the disk fail it, at each of its system calls; needs strace
	@command -v strace >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends strace; } || \
		{ echo 'strace is missing and was not installed: apt-get install strace' >&2; exit 1; }
	$(BIN)/python -m pytest tests/crash

test-peers: .venv/peers/installed ## our statistics and indicators beside those of arch, scipy and TA-Lib
	.venv/peers/bin/python -m pytest tests/peers

test-web: .venv/web/installed ## report, API and dashboard in a real browser; needs chromium
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends chromium; } || \
		{ echo 'chromium is missing and was not installed: apt-get install chromium' >&2; exit 1; }
	.venv/web/bin/python -m pytest $(TWO) tests/web

screenshots: .venv/web/installed ## the pictures of the guides, anew; needs chromium
	PYTHONPATH=tests:tests/web .venv/web/bin/python tests/web/screenshots.py

test-sources: .venv/sources/installed ## real ClickHouse engines and an S3 server, started and stopped by the tests
	@command -v clickhouse-server >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends clickhouse-server; } || \
		{ echo 'clickhouse-server is missing and was not installed: apt-get install clickhouse-server' >&2; exit 1; }
	.venv/sources/bin/python -m pytest tests/sources

test-dask: .venv/installed ## searches on a Dask cluster, a worker killed in the middle
	$(BIN)/python -m pytest tests/dask

check: .venv/installed ## style, types and floors
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

bench: .venv/installed $(if $(PEERS),.venv/peers/installed) ## how fast it is, here; PEERS=1 beside others, FIGURES=1 into bench/FIGURES.md, ONLY='FILE ...'
	$(if $(PEERS),.venv/peers/bin,$(BIN))/python -m pytest $(or $(ONLY),bench) --benchmark-only $(if $(FIGURES),--figures)

FAST := bench/test_paths.py bench/test_search.py bench/test_peers.py -k 'path_metrics or ours or search and not memory'
bench-baseline: .venv/installed ## keep how our ways stand to plain ones, from the fast part of the bench
	$(BIN)/python -m pytest $(FAST) --benchmark-only --ratios keep

bench-compare: .venv/installed ## hold the same ratios against those kept
	$(BIN)/python -m pytest $(FAST) --benchmark-only --ratios compare

lock: .venv/bin/uv ## choose the versions anew
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml --all-extras --group dev -o requirements.lock
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml --all-extras --group peers \
		-c requirements.lock -o requirements-peers.lock
	for group in web sources; do \
		$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate \
			--no-emit-index-url --no-emit-find-links pyproject.toml --all-extras --group dev --group $$group \
			-c requirements.lock -o requirements-$$group.lock || exit 1; done

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

# Venvs of their own: what peers, browsers and engines need besides must not be there when we are tested.
.venv/%/installed: requirements-%.lock pyproject.toml | .venv/bin/uv
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv/$*
	@$(UV) pip install --quiet --python .venv/$*/bin/python --require-hashes -r requirements-$*.lock
	@$(UV) pip install --quiet --python .venv/$*/bin/python --no-deps --no-build-isolation -e .
	@touch $@
