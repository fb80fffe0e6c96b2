# `make demo` opens the console on a simulated department; `make test` runs the tests; `make check` is what a contributor runs.
# Everything lives in .venv, built from requirements.lock with Python's own venv and pip.

.DEFAULT_GOAL := help
.PHONY: manual help demo setup test check lint formatted ruff types floors format lock test-peers picture clean

BIN := .venv/bin
READY := .venv/.ready
ARGS ?=

# The first of these that is Python 3.11 to 3.13 and can make a virtual environment.
PYTHONS ?= python3 python3.13 python3.12 python3.11
FITTING := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

# Peers: the programs of others that tests talk to, and the Debian packages that bring them.
ORTHANC_DICOMWEB := /usr/share/orthanc/plugins/libOrthancDicomWeb.so
PEER_PROGRAMS := openssl storescu dcmdump dcmj2pnm gdcmconv gdcmscu dicom_echo findscu wlmscpfs dciodvfy Orthanc $(ORTHANC_DICOMWEB) tmux ssh psql pdftotext node npm
PEER_PACKAGES := openssl dcmtk libgdcm-tools ctn dicom3tools orthanc orthanc-dicomweb tmux openssh-client postgresql poppler-utils nodejs npm
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

help:
	@echo 'make demo [ARGS="--role doctor"]  the console on a simulated department'
	@echo 'make test [ARGS="-k worklist"]    the tests; peers that are absent are skipped'
	@echo 'make check                        format, lint, types, floors, tests'
	@echo 'make test-peers                   install the peers the tests talk to (apt, npm)'
	@echo 'make format | lock | picture | clean'

demo: $(READY)
	@$(BIN)/photopeak demo $(ARGS)

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@python=; for candidate in $(PYTHONS); do \
		if "$$candidate" -c '$(FITTING)' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo 'photopeak needs Python 3.11, 3.12 or 3.13 with venv (Debian, Ubuntu: apt install python3 python3-venv).' >&2; exit 1; \
	fi; \
	if ! $(BIN)/python -c '$(FITTING)' 2>/dev/null; then \
		echo "Making .venv with $$("$$python" --version)"; "$$python" -m venv --clear .venv; \
	fi
	@echo 'Installing what requirements.lock names'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q .venv/lib || true  # every start would compile them anew
	@touch $@

test: $(READY)
	@$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint test

lint: formatted ruff types floors

formatted: $(READY)
	@$(BIN)/ruff format --check --output-format concise . || { echo 'make format mends these files.' >&2; exit 1; }

ruff: $(READY)
	@$(BIN)/ruff check --output-format concise .

types: $(READY)
	@$(BIN)/mypy

floors: $(READY)
	@$(BIN)/lint-imports

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

manual: $(READY)
	@$(BIN)/python docs/write.py

lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --extra postgres \
		--generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

test-peers:
	@missing=; for program in $(PEER_PROGRAMS); do command -v $$program >/dev/null || test -e $$program || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
		echo "Installing the peers that are absent:$$missing"; \
		if ! command -v apt-get >/dev/null; then echo 'Without apt-get, install them by hand.' >&2; exit 1; fi; \
		$(SUDO) apt-get update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PEER_PACKAGES); \
	fi
	@cd tests/peers && npm install --no-package-lock --no-audit --no-fund --silent

picture: $(READY)
	@$(BIN)/python tests/bench/picture.py $(ARGS)

clean:
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist tests/peers/node_modules
	find core console tests -name __pycache__ -type d -prune -exec rm -rf {} +
