# Every target installs what it needs into .venv when that is missing or setup.cfg has changed, and says so.
# PyPI's torch for Linux on x86_64 brings CUDA, several GB. TORCH_INDEX=https://download.pytorch.org/whl/cpu takes a
# build without it (make demo, make app), and TORCH="torch==2.13.0" a certain version.
PYTHON ?= python3
TORCH ?=
TORCH_INDEX ?=
# Test files that run at once, each with one thread: one more than two cores, since tests also wait for processes.
JOBS ?= 3
VENV := .venv
RUN := $(VENV)/bin/python
CORPORA ?= $(PARACLAP_CORPORA)
CORPUS := build/corpus
NAME := paraclap-base
CHECKPOINT := checkpoints/$(NAME)
# EXPERIMENT=one-member trains as configs/experiments/one-member.yaml changes the recipe; SEED is that of the recipe.
EXPERIMENT ?=
SEED ?= 0
# The last bits of a sum depend on how many threads share it, and grow in training: on one thread a run has the same
# weights on any number of cores. Steps are as quick; encoding audio for the first time is what more threads shorten.
THREADS ?= 1
CONFIGS := configs/$(NAME).yaml $(if $(EXPERIMENT),configs/experiments/$(EXPERIMENT).yaml)
ALL_RUNS := build/runs
RUNS := $(ALL_RUNS)/$(or $(EXPERIMENT),$(NAME))/seed-$(SEED)
RUN_DIR := $(RUNS)/release
TRAINED_ON := crema_d nemo emodb librispeech
WHISPER := build/whisper-base-encoder
# States of the frozen audio encoder, which all runs on these corpora share.
STATES := build/audio-states
# Where CORPORA has each corpus.
FOLDER_crema_d := CREMA-D
FOLDER_nemo := nEMO
FOLDER_emodb := EMO-DB
FOLDER_librispeech := LibriSpeech
FOLDER_ravdess := RAVDESS

.PHONY: help demo app test test-e2e test-packaging quality style corpus checkpoint run results experiment seed table1 clean

