# The entry point: `make help` lists what there is. Each command makes the environments it needs, and only when they changed.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Compiled once, the heavy packages import in a third of the time; a shell that forbids that would pay on every start.
unexport PYTHONDONTWRITEBYTECODE

PY := .venv/bin/python
SOURCES := libs services pipelines charts tools tests
DEMO_ARGS ?=
TEST_ARGS ?= -n 2 --dist worksteal
FAULTS_ARGS ?=
UP_ARGS ?= -d
DEPLOY_ARGS ?=
IMAGES_ARGS ?=
E2E_ARGS ?=
DOCS_ARGS ?= build --strict

# Any Python can start the bootstrap; it looks for 3.12 or 3.11 itself. A name on PATH may be a shim that does not run.
STARTER = $(shell for one in .tools/bin/python python3 python3.12 python3.11 python; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1 && { echo $$one; break; }; done)

define bootstrap
@starter="$(STARTER)"; test -n "$$starter" || { echo "Capstan needs Python 3.12 (or 3.11), and none was found." >&2; exit 1; }; \
	PYTHONDONTWRITEBYTECODE=1 "$$starter" tools/bootstrap.py $(1)
endef

.PHONY: help
help: ## this list
	@echo "Capstan: an ML platform on a laptop and on Kubernetes. Commands:"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: ## the whole loop on real data: from source files to a watched, retrained model (DEMO_ARGS)
	$(call bootstrap,all)
	@cd pipelines/flight-delay && ../../$(PY) -m demo $(DEMO_ARGS)

.PHONY: up
up: ## start the platform in the background (UP_ARGS, default -d)
	$(call bootstrap,all)
	@.venv/bin/capstan up $(UP_ARGS)

.PHONY: down
down: ## stop the platform
	$(call bootstrap,platform)
	@.venv/bin/capstan down

.PHONY: test
test: ## every test, three killed parts among them; names the ten slowest (TEST_ARGS)
	$(call bootstrap,all)
	@$(PY) -m pytest --durations=10 $(TEST_ARGS)

.PHONY: faults
faults: ## kill processes at random moments and check that nothing is lost or doubled (FAULTS_ARGS)
	$(call bootstrap,all)
	@$(PY) -m pytest tests/faults --seeds 12 $(FAULTS_ARGS)

.PHONY: calibrate
calibrate: ## simulate what the statistics claim, and write tables and pictures into docs/statistics (CALIBRATE_ARGS, hours)
	$(call bootstrap,all)
	@PYTHONPATH=tools $(PY) -m calibration --whole --write $(CALIBRATE_ARGS)

.PHONY: images
images: ## build the six container images with Docker, and print their sizes (IMAGES_ARGS)
	$(call bootstrap,platform)
	@$(PY) tools/images.py $(IMAGES_ARGS)

.PHONY: charts
charts: ## write what is generated of the charts, and put their dependencies in place for helm
	$(call bootstrap,platform)
	@$(PY) tools/chart_files.py write vendor

.PHONY: kind-up
kind-up: ## make a kind cluster with ports, and bring the images there (needs Docker and kind)
	$(call bootstrap,platform)
	@kind get clusters 2>/dev/null | grep -qx capstan || kind create cluster --name capstan --config k8s/kind/cluster.yaml
	@$(PY) tools/images.py --load "kind load docker-image --name capstan" $(IMAGES_ARGS)

.PHONY: kind-down
kind-down: ## remove that cluster
	@kind delete cluster --name capstan

.PHONY: deploy
deploy: ## install or upgrade the platform in kubectl's current context; asks the first time (DEPLOY_ARGS)
	$(call bootstrap,platform)
	@$(PY) tools/deploy.py up $(DEPLOY_ARGS)

.PHONY: undeploy
undeploy: ## remove it from there; data stays unless DEPLOY_ARGS=--remove-data
	$(call bootstrap,platform)
	@$(PY) tools/deploy.py down $(DEPLOY_ARGS)

.PHONY: test-e2e
test-e2e: ## the demo's story on the cluster of the current context, then pods are deleted and releases changed (E2E_ARGS)
	$(call bootstrap,platform)
	@cd pipelines/flight-delay && PYTHONPATH=../../tests:../../tools:. ../../$(PY) -m e2e $(E2E_ARGS)

.PHONY: reference
reference: ## write docs/reference: loop schema, REST, events, commands, settings, errors
	$(call bootstrap,platform)
	@PYTHONPATH=tools $(PY) tools/reference.py write

.PHONY: docs
docs: ## build the documentation site into build/site (DOCS_ARGS, serve instead: make docs DOCS_ARGS=serve)
	$(call bootstrap,platform docs)
	@PYTHONPATH=tools $(PY) tools/reference.py write
	@.venvs/docs/bin/zensical $(DOCS_ARGS)

.PHONY: lint
lint: ## formatting, style and the borders between parts
	$(call bootstrap,platform)
	@$(PY) -m ruff format --check $(wildcard $(SOURCES))
	@$(PY) -m ruff check --quiet $(wildcard $(SOURCES))
	@.venv/bin/lint-imports --no-logo

.PHONY: fmt
fmt: ## put the code into its standard form
	$(call bootstrap,platform)
	@$(PY) -m ruff format --quiet $(wildcard $(SOURCES))
	@$(PY) -m ruff check --fix --quiet $(wildcard $(SOURCES))

.PHONY: types
types: ## check every type, strictly
	$(call bootstrap,platform)
	@$(PY) -m mypy $(wildcard $(filter-out pipelines,$(SOURCES)))
	@$(PY) -m mypy $(wildcard pipelines)

.PHONY: check
check: lint types test ## what has to pass before a change lands

.PHONY: setup
setup: ## make all environments without doing anything else
	$(call bootstrap,all)

.PHONY: lock
lock: ## resolve all dependencies again (LOCK_ARGS=--upgrade for the newest versions)
	$(call bootstrap,)
	@.tools/bin/python tools/lock.py $(LOCK_ARGS)

.PHONY: clean
clean: ## remove environments and caches; the platform's data (.capstan) stays
	rm -rf .venv .venvs .tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find libs services pipelines tools tests -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
