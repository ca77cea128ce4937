VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
RECORDED := benchmarks/recorded

# Tests start hundreds of Pythons: without byte code on disk each would compile all of twin again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup run secrets test test-external soak crash-test library-rounds bench bench-docs lint docs lock release clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install the locked dependencies

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP) ## run the patrol scenario to its verdict on an embedded nats-server
	$(BIN)/twin run scenarios/patrol.yaml

secrets: $(STAMP) ## make the passwords of compose.yaml in deploy/secrets, and .env with who may read them
	$(BIN)/twin spec generate specs/BotSpec.yaml -o deploy/generated --secrets deploy/secrets
	@test -s deploy/secrets/grafana-password || (umask 077; $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(24))' > deploy/secrets/grafana-password)
	@if [ "$$(id -u)" = 0 ]; then chown -R 10001:10001 deploy/secrets; ids='10001 10001'; else ids="$$(id -u) $$(id -g)"; fi; \
	  printf 'TWIN_UID=%s\nTWIN_GID=%s\n' $$ids > .env

test: $(STAMP) ## run every test that needs Python only
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not external"

test-external: $(STAMP) ## run the tests that need promtool and other programs (.ci/tools brings them)
	$(BIN)/python -m pytest tests/acceptance -n 2 --dist worksteal -m external

soak: $(STAMP) ## ten million events over three broker kills, every copy counted (15 GB of disk)
	$(BIN)/twin bench soak --events 10M --kills 3

crash-test: $(STAMP) ## the registrar's crash campaigns in their long setting (an hour or two)
	TWIN_CRASH=long $(BIN)/python -m pytest -s --timeout=14400 tests/unit/test_registrar_crash.py tests/integration/test_registrar_kills.py

library-rounds: $(STAMP) ## the library of scenarios ROUNDS times, JOBS at a time: the same verdicts each time
	$(BIN)/python tests/acceptance/library_rounds.py --rounds $(or $(ROUNDS),20) --jobs $(or $(JOBS),2)

bench: $(STAMP) ## the pieces beside their alternatives, by pytest-benchmark
	$(BIN)/python -m pytest benchmarks -o addopts= --benchmark-only --benchmark-group-by=func

bench-docs: $(STAMP) ## record every benchmark on this machine and write docs/benchmarks.md anew
	$(BIN)/twin bench pieces --repeats 10 --json $(RECORDED)/pieces.json
	-$(BIN)/python benchmarks/bench_planes.py --json $(RECORDED)/planes.json
	-$(BIN)/python benchmarks/bench_encode.py --json $(RECORDED)/encode.json
	$(BIN)/twin bench traffic --messages 100000 --rounds 5 --json $(RECORDED)/traffic.json
	$(BIN)/twin bench flow --json $(RECORDED)/flow.json
	$(BIN)/twin bench scale --json $(RECORDED)/scale.json
	$(BIN)/twin bench payload --json $(RECORDED)/payload.json
	$(BIN)/twin bench lag --json $(RECORDED)/lag.json
	$(BIN)/twin bench registrar --rounds 8 --json $(RECORDED)/registrar.json
	$(BIN)/twin bench registrar-fleet --rounds 3 --json $(RECORDED)/registrar-fleet.json
	$(BIN)/twin bench report $(RECORDED) --page docs/benchmarks.md

lint: $(STAMP) ## ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

docs: $(STAMP) ## write the generated pages: docs/reference, docs/library.md, specs/schema
	$(BIN)/python -m twin.reference.pages .

release: $(STAMP) ## build wheel and sdist, install the wheel into an empty environment and smoke it
	rm -rf dist build/release
	$(BIN)/hatchling build
	$(PYTHON) -m venv build/release
	build/release/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	build/release/bin/python -m pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	cd build/release && bin/twin smoke && bin/twin run builtin:patrol --var bots=5 --out runs
	@ls -l dist

lock: $(STAMP) ## resolve the dependencies again into both lock files
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --group dev pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --group build -o requirements-build.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --group external -o tests/external/requirements.lock

clean: ## remove what setup, tests and builds left
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