help:  ## show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# The stamp of an extra's installation; that of the tests, who need all extras, serves every target.
ready = $(firstword $(wildcard $(VENV)/installed) $(VENV)/$(1)-installed)
# $(1): the extra
define install
	@test -x $(RUN) || { echo "Making the virtual environment $(VENV) with $(PYTHON)."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing paraclap[$(1)] into $(VENV); later runs skip this."
	@if [ -z "$(TORCH)$(TORCH_INDEX)" ] && [ "$$(uname -sm)" = "Linux x86_64" ] && ! command -v nvidia-smi >/dev/null \
		&& ! $(RUN) -c 'import torch' 2>/dev/null; then \
		echo "This machine shows no NVIDIA GPU, and PyPI's torch brings CUDA (several GB). For a build of about 200 MB:"; \
		echo "    make $(MAKECMDGOALS) TORCH_INDEX=https://download.pytorch.org/whl/cpu"; fi
	$(if $(TORCH)$(TORCH_INDEX),$(RUN) -m pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(or $(TORCH),torch)")
	$(RUN) -m pip install --editable '.[$(1)]'
	@touch $@
endef

$(VENV)/installed: setup.cfg setup.py pyproject.toml
	$(call install,test)

$(VENV)/%-installed: setup.cfg setup.py pyproject.toml
	$(call install,$*)

demo: $(call ready,demo)  ## classify speech with the default checkpoint; AUDIO=file.wav LABELS="angry,happy,sad" takes yours
	$(RUN) -m paraclap.demo $(if $(AUDIO),--audio "$(AUDIO)") $(if $(LABELS),--labels "$(LABELS)")

app: $(call ready,app)  ## run the demo page locally with the default checkpoint; MODEL=folder or ORG/NAME takes yours
	$(if $(MODEL),,$(RUN) -m paraclap.publishing.default_checkpoint assemble $(CHECKPOINT) build/$(NAME))
	$(RUN) space/app.py --model $(or $(MODEL),build/$(NAME))

test: $(VENV)/installed  ## run the tests, JOBS=3 files at once; PARACLAP_CORPORA=DIR adds those that need real corpora
	$(RUN) -m pytest --numprocesses $(JOBS) --dist loadfile

test-e2e: $(VENV)/installed  ## test the demo's page in Chromium, whose Debian packages it installs where it may
	@command -v chromedriver >/dev/null && command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver; } || { \
		echo "test-e2e needs chromium and chromedriver: sudo apt-get install chromium chromium-driver" >&2; exit 1; }
	$(RUN) -m pip install --quiet --editable '.[e2e]'
	$(RUN) -m pytest -m e2e tests/test_e2e.py

test-packaging: $(VENV)/installed  ## build wheel and sdist, and run every entry point in fresh environments
	$(RUN) -m pytest -m packaging tests/test_packaging.py

quality: $(VENV)/installed  ## check lint, format, import order and docstrings
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

style: $(VENV)/installed  ## fix lint and format automatically
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

corpus: $(VENV)/installed  ## build the query corpus of the default checkpoint from CORPORA=DIR
	$(RUN) -m dataset_scripts.build_query_corpus --output_dir $(CORPUS) --num_proc 2 --corpora $(foreach name,$(TRAINED_ON),$(name)=$(CORPORA)/$(FOLDER_$(name)))

checkpoint: run  ## train the default checkpoint on that corpus and write checkpoints/paraclap-base
	$(RUN) -m paraclap.publishing.default_checkpoint strip $(RUN_DIR)/best $(CHECKPOINT) \
		--base_model sentence-transformers/all-MiniLM-L6-v2 openai/whisper-base --license cc-by-nc-sa-4.0

run: $(VENV)/installed  ## train on the query corpus CORPUS into RUN_DIR, from where an interrupted run was
	test -f $(CORPUS)/build.json || $(MAKE) corpus
	test -d $(WHISPER) || $(RUN) -m paraclap.publishing.whisper_weights $(WHISPER)
	$(VENV)/bin/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision bf16 --dynamo_backend no --cpu \
		--num_cpu_threads_per_process $(THREADS) \
		train_accelerate.py --config $(CONFIGS) --corpus_dir $(CORPUS) --output_dir $(RUN_DIR) --resume \
		--audio_states_dir $(STATES) --audio_model_name_or_path $(WHISPER) --seed $(SEED) \
		--text_model_name_or_path "$$($(RUN) -c 'import paraclap.publishing.default_checkpoint as d; print(d.text_encoder_folder())')"

without-%: $(VENV)/installed  ## train the twin without one corpus, without-emodb or without-crema_d, into build/runs/…
	$(MAKE) run TRAINED_ON="$(filter-out $*,$(TRAINED_ON))" CORPUS=$(CORPUS)-without-$* RUN_DIR=$(RUNS)/without-$*

results: $(VENV)/installed without-emodb without-crema_d  ## evaluate the default checkpoint on CORPORA=DIR, every protocol, and write its figures
	$(RUN) -m paraclap.publishing.default_checkpoint assemble $(CHECKPOINT) build/$(NAME)
	$(RUN) evaluate_zero_shot.py --model build/$(NAME) --output_dir build/eval --wording \
		--tasks ravdess ravdess-synonyms crema_d-test emodb nemo $(addprefix pooled-,pitch pitch-variation loudness duration gender age) \
		--corpora $(foreach name,ravdess $(TRAINED_ON),$(name)=$(CORPORA)/$(FOLDER_$(name)))
	$(RUN) evaluate_zero_shot.py --model build/$(NAME) --output_dir build/eval-calibrated --calibrate \
		--tasks ravdess --corpora ravdess=$(CORPORA)/$(FOLDER_ravdess)
	for kind in gender speaker; do \
		$(RUN) evaluate_zero_shot.py --model build/$(NAME) --output_dir build/eval-by-$$kind --calibrate $$kind \
		--tasks ravdess emodb nemo --corpora $(foreach name,ravdess emodb nemo,$(name)=$(CORPORA)/$(FOLDER_$(name))) \
		|| exit 1; done
	for corpus in emodb=$(FOLDER_emodb) crema_d=$(FOLDER_crema_d); do \
		$(RUN) evaluate_zero_shot.py --model $(RUNS)/without-$${corpus%%=*}/best --output_dir build/eval-without-$${corpus%%=*} \
		--all_rows --wording --tasks $${corpus%%=*} --corpora $${corpus%%=*}=$(CORPORA)/$${corpus#*=} || exit 1; done
	$(RUN) -m paraclap.evaluation.results_table $(CHECKPOINT) docs/evaluating.md README.md build/eval build/eval-calibrated \
		build/eval-by-gender build/eval-by-speaker build/eval-without-emodb build/eval-without-crema_d

# $(1): a run, release or without-CORPUS; $(2): "-calibrated" or nothing; $(3): tasks and corpora.
evaluate = $(RUN) evaluate_zero_shot.py --model $(RUNS)/$(1)/best --output_dir $(RUNS)/eval-$(1)$(2) \
	$(if $(2),--calibrate) $(3)
LOG := $(RUN) -m paraclap.evaluation.runs_table $(ALL_RUNS) docs/runs.csv $(CHECKPOINT)/README.md

experiment: $(VENV)/installed without-emodb without-crema_d  ## train and evaluate the twins with EXPERIMENT=… and SEED=…, and log their figures
	$(call evaluate,without-emodb,,--all_rows --tasks emodb --corpora emodb=$(CORPORA)/$(FOLDER_emodb))
	$(call evaluate,without-crema_d,,--all_rows --tasks crema_d --corpora crema_d=$(CORPORA)/$(FOLDER_crema_d))
	$(LOG)

seed: experiment run  ## train and evaluate the default recipe and its twins with SEED=1, and log their figures
	$(call evaluate,release,,--tasks ravdess crema_d-test emodb nemo \
		--corpora $(foreach name,ravdess crema_d emodb nemo,$(name)=$(CORPORA)/$(FOLDER_$(name))))
	$(call evaluate,release,-calibrated,--tasks ravdess --corpora ravdess=$(CORPORA)/$(FOLDER_ravdess))
	$(LOG)

table1: $(VENV)/installed  ## reproduce the paper's Table 1 on CORPORA=DIR: four variants, baselines, every available task
	test -d $(WHISPER) || $(RUN) -m paraclap.publishing.whisper_weights $(WHISPER)
	ACCELERATE_USE_CPU=true $(RUN) -m paraclap table1 --output_dir build/table1 --page docs/table1.md --num_proc 2 --train_on nemo emodb librispeech \
		--corpora $(foreach name,nemo emodb librispeech ravdess crema_d,$(name)=$(CORPORA)/$(FOLDER_$(name))) \
		--audio_states_dir $(STATES) --audio_model_name_or_path $(WHISPER) \
		--text_model_name_or_path "$$($(RUN) -c 'import paraclap.publishing.default_checkpoint as d; print(d.text_encoder_folder())')"
	cp $(addprefix build/table1/,table1.csv table1.png confusion-ravdess.png confusion-crema_d.png) docs/

clean:  ## remove all build outputs except .venv
	rm -rf build
