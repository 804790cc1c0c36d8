# Everything lives in .venv and .lab here, and in the user's cache: nothing is installed into the system.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Settings of this environment's JupyterLab: it asks nobody for news or updates.
QUIET := $(VENV)/share/jupyter/lab/settings
# LAB_BROWSER=0 prints the address instead of opening a browser. LAB_ROOT is the folder that JupyterLab shows.
LAB_BROWSER ?= 1
LAB_ROOT ?= $(CURDIR)
# The runs of whole notebooks. APART=.ci/offline makes them without a network.
RUNS := tests/test_notebook_runs.py
APART ?=

.PHONY: help setup lab demo notebooks minutes test test-notebooks test-all check bench clean
.DEFAULT_GOAL := help

help: ## Show these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'

# Debian's python3 comes without pip: .ci/get_pip.py then brings it into the environment.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"labkit needs Python 3.11 or newer, this is {sys.version.split()[0]}: run  make PYTHON=/path/to/python3.12 lab")'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(BIN)/python .ci/get_pip.py; }

$(READY): pyproject.toml | $(BIN)/pip
	@echo "Installing labkit and its libraries into $(VENV) (about a minute, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@mkdir -p $(QUIET) && echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' > $(QUIET)/overrides.json
	@touch $@

setup: $(READY) ## Create .venv, install labkit, find or fetch Prometheus and Alertmanager
	@$(BIN)/python -m labkit.stack.binaries

lab: setup ## Open the lab in JupyterLab
	@if [ "$$(id -u)" = 0 ]; then echo "You are root: passing --allow-root to JupyterLab."; root=--allow-root; fi; \
	if [ "$(LAB_BROWSER)" = 0 ]; then browser=--no-browser; fi; \
	PATH="$(CURDIR)/$(BIN):$$PATH" exec $(BIN)/jupyter lab $$root $$browser --ServerApp.ip=127.0.0.1 \
	  --ServerApp.root_dir="$(LAB_ROOT)" --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

demo: setup ## Watch the whole loop once, in a terminal, in about a minute
	@$(BIN)/labkit demo

notebooks: setup ## Build notebooks/*.ipynb from notebooks/source
	@$(BIN)/python notebooks/build.py

test: setup ## Run every test, notebooks included (45 minutes at most)
	@$(BIN)/python -m pytest -m 'not long' tests --ignore $(RUNS); code=$$?; \
	$(MAKE) --no-print-directory test-notebooks || code=$$?; exit $$code

test-notebooks: setup ## Run every notebook, solved and untouched, two at a time
	@$(APART) $(BIN)/python -m pytest -m 'not long' -n 2 --dist worksteal --nbmake notebooks $(RUNS)

test-all: setup ## Run the long tests as well: every scenario, whole days, many seeds
	@$(BIN)/python -m pytest tests --nbmake notebooks

minutes: setup ## Run every notebook alone and write README's table of what they take
	@$(BIN)/python -m tests.run_notebook minutes

check: setup ## Lint and check the format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

bench: setup ## Measure speed, as ratios against named peers
	@$(BIN)/python -m tests.benchmarks

clean: ## Stop the servers and remove .venv and .lab
	@if [ -x $(BIN)/labkit ]; then $(BIN)/labkit down --purge; fi
	@rm -rf $(VENV) .lab .pytest_cache .ruff_cache .hypothesis
