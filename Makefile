# Each target works on a fresh machine by itself: Python 3.11+ with venv, Node.js 20+ with npm, make and git.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

VENV ?= .venv
PY := $(VENV)/bin/python
# An index of torch's CPU wheels, asked when none that pip is configured with has them; see .ci/pip-install.
TORCH_INDEX ?=
CONSTRAINTS ?= constraints-cpu.txt
PYTEST_ARGS ?=
WEB := client/web
PAGE := server/nanobana_server/static/index.html
PICTURES := engine/nanobana_engine/assets/data/nanobana.pack
WEB_SOURCES := $(shell find $(WEB) \( -name node_modules -o -name test-results \) -prune -o -type f -print 2>/dev/null | sed 's/ /\\ /g')
PIP := $(PY) -m pip --disable-pip-version-check
step = @printf '\033[2m==>\033[0m %s\n' "$(1)"

.PHONY: help install run test check bench types soak nano nano-check assets web e2e-deps wheel wheel-check clean

help: ## This list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed $(PAGE) $(PICTURES) ## Environment, web client and pictures, without starting anything

run: install ## Start nanobana: store, server and engine; PORT and NANOBANA_DATA are respected
	@exec $(VENV)/bin/nanobana serve

test: install e2e-deps ## Every test but the soak, browsers included
	$(call step,pytest)
	@$(PY) -m pytest -m "not soak" $(PYTEST_ARGS)

check: $(VENV)/.installed $(WEB)/node_modules/.installed ## Formatting, lint, types, import rules, type drift, container files
	@$(MAKE) -k check-style check-types check-imports check-wire check-web check-containers
	@echo "check: all good"

.PHONY: check-style check-types check-imports check-wire check-web check-containers
check-style:
	$(call step,ruff)
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check . || { echo "Not formatted: run $(VENV)/bin/ruff format ."; exit 1; }

check-types:
	$(call step,mypy --strict)
	@$(VENV)/bin/mypy --no-error-summary
	@MYPYPATH=benchmarks $(VENV)/bin/mypy --no-error-summary benchmarks

check-imports:
	$(call step,import rules)
	@.ci/quietly $(VENV)/bin/lint-imports --no-logo

check-wire:
	$(call step,TypeScript types against the protocol)
	@$(PY) -m nanobana.protocol.typescript --check

check-web:
	$(call step,web client)
	@.ci/quietly npm --prefix $(WEB) run check

check-containers:
	$(call step,container files)
	@$(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	@if [ -x $(VENV)/bin/hadolint ]; then $(VENV)/bin/hadolint docker/*.Dockerfile; \
	  else echo "skipped: hadolint (no wheel with its binary for this machine)"; fi

types: $(VENV)/.installed ## Write the web client's types from nanobana.protocol
	@$(PY) -m nanobana.protocol.typescript

bench: install e2e-deps ## Every benchmark; each prints one JSON object on its last line
	@for file in benchmarks/[a-z]*.py; do printf '\033[2m==>\033[0m %s\n' "$$file"; $(PY) "$$file"; done

soak: install e2e-deps ## The long tests
	@.ci/pip-install $(PY) $(CONSTRAINTS) "$(TORCH_INDEX)" --editable '.[all,dev,soak]'
	@$(PY) -m pytest -m soak --hypothesis-profile=default $(PYTEST_ARGS)

nano: $(VENV)/.installed $(PICTURES) ## Train the shipped model from nothing (hours)
	@$(PY) -m nanobana_engine.models.nano.train --schedule ship

nano-check: $(VENV)/.installed $(PICTURES) ## Train a few minutes; must beat the prefill
	@$(PY) -m nanobana_engine.models.nano.check

assets: $(PICTURES) ## Pack the pictures and names that nano knows

web: $(PAGE) ## Build the web client

wheel: install ## The wheel, with the web client and the pictures in it
	$(call step,wheel)
	@rm -rf dist && .ci/quietly $(VENV)/bin/hatchling build -t wheel && ls -s --block-size=K dist/*.whl

wheel-check: wheel ## Install the wheel into a clean environment and start it
	@VENV=$(VENV) CONSTRAINTS=$(CONSTRAINTS) TORCH_INDEX="$(TORCH_INDEX)" .ci/wheel-check

clean: ## Remove what was built; data and the environment stay
	@rm -rf dist server/nanobana_server/static engine/nanobana_engine/assets/data $(WEB)/node_modules engine/assets/node_modules
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(VENV)/.installed

$(VENV)/bin/python:
	$(call step,Python environment in $(VENV))
	@python="$$(.ci/find-python)" && "$$python" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt constraints-cpu.txt | $(VENV)/bin/python
	$(call step,Python packages (torch's CPU build alone is about 200 MB))
	@.ci/pip-install $(PY) $(CONSTRAINTS) "$(TORCH_INDEX)" --editable '.[all,dev]'
	@touch $@

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json
	$(call step,npm packages of the web client)
	@.ci/need-node && .ci/quietly npm --prefix $(WEB) ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGE): $(WEB)/node_modules/.installed $(WEB_SOURCES)
	$(call step,web client)
	@.ci/quietly npm --prefix $(WEB) run build
	@touch $@

engine/assets/node_modules/.installed: engine/assets/package-lock.json
	$(call step,npm packages of the pictures)
	@.ci/need-node && .ci/quietly npm --prefix engine/assets ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PICTURES): engine/assets/node_modules/.installed engine/nanobana_engine/assets/build.py | $(VENV)/.installed
	$(call step,pictures and names)
	@$(PY) -m nanobana_engine.assets.build
	@touch $@

e2e-deps: ## Chromium for the browser tests, through apt-get when root
	@.ci/need-chromium
