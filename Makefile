# make demo | test | torture | lint | site | bench | upstream-check | clean. All but
# the last set up .venv when it is missing or stale. Another interpreter:
# make test PYTHON=python3.12. More arguments for what is run:
# make test ARGS=tests/nnet

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test torture lint site bench upstream-check clean

help:
	@echo "make setup  install the package and its tools into $(VENV)"
	@echo "make demo   all of P-TAPT on the embedded mini corpus"
	@echo "make test   tests and the examples of the docstrings"
	@echo "make torture  the same for hours: docs/reliability.md"
	@echo "make lint   ruff, as SpeechBrain sets it"
	@echo "make site   the documentation as web pages, in site/"
	@echo "make bench  all benchmarks; SAVEE_ROOT names a copy of SAVEE"
	@echo "make upstream-check SPEECHBRAIN=DIR"
	@echo "            SpeechBrain's own checks on the exported recipes"
	@echo "make clean  remove what these made, but not results/"

setup: $(STAMP)

# A virtual environment holds absolute paths, of itself and of the Python it
# was made from: one that was moved, or has lost its Python, is stale too.
ifneq ($(shell test -x $(BIN)/python && cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

$(STAMP): setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --editable '.[dev]'
	echo '$(CURDIR)' > $@

# The card's own command, where no corpus is configured.
demo: $(STAMP)
	env -u IEMOCAP_ROOT $(BIN)/python recipes/IEMOCAP/train_ptapt.py \
		hparams/ptapt.yaml --fold 3 $(ARGS)

# One file stays in one process, so that what its tests share is made once.
test: $(STAMP)
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 \
		$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# Hours of kills, hostile files and faults: one part with ARGS=fuzz.
torture: $(STAMP)
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python tools/torture.py $(ARGS)

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

# Fails on a broken link and on anything that a page loads from elsewhere.
# The variable silences Material's notice of its end of life.
site: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet $(ARGS)

# faiss is a contender, and nothing that the package needs.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	$(BIN)/python benchmarks/run_all.py $(ARGS)

# The clone and the linters' environment are in build/upstream.
ifdef SPEECHBRAIN
upstream-check: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tools/upstream_check.py \
		"$(SPEECHBRAIN)" $(ARGS)
else
upstream-check:
	@echo "SPEECHBRAIN names no checkout of SpeechBrain. To get one:" >&2
	@echo "  git clone https://github.com/speechbrain/speechbrain" >&2
	@echo "  make upstream-check SPEECHBRAIN=speechbrain" >&2
	@exit 2
endif

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
