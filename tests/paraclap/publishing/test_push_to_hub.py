"""Publishing against a Hub on loopback: the real client, faults on demand, and loading in fresh processes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import soundfile
import torch
from helpers.loopback_http import HubError
from helpers.loopback_hub import LoopbackHub, User
from helpers.owners_layouts import make_emodb
from transformers import pipeline

import paraclap.publishing.hub
import paraclap.publishing.staging
from modeling_paraclap import ParaClapModel
from modeling_paraclap.release_paraclap import save_release
from paraclap.publishing import push
from paraclap.publishing.default_checkpoint import hash_file
from paraclap.publishing.hub import PublishError, Target, publish
from paraclap.publishing.staging import stage_model

TOKEN, READ_TOKEN = "hf_writeWRITEwriteWRITE", "hf_readREADreadREADread"
ROOT = Path(push.__file__).parents[2]
NAME = "lab/tiny"


@pytest.fixture
def hub():
    with LoopbackHub({TOKEN: User("me", orgs=("lab",)), READ_TOKEN: User("me", role="read", orgs=("lab",))}) as hub:
        yield hub


@pytest.fixture
def client(hub, monkeypatch, tmp_path):
    """The hub, with this process's huggingface_hub client speaking with it, and not waiting long between tries."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


@pytest.fixture(scope="module")
def staged(tiny_release, tmp_path_factory):
    """A staged model."""
    folder = tmp_path_factory.mktemp("staged")
    stage_model(tiny_release, folder, NAME)
    return folder


def content(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in paraclap.publishing.hub.files_of(folder)}


