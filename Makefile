# Two commands on a fresh machine with python3.11 or newer, pip, make and git: `make demo` and `make test`.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && echo $$p && break; done)
UV_VERSION = 0.13.9
VENV = .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.rolecall-installed
PYTEST_ARGS ?= -m "not slow and not benchmark"

.PHONY: help demo test lint format benchmark golden lock docs docs-serve pictures man dist sbom clean
.DEFAULT_GOAL := help

# Tests start hundreds of processes; without cached bytecode, each of them would compile every module it imports.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# uv reads neither pip's configuration nor its variables: pass on the index, wheels and certificates set there.
ifneq ($(PIP_INDEX_URL),)
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifneq ($(PIP_FIND_LINKS),)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
ifneq ($(PIP_CERT),)
export SSL_CERT_FILE ?= $(PIP_CERT)
endif

# Read pip's configuration only where uv is needed, since pip is slow to start; options that are not set stay unset. The source is
# the list, with a line `name='value'` and \n between several values: `pip config get` reads only one of pip's files.
EXPORT_PIP_CONFIG = settings=$$("$(PYTHON)" -m pip --disable-pip-version-check config list 2>/dev/null); \
	export_setting() { test -n "$$(printenv $$1)" || { \
	value=$$(printf '%s\n' "$$settings" | sed -n "s/^global\.$$2='\(.*\)'\$$/\1/p" | sed 's/\\n/ /g' | xargs | tr ' ' ,); \
	test -z "$$value" || export "$$1=$$value"; }; }; \
	export_setting SSL_CERT_FILE cert; export_setting UV_DEFAULT_INDEX index-url; export_setting UV_FIND_LINKS find-links

# A virtual environment whose Python no longer runs (a moved checkout, an upgraded system) is created again.
$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 found"; \
		echo "  hint: install one, or select one: make $(MAKECMDGOALS) PYTHON=/usr/bin/python3.12"; exit 7; } >&2
	@"$(PYTHON)" -m pip --version >/dev/null 2>&1 || { echo "error: $(PYTHON) has no pip"; \
		echo "  hint: install it (Debian, Ubuntu: apt-get install python3-pip)"; exit 7; } >&2
	@echo "setting up $(VENV) ..." >&2
	@$(EXPORT_PIP_CONFIG); { $(BIN)/python -c "" 2>/dev/null || "$(PYTHON)" -m venv --clear --without-pip $(VENV); } && \
		"$(PYTHON)" -m pip --disable-pip-version-check --python $(BIN)/python install --quiet uv==$(UV_VERSION) && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirements requirements.lock && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable . || { echo "error: set-up did not finish"; \
		echo "  hint: read the message above. Behind a private CA set SSL_CERT_FILE, behind a mirror PIP_INDEX_URL," \
		"then repeat; make clean starts over"; exit 7; } >&2
	@touch $(STAMP)

demo: $(STAMP) ## Run the main workflow on the example accounts
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

test: $(STAMP) ## Run all tests except the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: $(STAMP) ## Check style, spelling and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy

format: $(STAMP) ## Rewrite to the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

benchmark: $(STAMP) ## Print the benchmarks' ratios (except bench_peers.py, which installs other tools, and bench_check_paired.py, which compares two checkouts)
	@for file in $(filter-out %/bench_peers.py %/bench_check_paired.py,$(wildcard benchmarks/bench_*.py)); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

golden: $(STAMP) ## Rewrite the golden files after a deliberate change
	ROLECALL_REWRITE_GOLDEN=1 $(BIN)/python -m pytest -q tests/golden tests/docs/test_docs_outputs.py

LOCKED = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

lock: $(STAMP) ## Update requirements.lock and requirements-runtime.lock
	$(LOCKED) --group dev --group terraform --group docs --group release --extra sandbox --extra data --extra dask --extra pdf --output-file requirements.lock pyproject.toml
	$(LOCKED) --all-extras --constraints requirements.lock --output-file requirements-runtime.lock pyproject.toml

# mkdocs-material prints an advertisement at every build unless this variable is set.
MKDOCS = NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

docs: $(STAMP) ## Build the documentation site into site/, offline
	$(MKDOCS) build --strict
	@echo "wrote site/index.html"

docs-serve: $(STAMP) ## Serve the documentation site locally, rebuilt on every change
	$(MKDOCS) serve

pictures: $(STAMP) ## Draw the pictures in docs/images again, from actual output (needs Chromium)
	@for name in package_picture dark_pictures terminal_pictures review_picture; do $(BIN)/python tests/tools/$$name.py || exit 1; done

man: $(STAMP) ## Write the man pages into man/
	$(BIN)/python tests/tools/build_reference.py man

dist: $(STAMP) ## Build the wheel and the sdist into dist/
	$(BIN)/python tests/tools/build_release.py dist

sbom: dist ## Write the SBOM (CycloneDX) next to the packages
	$(BIN)/python tests/tools/build_release.py sbom

clean: ## Remove everything that set-up, builds and tests created
	rm -rf $(VENV) dist man site .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
