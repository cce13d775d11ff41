# make demo [CLIP=song.wav] [PORT=8501]   build the demo study and open it
# make bench [CLIPS=folder]               measure everything that is promised; tests/benchmarks/results.md
# make check | docs | test | test-slow | clean
# PYTHON=python3.12 names another interpreter for the set-up; TORCH_INDEX=ADDRESS a package index that has
# PyTorch built for CPUs alone, which leaves out 3.5 GB of CUDA libraries.

PYTHON ?= python3
PORT ?= 8501
VENV := .venv
READY := $(VENV)/ready
DEV := $(VENV)/ready-dev
INSTALL := $(VENV)/bin/python -m pip install --disable-pip-version-check
export CLIP CLIPS PORT TORCH_INDEX

.DEFAULT_GOAL := help
.PHONY: help demo check docs bench test test-slow clean

# A process more than there are cores, as browsers and servers are waited for; four at most, for their memory.
WORKERS = $(shell $(VENV)/bin/python -c "import os; print(min(4, os.cpu_count() + 1))")
PYTEST = $(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# The unit tests of `make check`: quick, and without a browser, a server or a training.
UNIT := tests/analysis/test_agreement.py tests/analysis/test_conditions.py \
	tests/analysis/test_detection.py tests/analysis/test_dose.py tests/analysis/test_estimands.py \
	tests/analysis/test_exact.py tests/analysis/test_modes.py tests/analysis/test_permutation.py \
	tests/analysis/test_plan.py tests/analysis/test_responses.py tests/analysis/test_tables.py \
	tests/caw/compose/test_arranging.py tests/caw/compose/test_chords.py tests/caw/compose/test_plan.py \
	tests/caw/compose/test_plan_files.py tests/caw/samplernn/test_config.py tests/caw/test_audio.py tests/caw/test_files.py \
	tests/caw/test_networks.py tests/caw/test_sound_files.py tests/caw/test_spreadsheet.py \
	tests/study/build/test_blinding.py tests/study/build/test_named_files.py \
	tests/study/build/test_pool.py tests/study/build/test_progress.py tests/study/build/test_stimuli.py \
	tests/study/server/test_address.py tests/study/server/test_guesses.py \
	tests/study/server/test_orders.py tests/study/server/test_protocol.py \
	tests/study/server/test_questionnaire.py tests/study/server/test_wording.py \
	tests/study/test_deployment.py tests/study/test_design.py tests/study/test_folder.py \
	tests/study/test_password.py tests/study/test_questions.py tests/test_architecture.py

help:
	@echo "make demo [CLIP=song.wav] [PORT=8501]  build the demo study from a clip and open it in the browser"
	@echo "make check                             style, types and unit tests, in two minutes; before each commit"
	@echo "make docs                              the documentation, as site/index.html"
	@echo "make test                              all tests but the slow ones, in eight minutes"
	@echo "make test-slow                         the others: kills, PostgreSQL, long trainings, benchmarks' own tests"
	@echo "make bench [CLIPS=folder]              measures time, memory and quality (about 40 minutes on two cores)"
	@echo "make clean                             remove .venv and caches; studies (demo/) stay"

demo: $(READY)
	@$(VENV)/bin/study demo $${CLIP:+--clip "$$CLIP"} --port "$$PORT"

test: $(DEV)
	$(PYTEST) -m "not slow"

test-slow: $(DEV)
	$(PYTEST) -m slow

bench: $(DEV)
	@$(VENV)/bin/python -m tests.benchmarks.bench $${CLIPS:+--clips "$$CLIPS"}

check: $(DEV)
	$(VENV)/bin/python -m ruff check
	$(VENV)/bin/python -m ruff format --check
	$(VENV)/bin/python -m mypy
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile $(UNIT)

# Strict mode counts pages' warnings, and not what griffe says of docstrings.
docs: $(DEV)
	@said=$$($(VENV)/bin/python -m zensical build --clean --strict 2>&1); code=$$?; echo "$$said"; \
		test $$code -eq 0 && ! echo "$$said" | grep -q 'griffe: '

clean:
	rm -rf $(VENV) build dist site *.egg-info .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found; install Python 3.11 or newer, or name it: make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$$($(PYTHON) --version) is too old; install Python 3.11 or newer, or name it: make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make a virtual environment; install its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Setting up $(VENV), once; about 3 GB are fetched, most of it PyTorch"
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(INSTALL) --no-deps --index-url "$$TORCH_INDEX" $(shell grep '^torch' constraints.txt))
	$(INSTALL) -c constraints.txt -e .
	@touch $@

$(DEV): $(READY)
	$(INSTALL) -c constraints.txt -e '.[dev,postgres]'
	@touch $@
