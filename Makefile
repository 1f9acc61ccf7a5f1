# The commands of the house; `make` alone lists them. Needs python3 (3.11 or newer) with pip, make and git.
# Everything else is put into .tool (uv) and .venv, pinned and hashed by requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
UV := .tool/bin/uv

export UV_SYSTEM_CERTS := 1
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export PIP_ROOT_USER_ACTION := ignore
ifneq ($(shell test -d "$$HOME" -a -w "$$HOME" && echo writable),writable)
export UV_CACHE_DIR ?= $(CURDIR)/.tool/cache
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all workers measure check lint lock clean
.DELETE_ON_ERROR:

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: .venv/installed ## Install everything into .venv (quick when nothing changed)

demo: setup ## Watch a leak being found, on a server of its own; ends by itself
	$(BIN)/sentinel demo

test: setup ## Run the tests that take moments
	$(BIN)/pytest -m "not slow"

test-all: setup workers ## Run every test
	$(BIN)/pytest

workers: .tool/workers/installed ## Install the real job libraries that test-all runs (.tool/workers, .tool/node)

measure: setup ## Print the tables under "Measured" in README.md (takes long; LAB=path of lab.py adds the lab's)
	$(BIN)/python -m tests.bench.simulation --seed $(or $(SEED),7) --jobs 2
ifdef LAB
	$(BIN)/python -m tests.bench.lab $(LAB) run .tool/lab \
	  $(foreach seed,$(or $(LAB_SEEDS),11 12),$(addsuffix :$(seed),$(shell $(PYTHON) $(LAB) list | cut -d' ' -f1)))
	$(BIN)/python -m tests.bench.lab $(LAB) table .tool/lab
endif

check: lint test ## What must be green before a push: style, types, imports, tests

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

lock: $(UV) ## Rewrite requirements.lock from pyproject.toml; LOCK=--upgrade takes newer versions
	$(UV) pip compile --quiet --universal --python-version 3.11 --all-extras --group dev $(LOCK) \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  pyproject.toml --output-file requirements.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --group pyproject.toml:workers $(LOCK) \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --output-file tests/workers/requirements.lock

clean: ## Remove what setup and the tools made
	rm -rf .venv .tool .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

# uv itself comes from the lock too: its lines are cut out, so that even the first download is checked.
$(UV): requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Sentinel needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=...")'
	@mkdir -p .tool
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .tool/uv.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --require-hashes --target .tool -r .tool/uv.txt
	@touch $@

.venv/installed: requirements.lock pyproject.toml $(UV)
	@$(BIN)/python -c "" 2>/dev/null || $(UV) venv --quiet --clear --python $(PYTHON) .venv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The job libraries want other versions of what we use, so they have an environment of their own.
.tool/workers/installed: tests/workers/requirements.lock tests/workers/package.json $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) .tool/workers
	$(UV) pip install --quiet --python .tool/workers/bin/python --require-hashes -r tests/workers/requirements.lock
	@mkdir -p .tool/node && cp tests/workers/package.json .tool/node/
	@if command -v npm >/dev/null; then \
	  npm install --prefix .tool/node --silent --no-package-lock --no-audit --no-fund; \
	else \
	  echo "npm is not installed: the tests of Node's job libraries will be skipped"; rm -rf .tool/node; \
	fi
	@touch $@
