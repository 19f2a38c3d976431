"""Every way to save is a release: it loads again as the same classifier, with this package and without it."""

import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.loopback_hub import LoopbackHub, User
from helpers.scores import LABELS, TASK, assert_same, speech
from safetensors.torch import save_model
from transformers import AutoModel, AutoProcessor, Trainer, TrainingArguments, pipeline

from modeling_paraclap import ParaClapFeatureExtractor, ParaClapModel, ParaClapProcessor

TOKEN = "hf_me"


def by_parts(model, processor, folder):
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def by_parts_in_another_order(model, processor, folder):
    processor.save_pretrained(folder)
    model.save_pretrained(folder)


def by_pipeline(model, processor, folder):
    parts = {"tokenizer": processor.tokenizer, "feature_extractor": processor.feature_extractor}
    pipeline(TASK, model=model, **parts, device="cpu").save_pretrained(folder)


def without_a_processor(model, processor, folder):
    for part in (model, processor.tokenizer, processor.feature_extractor):
        part.save_pretrained(folder)


def in_pieces(model, processor, folder):
    model.save_pretrained(folder, max_shard_size="40KB")
    processor.save_pretrained(folder)


def by_trainer(model, processor, folder):
    arguments = TrainingArguments(output_dir=folder, report_to=[], use_cpu=True)
    Trainer(model, arguments, processing_class=processor).save_model(folder)


def by_configuration_and_weights(model, processor, folder):
    model.config.save_pretrained(folder)
    save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
    processor.save_pretrained(folder)


def merged_adapter(model, processor, folder):
    """An adapter that changes nothing, so that the scores are the others'."""
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj", "linear1"]))
    by_parts(adapted.merge_and_unload(), processor, folder)


def over_another_classifier(model, processor, folder):
    """Into a folder that holds other settings under the other of the two names that transformers looks for."""
    ParaClapProcessor(ParaClapFeatureExtractor(), processor.tokenizer).save_pretrained(folder)
    without_a_processor(model, processor, folder)


WAYS = (
    by_parts,
    by_parts_in_another_order,
    by_pipeline,
    without_a_processor,
    in_pieces,
    by_trainer,
    by_configuration_and_weights,
    merged_adapter,
    over_another_classifier,
)
TRIED_AFRESH = (by_configuration_and_weights, over_another_classifier, by_pipeline)

# Scores a folder in a process without the package, saves what it loaded in other ways, and scores that.
FRESH = """
import json, sys
from pathlib import Path
import numpy
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoProcessor, AutoTokenizer, pipeline
from transformers.utils import logging
logging.disable_progress_bar()

def scores(folder):
    pipe = pipeline(sys.argv[1], model=str(folder), trust_remote_code=True, device="cpu")
    return type(pipe).__name__, pipe(numpy.load("speech.npy"), candidate_labels="angry, happy, sad"), pipe

results = {}
for folder in sys.argv[2:]:
    name, found, pipe = scores(folder)
    results[folder] = [name, found]
    if folder == sys.argv[-1]:
        trust = {"trust_remote_code": True}
        pipe.save_pretrained("by_pipeline")
        AutoModel.from_pretrained(folder, **trust).save_pretrained("by_parts")
        AutoProcessor.from_pretrained(folder, **trust).save_pretrained("by_parts")
        AutoFeatureExtractor.from_pretrained(folder, **trust).save_pretrained("without_a_processor")
        AutoTokenizer.from_pretrained(folder, **trust).save_pretrained("without_a_processor")
        AutoModel.from_pretrained(folder, **trust).save_pretrained("without_a_processor")
        for again in ("by_pipeline", "by_parts", "without_a_processor"):
            results[again] = list(scores(again)[:2])
assert "modeling_paraclap" not in sys.modules
print(json.dumps(results))
"""


