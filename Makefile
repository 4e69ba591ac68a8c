# make demo   a first classifier on synthetic tissue, in a few minutes
# make test   the notebooks as a test suite
# make check  is everything in step: notebooks, package, README, imports, docs
# make real   the tests that need real data, below $HISTO_META_DATA
# make slow  the cells marked #| slow: kills at many moments, full disks; some need root, and all of it hours
# make fuzz   mutated files for every reader, FUZZ_SECONDS each (60 by default)
# make reference  trainings on real patches: from ImageNet weights and from scratch in an hour each, and an ensemble
# make compat the built package with the newest versions of what it requires; PYTHON=python3.13 chooses the Python
# make web    the web page of a model, tried in a real browser; needs Chromium
# make bench  how fast everything is on this machine, into benchmarks/RESULTS.md; use a machine that does nothing else
# make docs   the documentation site, in _docs
PYTHON ?= python3
VENV ?= .venv
FUZZ_SECONDS ?= 60
BIN = $(abspath $(VENV))/bin
RUN = PATH="$(BIN):$$PATH"
# One thread a process: two test notebooks run at once, and threads that wait for each other cost more than they give.
TEST = $(RUN) OMP_NUM_THREADS=1 nbdev_test

ENSEMBLE_MINUTES ?= 180
# train on pcam/train, evaluate on pcam/valid, which has other slides: $(1) minutes, $(2) flags, $(3) name. What is
# finished stays, and what was stopped goes on.
REFERENCE = $(RUN) sh -c 'histo_train "$$HISTO_META_DATA/pcam/train" --valid 0.05 --minutes $(1) $(2) --out runs/reference/$(3) --resume && { test -d runs/reference/$(3)/evaluations/valid || histo_evaluate runs/reference/$(3) "$$HISTO_META_DATA/pcam/valid" --tta; }'

.PHONY: demo test check real slow reference fuzz compat web bench docs refresh clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python settings.ini setup.py pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[weights]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python settings.ini setup.py pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

demo: $(VENV)/.runtime
	@test -d data/sample || $(BIN)/histo_sample data/sample
	@rm -rf runs/demo
	$(BIN)/histo_train data/sample --minutes 4 --valid 0.2 --out runs/demo

test: $(VENV)/.dev
	$(TEST) --timing

check: $(VENV)/.dev
	$(RUN) python scripts/check.py

real: $(VENV)/.dev
	@test -d "$$HISTO_META_DATA" || { echo 'make real: HISTO_META_DATA names no folder; set it to the folder with the real data'; exit 2; }
	grep -rl --include='*.ipynb' '#| real' nbs | sort | $(RUN) xargs -P 2 -I NB sh -c 'OMP_NUM_THREADS=1 nbdev_test --path NB --flags real && echo NB'

reference: $(VENV)/.dev
	@test -d "$$HISTO_META_DATA/pcam" || { echo 'make reference: no folder pcam in HISTO_META_DATA; set it to the folder with the real data'; exit 2; }
	$(call REFERENCE,60,,weights)
	$(call REFERENCE,60,--scratch,scratch)
	$(call REFERENCE,$(ENSEMBLE_MINUTES),--seeds 6,ensemble)
	$(RUN) python benchmarks/reference.py runs/reference

slow: $(VENV)/.dev
	grep -rl --include='*.ipynb' '#| slow' nbs | sort | $(RUN) xargs -I NB sh -c 'OMP_NUM_THREADS=1 nbdev_test --path NB --flags slow && echo NB'

fuzz: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,fuzz]'
	$(RUN) python scripts/fuzz.py --seconds $(FUZZ_SECONDS)

compat:
	$(PYTHON) -u scripts/compat.py $(NOTEBOOKS)

web: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,web]'
	$(RUN) OMP_NUM_THREADS=1 python -W ignore scripts/web.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/all.py

docs: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]'
	rm -rf _proc
	touch README.md
	@! grep -q '^user = OWNER' settings.ini || echo 'make docs: user in settings.ini is still OWNER, so links to GitHub lead nowhere'
	$(RUN) PYTHONPATH=. nbdev_docs
	$(RUN) pysym2md histo_meta --output_file _docs/apilist.txt
	$(RUN) python scripts/llms.py > _docs/llms.txt
	@! grep -rl --include='*.html' 'Traceback (most recent' _docs || { echo 'make docs: a page holds a traceback'; exit 2; }

refresh: $(VENV)/.dev
	$(RUN) sh -c 'nbdev_clean && nbdev_export && python scripts/refresh.py && nbdev_clean && python scripts/readme.py'

clean:
	rm -rf $(VENV) _docs _proc runs