def code_of_card(file):
    """The card's Python, all blocks in their order."""
    return "\n".join(re.findall(r"```python\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL))


def run(arguments, hub, token=TOKEN, cwd=ROOT, **environment):
    """Runs a command in a fresh process whose huggingface_hub speaks with the loopback Hub through HF_ENDPOINT."""
    environment = {k: v for k, v in os.environ.items() if k != "HF_TOKEN"} | hub.environment(token) | environment
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


# ---------------------------------------------------------------------------------------------------------- round trip


def test_round_trip(hub, tiny_release, tmp_path):
    # hf_xet as people have it, though this Hub has LFS alone
    home = {"HF_HOME": str(tmp_path / "hf"), "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_DISABLE_XET": "0"}
    push = ["push_to_hub.py", "model", str(tiny_release), "--repo_id", NAME, "--tag", "v1", "--debug"]
    done = run([*push, "--staging_dir", str(tmp_path / "first")], hub, **home)
    assert done.returncode == 0, done.stderr
    assert "One commit" in done.stdout
    assert "Xet storage cannot be used" in done.stdout
    assert hub.files("models", NAME) == content(tmp_path / "first")
    assert hub.commits("models", NAME) == ["initial commit", "Publish tiny"]

    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "speech.wav", 0.1 * rng.standard_normal(48000), 16000)
    script = (
        "import json, sys\n"
        "from transformers import AutoModel, AutoProcessor, pipeline\n"
        "options = dict(trust_remote_code=True, revision='v1')\n"
        "classifier = pipeline('zero-shot-audio-classification', model='lab/tiny', device='cpu', **options)\n"
        "print(json.dumps(classifier('speech.wav', candidate_labels='angry, happy, sad')))\n"
        "AutoModel.from_pretrained('lab/tiny', **options), AutoProcessor.from_pretrained('lab/tiny', **options)\n"
        "assert 'modeling_paraclap' not in sys.modules\n"
    ) + code_of_card(tmp_path / "first" / "README.md")
    loaded = run(["-P", "-c", script], hub, token=None, cwd=tmp_path, **home)
    assert loaded.returncode == 0, loaded.stderr
    assert "tensor([" in loaded.stdout  # the card's last line
    expected = pipeline("zero-shot-audio-classification", model=str(tiny_release), device="cpu")(
        str(tmp_path / "speech.wav"), candidate_labels="angry, happy, sad"
    )
    found = json.loads(loaded.stdout.splitlines()[0])
    assert [entry["label"] for entry in found] == [entry["label"] for entry in expected]
    assert [e["score"] for e in found] == pytest.approx([e["score"] for e in expected], abs=1e-6)

    again = run([*push, "--staging_dir", str(tmp_path / "second")], hub, **home)
    assert again.returncode == 0, again.stderr
    assert "Nothing has changed, no commit" in again.stdout
    assert hub.commits("models", NAME) == ["initial commit", "Publish tiny"]
    files = b"".join(content(tmp_path).values())  # staged, and all that the Hub's client and hf_xet keep
    assert TOKEN not in done.stdout + done.stderr + again.stdout + again.stderr + files.decode(errors="replace")


def test_a_model_on_the_hub_is_evaluated_by_its_name(hub, client, staged, tmp_path):
    (tmp_path / "corpus").mkdir()
    make_emodb(tmp_path / "corpus")
    publish(staged, Target(NAME, "model", "config.json"), "first")
    home = {"HF_HOME": str(tmp_path / "hf")}
    corpora = ["--corpora", f"emodb={tmp_path / 'corpus'}", "--n_resamples", "0"]
    done = run(["evaluate_zero_shot.py", "--model", NAME, *corpora, "--output_dir", str(tmp_path / "out")], hub, **home)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["protocol"]["model"] == NAME
    assert results["protocol"]["weights_sha256"] == hash_file(staged / "model.safetensors")
    assert results["tasks"]["emodb"]["n"] == 2


def test_the_staged_folder_is_flat_and_complete(staged):
    names = set(content(staged))
    assert {"model.safetensors", "config.json", "processor_config.json", "preprocessor_config.json"} <= names
    assert {"README.md", "LICENSE", "sample.wav", "tokenizer.json", "pipeline_paraclap.py"} <= names
    assert not [name for name in names if "/" in name and not name.startswith(".eval_results/")]
    config = json.loads((staged / "config.json").read_text())
    assert config["auto_map"]
    assert config["custom_pipelines"]
    old = json.loads((staged / "preprocessor_config.json").read_text())
    assert old["auto_map"]["AutoFeatureExtractor"] == "feature_extraction_paraclap.ParaClapFeatureExtractor"
    assert (staged / "LICENSE").read_text().startswith("The weights (model.safetensors) are under apache-2.0")


def test_dry_run_uploads_nothing(client, tiny_release, tmp_path, capsys):
    options = ["--repo_id", NAME, "--dry_run", "--staging_dir", str(tmp_path / "staged")]
    assert push.main(["model", str(tiny_release), *options]) == 0
    printed = capsys.readouterr().out
    for name, data in content(tmp_path / "staged").items():
        assert f"{len(data):,}  {name}\n" in printed
    assert client.requests == []
    assert client.repos == {}


@pytest.mark.parametrize("name", ["tiny", "lab/ti ny", "a/b/c", "lab/--x"])
def test_names_are_checked_first(name, tmp_path, capsys):
    assert push.main(["model", str(tmp_path), "--repo_id", name]) == 2
    assert capsys.readouterr().err.startswith(("error: --repo_id is", f"error: {name!r} is no name for a repo"))


@pytest.mark.parametrize("options", [[], ["--debug"]])
@pytest.mark.parametrize("token", [TOKEN, READ_TOKEN, "hf_unknownUNKNOWNunknown"])
def test_the_token_is_never_printed(client, tiny_release, tmp_path, monkeypatch, capfd, token, options):
    """Even where the Hub itself repeats it in its answer."""
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(push, "stage_model", lambda *a: (a[1] / "config.json").write_text("{}"))

    def repeats_the_token(request):
        raise HubError(400, f"bad header {request.headers['Authorization']}")

    monkeypatch.setattr(client, "create", repeats_the_token)
    arguments = ["model", str(tiny_release), "--repo_id", NAME, "--staging_dir", str(tmp_path / "s"), *options]
    assert push.main(arguments) == 2
    printed = "".join(capfd.readouterr())
    assert "error: " in printed
    assert token not in printed


# ------------------------------------------------------------------------------------------------- what is not staged


def test_what_is_no_release_is_refused(tmp_path, tiny_release):
    (tmp_path / "out").mkdir()
    with pytest.raises(PublishError, match="is no release folder"):
        stage_model(tmp_path, tmp_path / "out", NAME)
    broken = Path(shutil.copytree(tiny_release, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(PublishError, match="broken does not load"):
        stage_model(broken, tmp_path / "out", NAME)


def test_a_folder_that_needs_the_package_is_refused(tiny_release, staged, tmp_path):
    broken = Path(shutil.copytree(staged, tmp_path / "broken"))
    (broken / "zero_shot_paraclap.py").write_text("import modeling_paraclap\n")
    with pytest.raises(PublishError, match="does not load without this project: .*modeling_paraclap"):
        paraclap.publishing.staging.check_scores(tiny_release, broken)


def test_other_scores_are_refused(tiny_config, tiny_processor, staged, tmp_path):
    torch.manual_seed(1)
    other = save_release(ParaClapModel(tiny_config()).eval(), tiny_processor, tmp_path / "other")
    with pytest.raises(PublishError, match="The staged folder's pipeline scores .* Nothing was published"):
        paraclap.publishing.staging.check_scores(other, staged)


def test_a_token_in_a_file_is_found(staged, tmp_path):
    folder = Path(shutil.copytree(staged, tmp_path / "leaky"))
    (folder / "training.json").write_text(json.dumps({"command": ["--token", TOKEN]}))
    with pytest.raises(PublishError, match="training.json holds what looks like a token") as raised:
        paraclap.publishing.staging.check_no_token(folder)
    assert TOKEN not in str(raised.value)


def test_paths_of_the_publisher_are_left_out():
    record = {"a": "/home/me/corpus", "b": ["x", "~/run/best"], "c": "configs/small.json", "d": "see https://x.org/a/b"}
    expected = {"a": "corpus", "b": ["x", "best"], "c": "configs/small.json", "d": "see https://x.org/a/b"}
    assert paraclap.publishing.staging.without_folders(record) == expected