def run_fresh(script, arguments, cwd, **environment):
    """Run a script in a process that has never seen the package; the last line of its output, read as JSON."""
    np.save(cwd / "speech.npy", speech())
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"HF_HOME": str(cwd / "hf"), "HF_MODULES_CACHE": str(cwd / "modules"), "OMP_NUM_THREADS": "1"}
    env |= {"HF_HUB_OFFLINE": "1"} | environment
    command = [sys.executable, "-P", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def parts(release):
    """Model and processor, whose template and normalisation are not the defaults, nor transformers' own."""
    model = ParaClapModel.from_pretrained(release)
    model.config.hypothesis_template = "a {} voice"
    processor = ParaClapProcessor.from_pretrained(release)
    return model, ParaClapProcessor(ParaClapFeatureExtractor(do_normalize=True), processor.tokenizer)


@pytest.fixture
def expected(parts):
    model, processor = parts
    own = pipeline(
        TASK, model=model, tokenizer=processor.tokenizer, feature_extractor=processor.feature_extractor, device="cpu"
    )
    return own(speech(), candidate_labels=LABELS)


def test_what_any_way_saves_is_the_same_classifier(release, parts, expected, tmp_path):
    folders = []
    for way in WAYS:
        folder = tmp_path / way.__name__
        folder.mkdir()
        model = ParaClapModel.from_pretrained(release)
        model.config.hypothesis_template = "a {} voice"
        way(model, parts[1], folder)
        own = pipeline(TASK, model=str(folder), device="cpu")  # which asks for no trust
        assert type(own).__module__ == "modeling_paraclap.pipeline_paraclap", way
        assert_same(own(speech(), candidate_labels=LABELS), expected, atol=1e-5)
        assert type(AutoModel.from_pretrained(folder)) is ParaClapModel
        assert type(AutoProcessor.from_pretrained(folder)) is ParaClapProcessor, way
        files = {file.name: file.read_bytes() for file in folder.glob("*.py")}
        assert files == {file.name: file.read_bytes() for file in (tmp_path / WAYS[0].__name__).glob("*.py")}
        folders.append(folder)
    # Where the files are the same, so is what a fresh process makes of them.
    results = run_fresh(FRESH, [TASK, *(tmp_path / way.__name__ for way in TRIED_AFRESH)], tmp_path)
    assert len(results) == len(TRIED_AFRESH) + 3
    for folder, (name, scores) in results.items():
        assert name == "ParaClapZeroShotAudioClassificationPipeline", folder
        assert_same(scores, expected, atol=1e-5)
    for folder in list(results)[-3:]:  # saved without the package, loaded with it
        own = pipeline(TASK, model=str(tmp_path / folder), device="cpu")
        assert_same(own(speech(), candidate_labels=LABELS), expected, atol=1e-5)


def test_a_lone_part_of_a_release_brings_all_code(parts, tmp_path):
    model, processor = parts
    for name, part in {"c": model.config, "m": model, "p": processor, "f": processor.feature_extractor}.items():
        part.save_pretrained(tmp_path / name)
    files = {name: {file.name for file in (tmp_path / name).glob("*.py")} for name in "cmpf"}
    assert files["c"] == files["m"] == files["p"] == files["f"]
    assert {"pipeline_paraclap.py", "modeling_paraclap.py", "release_paraclap.py"} <= files["c"]


def test_what_is_pushed_is_the_same_classifier(parts, expected, tmp_path):
    by_parts(*parts, tmp_path / "release")
    with LoopbackHub({TOKEN: User("me")}) as hub:
        environment = hub.environment(TOKEN) | {"HF_HUB_OFFLINE": "0"}
        repos = run_fresh(PUSH, [TASK, tmp_path / "release"], tmp_path, **environment)
        results = run_fresh(FRESH_FROM_HUB, [TASK, *repos], tmp_path, **environment)
    assert list(results) == ["me/objects", "me/pipeline", "me/arguments"]
    for repo, (name, scores) in results.items():
        assert name == "ParaClapZeroShotAudioClassificationPipeline", repo
        assert_same(scores, expected, atol=1e-5)


# In a process of its own, as the client reads its settings when it is imported; the objects are the package's.
PUSH = """
import json, sys
from modeling_paraclap import ParaClapModel, ParaClapProcessor
from transformers import pipeline

task, folder = sys.argv[1:]
model, processor = ParaClapModel.from_pretrained(folder), ParaClapProcessor.from_pretrained(folder)
model.push_to_hub("me/objects")
processor.push_to_hub("me/objects")
pipeline(task, model=folder, device="cpu").push_to_hub("me/pipeline")
model.save_pretrained("model", push_to_hub=True, repo_id="me/arguments")
processor.save_pretrained("processor", push_to_hub=True, repo_id="me/arguments")
print(json.dumps(["me/objects", "me/pipeline", "me/arguments"]))
"""
FRESH_FROM_HUB = """
import json, sys, numpy
from transformers import pipeline

results = {}
for repo in sys.argv[2:]:
    pipe = pipeline(sys.argv[1], model=repo, trust_remote_code=True, device="cpu")
    results[repo] = [type(pipe).__name__, pipe(numpy.load("speech.npy"), candidate_labels="angry, happy, sad")]
assert "modeling_paraclap" not in sys.modules
print(json.dumps(results))
"""


def test_weights_have_the_rights_that_other_files_have(parts, tmp_path):
    parts[0].save_pretrained(tmp_path / "one")
    parts[0].save_pretrained(tmp_path / "many", max_shard_size="40KB")
    (tmp_path / "plain").touch()
    expected = stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    files = [*(tmp_path / "one").glob("*.safetensors"), *(tmp_path / "many").glob("*.safetensors")]
    assert len(files) > 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {expected}


def test_a_tokenizer_s_old_limits_are_not_saved_and_cut_nothing(tiny_processor, tmp_path, caplog):
    tokenizer = type(tiny_processor.tokenizer).from_pretrained(_with_limits(tiny_processor.tokenizer, tmp_path))
    assert tokenizer.init_kwargs["max_length"] == 8
    processor = ParaClapProcessor(ParaClapFeatureExtractor(), tokenizer)
    long = "speaker is " + "very " * 20 + "angry"
    untouched = tiny_processor(text=long)["input_ids"]
    assert processor(text=[long, "sad"], return_tensors="pt")["input_ids"][0].tolist() == untouched
    processor.save_pretrained(tmp_path / "saved")
    settings = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())
    assert not {"max_length", "truncation_strategy", "stride"} & set(settings)
    saved = json.loads((tmp_path / "saved" / "tokenizer.json").read_text())
    assert saved["truncation"] is None
    assert ParaClapProcessor.from_pretrained(tmp_path / "saved")(text=long)["input_ids"] == untouched
    assert "truncat" not in caplog.text.lower()


def _with_limits(tokenizer, folder):
    """A tokenizer as sentence encoders bring it: told once to cut at a length."""
    tokenizer.save_pretrained(folder / "limited")
    file = folder / "limited" / "tokenizer_config.json"
    limits = {"max_length": 8, "truncation_strategy": "longest_first", "stride": 0, "pad_to_multiple_of": None}
    file.write_text(json.dumps(json.loads(file.read_text()) | limits))
    file = folder / "limited" / "tokenizer.json"
    truncation = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"truncation": truncation}))
    return folder / "limited"


def test_a_model_that_cannot_be_saved_says_so(parts, tmp_path):
    parts[0].optimize_for_cpu()
    with pytest.raises(RuntimeError, match="cannot be saved"):
        parts[0].save_pretrained(tmp_path)


@torch.no_grad()
def test_saving_changes_nothing_in_memory(parts, expected, tmp_path):
    model, processor = parts
    before = model.config.to_dict()
    by_parts(model, processor, tmp_path)
    assert "custom_pipelines" not in model.config.__dict__
    assert {key: value for key, value in model.config.to_dict().items() if key not in ("dtype", "architectures")} == {
        key: value for key, value in before.items() if key not in ("dtype", "architectures")
    }
