# `make run` and `make test` are all a fresh machine needs; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
PIP_FLAGS := --quiet --disable-pip-version-check
SOURCES := $(shell find gateway twisted etc -type f -not -name '*.pyc' -not -name dropin.cache)
# Tests see the checkout, also in the programs they start; tests/system/test_wheel.py sees the wheel.
export PYTHONPATH := $(CURDIR)
# Tests start hundreds of processes; none should compile again what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE
PORT_BASE ?= 10000
FUZZ_SECONDS ?= 600
# So many files of tests at once.
TESTS_AT_ONCE ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test lint fast system fuzz crash bench bench-directory bench-queue bench-scale image-check clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed  ## start the demo in the foreground
	$(BIN)/twistd --nodaemon --pidfile= gateway --demo $(DEMO) --port-base $(PORT_BASE)

test: $(VENV)/.test-installed lint  ## every check and every test
	tests/install-servers
	$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist loadfile

lint: $(VENV)/.test-installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fast: $(VENV)/.test-installed  ## the tests that need no other server
	$(BIN)/python -m pytest --ignore tests/system --ignore tests/crash

system: $(VENV)/.test-installed  ## the tests with real servers and clients
	tests/install-servers
	$(BIN)/python -m pytest tests/system

fuzz: $(VENV)/.test-installed  ## octets nobody thought of against the SMTP core, FUZZ_SECONDS=600
	test -d .fuzz/atheris || $(BIN)/pip install $(PIP_FLAGS) --target .fuzz/atheris 'atheris>=3,<4'
	PYTHONPATH=$(CURDIR):$(CURDIR)/.fuzz/atheris \
		$(BIN)/python -m tests.fuzz.smtp_server --seconds $(FUZZ_SECONDS)

crash: $(VENV)/.test-installed  ## stop and fail the store at every call, kill it, cut its power
	tests/install-servers
	$(BIN)/python -m tests.crash.every_call
	$(BIN)/python -m tests.crash.failing_calls
	$(BIN)/python -m tests.crash.kill_loop
	$(BIN)/python -m tests.crash.kill_loop --workers 3
	$(BIN)/python -m tests.crash.queue_kills
	$(BIN)/python -m tests.crash.queue_kills --workers 1
	$(BIN)/python -m tests.crash.power_cut

bench: $(VENV)/.test-installed  ## mail received and passed on per second beside Postfix, and the store
	tests/install-servers
	$(BIN)/python -m tests.bench.inbound
	$(BIN)/python -m tests.bench.relay
	$(BIN)/python -m tests.bench.recipients
	$(BIN)/python -m tests.bench.connections
	$(BIN)/python -m tests.bench.store

bench-directory: $(VENV)/.test-installed  ## logins beside Dovecot's, outages, 100,000 people
	tests/install-servers
	$(BIN)/python -m tests.bench.login
	$(BIN)/python -m tests.bench.outage
	$(BIN)/python -m tests.bench.picture
	$(BIN)/python -m tests.bench.listing

bench-queue: $(VENV)/.test-installed  ## a queue of a million messages beside one of a thousand
	$(BIN)/python -m tests.bench.queue

bench-scale: $(VENV)/.test-installed  ## a mailbox of a million messages beside one of a thousand
	$(BIN)/python -m tests.bench.scale

image-check: $(VENV)/.test-installed  ## build the container and send one message through it
	tests/image/check.sh

clean:  ## remove what the targets above made
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .hypothesis .fuzz $(DEMO)
	find . -name __pycache__ -prune -exec rm -rf {} +

# Installed, not editable: twistd finds plugins in real folders only, and an editable install has
# none. So the demo is installed again when a source has changed.
$(VENV)/.installed: setup.cfg pyproject.toml $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	rm -rf build
	$(BIN)/pip install $(PIP_FLAGS) .
	touch $@

$(VENV)/.test-installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(PIP_FLAGS) '.[test]'
	touch $@
