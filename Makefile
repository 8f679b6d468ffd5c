# The front door. Needs python3 (3.11 to 3.14, with venv), make and a POSIX shell; everything
# else is installed into .venv from uv.lock. No target uses an absolute path, so a checkout
# path with spaces works.

.DEFAULT_GOAL := help
.PHONY: help install demo dev test prove test-fast lint format docs site soak benchmark wheel clean

TEST_WORKERS ?= 2
# By file, for many files build something once; in the order of the folders, slow ones first, so
# that no worker is left alone with a long file at the end.
SHARED = -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
SEEDS ?= 200
FROM ?= 1
ARGS ?=

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

install: ## install everything, tests and lint included, into .venv
	@scripts/install.sh dev

demo: ## show a whole story on this machine: simulator, Postgres, Dagster (make demo UI=1 keeps the UI open)
	@scripts/install.sh runtime
	@.venv/bin/adsync demo $(if $(UI),--ui) $(ARGS)

dev: ## start Dagster's UI and daemon on this machine
	@scripts/install.sh runtime
	@.venv/bin/adsync dev $(ARGS)

test: install ## run the tests, all but the long proofs (one file: make test ARGS=tests/unit/test_cli.py)
	@.venv/bin/python -m pytest $(SHARED) -m "not proof" $(ARGS)

prove: install ## run the long proofs: drawn worlds, planted bugs, faults everywhere, killed processes
	@.venv/bin/python -m pytest $(SHARED) -m proof $(ARGS)

test-fast: install ## run the tests that take less than ten seconds each
	@.venv/bin/python -m pytest $(SHARED) -m "not slow and not proof" $(ARGS)

lint: install ## check style, types, the import contract and the SQL
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

format: install ## let ruff rewrite the code
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

docs: install ## put the help of every command into docs/cli.md, every table and view into docs/sql.md and dbt/
	@.venv/bin/python scripts/update_cli_docs.py
	@.venv/bin/python scripts/update_sql_docs.py
	@.venv/bin/python scripts/update_dbt_sources.py

site: install ## build the documentation's site into site/; a broken link fails
	@UV_PROJECT_ENVIRONMENT=.venv-docs .venv/bin/uv sync --quiet --locked --only-group docs --python .venv/bin/python
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

soak: install ## play SEEDS drawn runs of the whole engine, each judged (make soak SEEDS=500 FROM=1 JOBS=2)
	@.venv/bin/adsync simulate run --seeds $(FROM)..$$(( $(FROM) + $(SEEDS) - 1 )) $(if $(JOBS),--jobs $(JOBS))

benchmark: install ## measure throughput on this machine
	@.venv/bin/python -m benchmarks $(ARGS)

wheel: install ## build the wheel into dist/
	@.venv/bin/python -m hatchling build --target wheel --directory dist

clean: ## remove .venv, caches, site and dist (never .adsync: that is data)
	@rm -rf .venv .venv-docs site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
