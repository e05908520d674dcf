# Two commands matter: `make book` and `make test`. Each makes the environment if it is missing.
PYTHON ?= python3
LANE ?= full
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
READY := $(VENV)/.ready
pinned = "$$(grep '^$(1)==' requirements.txt)"

# Never fetch an interpreter: the one at hand is used.
export UV_PYTHON_DOWNLOADS := never
export PYTHONHASHSEED := 0
# One BLAS thread: on small products two threads wait for each other, and on a busy machine that
# made a simulation seventeen times slower.
export OPENBLAS_NUM_THREADS := 1

.PHONY: book test test-backends bench chapters site pdf strip env lock clean help

help:
	@echo "make book      execute every chapter, render the site into _build/html, print it as PDF"
	@echo "make test      ruff, mypy, unit tests, doctests, the chapters with fast values, the built site"
	@echo "make test-backends  what depends most on the versions of other packages; on a second"
	@echo "               interpreter: make VENV=.venv-3.13 PYTHON=python3.13 test-backends"
	@echo "make bench     speed and fidelity, against the products alone and other simulators"
	@echo "make chapters  execute the chapters, two at a time (LANE=fast for the fast values,"
	@echo "               SPIKEDROP_DATA=folder for real records)"
	@echo "make site      render and check what was executed (LANE=fast for the fast values)"
	@echo "make pdf       print the rendered site into one PDF (needs a Chromium)"
	@echo "make strip     take outputs out of the chapters after editing one"
	@echo "make lock      compile requirements.txt from pyproject.toml"
	@echo "make clean     remove what was built (the environment stays)"

book: env
	$(PY) -m book.build chapters --lane $(LANE)
	$(PY) -m book.build site --lane $(LANE)
	$(PY) -m book.build pdf --lane $(LANE) --if-possible

chapters: env
	$(PY) -m book.build chapters --lane $(LANE)

site: env
	$(PY) -m book.build site --lane $(LANE)

pdf: env
	$(PY) -m book.build pdf --lane $(LANE)

strip: env
	$(VENV)/bin/nbstripout --keep-id chapters/*.ipynb

test: env
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/codespell
	$(VENV)/bin/mypy
	$(PY) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-backends: env
	$(PY) -m pytest --numprocesses 0 tests/engines/test_backends*.py tests/test_masks.py

# The benchmark measures threads too, so it sets none.
bench: env
	env -u OPENBLAS_NUM_THREADS $(PY) -m benchmarks.bench

env: $(READY)

# Compiled once here: where Python is told to write no bytecode, every kernel would compile
# TensorFlow anew, for seconds.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13. Name one: make PYTHON=python3.11 env"; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) lacks its venv module. On Debian or Ubuntu: apt-get install python3-venv"; \
		exit 1; }
	@echo "making the environment in $(VENV): a minute or two, and about 3 GB"
	@$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check $(call pinned,uv)
	$(UV) pip install --quiet --python $(PY) $(call pinned,setuptools) $(call pinned,wheel)
	$(UV) pip sync --quiet --compile-bytecode --python $(PY) requirements.txt
	$(UV) pip install --quiet --python $(PY) --no-deps --editable .
	$(PY) book/gate.py
	@touch $(READY)

lock: env
	$(UV) pip compile --upgrade --universal --python-version 3.11 --all-extras \
		--no-header --no-annotate pyproject.toml -o requirements.txt

clean:
	rm -rf _build
