# Two commands for a newcomer: `make demo` shows the main job without root, `make test` proves it.
# The rest is for who works on it; `make help` lists everything.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
# Unit tests compute, those of the lab wait for most of their time. `make unit UNIT_WORKERS=0` runs them one by one.
UNIT_WORKERS := $(shell expr $$(nproc) + 1)
LAB_WORKERS := $(shell expr $$(nproc) + 1)
SHARED := --maxprocesses 16
# Else each worker compiles every test anew, which costs it ten seconds.
unexport PYTHONDONTWRITEBYTECODE
# What the lab and the tests of real systems need beyond Python.
PACKAGES := iproute2 nftables keepalived faketime prometheus mosquitto mosquitto-clients openssl procps spin gcc \
	libc6-dev chromium fonts-dejavu-core systemd systemd-container dbus polkitd python3-venv mandoc

.PHONY: help demo test check lint unit lab fuzz figures clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(STAMP)  ## a failover to watch, on loopback
	@$(BIN)/hafailover demo $(ARGS)

test: check unit lab  ## everything

check: $(STAMP) lint  ## style, types, layers

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(STAMP)  ## unit, property and scenario tests
	$(BIN)/pytest -q -n $(UNIT_WORKERS) $(SHARED) -m "not lab and not system" tests

lab: $(STAMP) .packages  ## real daemons in network namespaces, real tools (root)
	$(BIN)/pytest -q -n $(LAB_WORKERS) $(SHARED) -m "(lab or system) and not alone" tests
	$(BIN)/pytest -q -m alone tests

fuzz: $(STAMP)  ## every parser, 20 s each
	$(BIN)/python -m tests.fuzz.run --seconds 20

figures: $(STAMP) .packages  ## the figures of the README, measured here beside keepalived (root)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[mutation]'
	$(BIN)/python -m benchmarks.figures $(ARGS)

$(STAMP): pyproject.toml
	@tools/venv $(VENV)
	@touch $@

.PHONY: .packages
.packages:
	@tools/packages $(PACKAGES)

clean:  ## remove what was made here
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
