# One command per chore, the same by hand and in CI. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first Python of these that runs and is 3.11 or newer; `make PYTHON=...` overrides.
PYTHON ?= $(shell for candidate in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$candidate" && break; done)
VENV ?= .venv
DEMO_VENV ?= .venv-demo
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS)
DEMO_TEXT ?= Hello. This voice comes from a small model inside the package.
DEMO_OUT ?= hello.wav
PIP_ARGS ?=
PYTEST_ARGS ?= -n auto --maxprocesses 8
# Folders of tests whose coverage is measured.
COVERED := stages engine longform text audio voices
BENCH_ARGS ?=

NATIVE_SRC := src/openbark/backends/native/src
NATIVE_HEADER := src/openbark/backends/native/include/openbark.h
SANITIZED := build/sanitized

.PHONY: help native check-native demo test test-rest coverage golden check check-fast commits lint types docs docs-check architecture format bench venv clean python

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found; install one or say make PYTHON=/path/to/python" >&2; exit 1; }

$(DEMO_VENV)/.installed: pyproject.toml constraints.txt src/openbark/__init__.py | python
	"$(PYTHON)" -m venv $(DEMO_VENV)
	rm -rf build
	$(DEMO_VENV)/bin/python $(PIP_INSTALL) .
	touch $@

demo: $(DEMO_VENV)/.installed ## new virtual environment, install, speak one sentence to hello.wav
	$(DEMO_VENV)/bin/openbark "$(DEMO_TEXT)" -o "$(DEMO_OUT)" --force
	@printf '\nListen to %s. Next, in this shell:\n' "$(DEMO_OUT)"
	@printf '  . %s\n' "$(DEMO_VENV)/bin/activate"
	@printf '  openbark "Your own words." --voice en_1 -o mine.wav\n  openbark voices list\n  openbark --help\n'

$(VENV)/.installed: pyproject.toml constraints.txt | python
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) -e '.[test,train,bench,server,wyoming,ray,dev]'
	touch $@

venv: $(VENV)/.installed ## .venv with everything that tests and checks need

test: venv ## the test suite: offline, no GPU; make test ROOM=engine runs one folder of it
	$(BIN)/python -m pytest $(if $(ROOM),tests/$(ROOM)) $(PYTEST_ARGS)

coverage: venv ## tests of what is quick to test, with the lines and branches they reach; fails below the floor
	$(BIN)/python -m pytest --cov --cov-report=term $(PYTEST_ARGS) $(COVERED:%=tests/%)

test-rest: venv ## the suite without the folders that `make coverage` runs
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(COVERED:%=--ignore=tests/%)

golden: venv ## keep what the models make now and the public surface as it is now; review the diff and commit it
	OPENBARK_RENEW_GOLDEN=1 $(BIN)/python -m pytest -q -p no:xdist tests/golden
	git --no-pager diff --stat -- tests/golden

check: lint types docs-check architecture commits ## everything but the test suite

native: venv ## compile the CPU engine in place; warnings are errors
	$(BIN)/python setup.py --quiet build_ext --inplace --strict

$(SANITIZED)/%.o: $(NATIVE_SRC)/%.cpp $(wildcard $(NATIVE_SRC)/*.h $(NATIVE_SRC)/*.inc) $(NATIVE_HEADER)
	@mkdir -p $(SANITIZED)
	$(CXX) -DOB_VERSION=0x$$(sha256sum $(NATIVE_HEADER) | cut -c1-16)ULL -std=c++17 -O1 -g -fPIC -fvisibility=hidden -Wall -Wextra -Werror -Wno-psabi \
		-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -c $< -o $@

$(SANITIZED)/libopenbark.so: $(patsubst $(NATIVE_SRC)/%.cpp,$(SANITIZED)/%.o,$(wildcard $(NATIVE_SRC)/*.cpp))
	$(CXX) -shared -fsanitize=address,undefined -pthread -o $@ $^

check-native: venv $(SANITIZED)/libopenbark.so ## the CPU engine's tests under AddressSanitizer and UBSan
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 OPENBARK_NATIVE_LIBRARY=$(CURDIR)/$(SANITIZED)/libopenbark.so \
		$(BIN)/python -m pytest -q -p no:cacheprovider tests/backends/test_native_*.py \
			tests/backends/test_packed_files.py tests/engine/test_native_cascade.py $(PYTEST_ARGS)

lint: venv ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv ## mypy --strict on the package
	$(BIN)/mypy

docs-check: venv ## docs/cli.md is what --help says, docs/parity.md what tests are called; docs agree with the tree
	$(BIN)/python scripts/cli_docs.py --check
	$(BIN)/python scripts/parity_docs.py --check
	$(BIN)/python scripts/architecture_docs.py --check
	$(BIN)/python -m pytest -q tests/docs

architecture: venv ## import levels, light import, sizes, __all__, no clocks in tests
	$(BIN)/python -m pytest -q -p no:xdist tests/test_architecture.py tests/test_no_clocks.py

commits: venv ## subjects of new commits have at most 72 characters
	$(BIN)/python scripts/commit_subjects.py

check-fast: lint architecture commits ## what takes seconds: ruff, the architecture test, commit subjects

docs: venv ## write docs/cli.md from --help, docs/parity.md from the tests' names, the diagram from the imports
	$(BIN)/python scripts/cli_docs.py
	$(BIN)/python scripts/parity_docs.py
	$(BIN)/python scripts/architecture_docs.py

format: venv ## let ruff format and fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv ## real-time factor per stage of the embedded model; last line is JSON
	$(BIN)/python -m benchmarks.reference $(BENCH_ARGS)

clean: ## remove both virtual environments and caches
	rm -rf $(VENV) $(DEMO_VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
