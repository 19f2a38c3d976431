"""Models and pipelines go to other processes, also where those are spawned (Windows, macOS, Python 3.14)."""

import copy
import io
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.scores import LABELS, TASK, assert_same, speech
from helpers.towers import AUDIO_CONFIGS, batch

from modeling_paraclap import ParaClapModel
from modeling_paraclap.clips_paraclap import Clip, Preparation, PreparedAudio

CLIPS = [speech(seconds, seed=i) for i, seconds in enumerate((0.3, 0.55, 0.41))]


def saved_and_loaded(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("name", ["wav2vec2", *AUDIO_CONFIGS])
def test_a_model_with_any_tower_is_pickled_copied_and_trained_on(name, tiny_config):
    config = tiny_config() if name == "wav2vec2" else tiny_config(audio_config=copy.deepcopy(AUDIO_CONFIGS[name]))
    torch.manual_seed(0)
    model = ParaClapModel(config).eval()
    with torch.no_grad():
        expected = model(**batch()).logits_per_audio
    once = pickle.loads(pickle.dumps(model))
    for other in (once, pickle.loads(pickle.dumps(once)), saved_and_loaded(model), copy.deepcopy(once)):
        assert list(other.state_dict()) == list(model.state_dict())
        with torch.no_grad():
            assert torch.equal(other(**batch()).logits_per_audio, expected)
        other.load_state_dict(model.state_dict())
    once.train()(**batch(), return_loss=True).loss.backward()
    assert all(parameter.grad is not None for parameter in once.parameters())
    assert type(pickle.loads(pickle.dumps(model.audio_model))) is type(model.audio_model)


def test_a_pipeline_is_pickled_with_its_scores(pipe):
    copied = pickle.loads(pickle.dumps(pipe))
    assert_same(copied(speech(), candidate_labels=LABELS), pipe(speech(), candidate_labels=LABELS))


def test_what_goes_to_a_loading_process_holds_no_model(pipe):
    sent = pickle.dumps(PreparedAudio([speech()], Preparation(pipe.scorer.loader)))
    assert len(sent) < speech().nbytes + 2000
    assert isinstance(pickle.loads(sent)[0]["audio"], Clip)


SPAWN = """
import json, multiprocessing, sys

labels = "angry, happy, sad"

def scores(pipe):
    clips = list(numpy.load("clips.npy", allow_pickle=False))
    files = [*clips, "nowhere.wav", {"array": clips[0], "sampling_rate": 16000}]
    return pipe(files, candidate_labels=labels, num_workers=1, batch_size=2, on_error="report")

def more_scores(pipe):
    clips = list(numpy.load("clips.npy", allow_pickle=False))
    windows = pipe(clips[:2], candidate_labels=labels, num_workers=1, window_length_s=0.2)
    with open("speech.wav", "rb") as file:  # stays in this process
        opened = pipe([file], candidate_labels=labels, num_workers=1)
    return windows, opened

if __name__ == "__main__":
    import numpy
    from transformers import pipeline
    multiprocessing.set_start_method("spawn")
    remote = pipeline(sys.argv[1], model=sys.argv[2], trust_remote_code=True, device="cpu")
    results = [scores(remote)]
    import modeling_paraclap
    own = pipeline(sys.argv[1], model=sys.argv[2], device="cpu")
    results += [scores(own), *more_scores(own)]
    try:
        list(own(["no.wav"], candidate_labels="a, b", num_workers=1))
    except ValueError as error:
        results.append([type(error).__name__, str(error)])
    print(json.dumps(results))
"""


def test_loading_in_spawned_processes_gives_the_same(pipe, release, tmp_path):
    import soundfile

    clips = [speech(0.4, seed=seed) for seed in range(3)]
    np.save(tmp_path / "clips.npy", np.stack(clips))
    soundfile.write(tmp_path / "speech.wav", speech(), 16000, subtype="FLOAT")
    (tmp_path / "spawn.py").write_text(SPAWN)
    env = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(tmp_path / "spawn.py"), TASK, str(release)]
    done = subprocess.run(command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    remote, own, windows, opened, raised = json.loads(done.stdout.splitlines()[-1])
    expected = [pipe(clip, candidate_labels=LABELS) for clip in clips]
    for whole in (remote, own):
        for result, single in zip([*whole[:3], whole[4]], [*expected, expected[0]], strict=True):
            assert_same(result, single, atol=1e-5)
        assert whole[3]["audio"] == "nowhere.wav"
        assert "does not exist" in whole[3]["error"]
    assert [len(result["windows"]) for result in windows] == [2, 2]
    assert_same(opened[0], pipe(speech(), candidate_labels=LABELS), atol=1e-5)
    assert raised[0] == "AudioError"
    assert raised[1].startswith("The file 'no.wav' does not exist")  # without the traceback of the other process
