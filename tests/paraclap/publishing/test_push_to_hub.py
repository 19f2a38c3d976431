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

from modeling_paraclap import ParaClapModel
from modeling_paraclap.checkpoint_paraclap import hash_file
from modeling_paraclap.release_paraclap import save_release
from paraclap.publishing import publication, push, staging
from paraclap.publishing.checks import files_of
from paraclap.publishing.errors import PublishError
from paraclap.publishing.hub import Target, publish
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
def fresh():
    """What the fresh process said of the staged model."""
    return {}


@pytest.fixture(scope="module")
def staged(tiny_release, tmp_path_factory, fresh):
    """A staged model, which a fresh process has loaded."""
    folder = tmp_path_factory.mktemp("staged")
    with pytest.MonkeyPatch.context() as patch:
        original = staging.fresh_scores
        patch.setattr(staging, "fresh_scores", lambda staged: fresh.setdefault("scores", original(staged)))
        stage_model(tiny_release, folder, NAME)
    return folder


@pytest.fixture
def no_fresh_process(monkeypatch):
    """Staging without loading the folder in a process of its own, for tests of other things."""
    monkeypatch.setattr(staging, "check_scores", lambda source, folder: {})


def content(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files_of(folder)}


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

    files = b"".join(content(tmp_path).values())  # staged, and all that the Hub's client and hf_xet keep
    assert TOKEN not in done.stdout + done.stderr + files.decode(errors="replace")


def test_a_repeated_push_makes_no_commit(client, staged, tiny_release, tmp_path, capsys, no_fresh_process):
    publish(staged, Target(NAME, "model", "config.json"), "first")
    arguments = ["model", str(tiny_release), "--repo_id", NAME, "--staging_dir", str(tmp_path / "again")]
    assert push.main(arguments) == 0
    assert "Nothing has changed, no commit" in capsys.readouterr().out
    assert client.commits("models", NAME) == ["initial commit", "first"]


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


def test_dry_run_uploads_nothing(client, tiny_release, tmp_path, capsys, no_fresh_process):
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
    assert capsys.readouterr().err.startswith(
        (f"error: --repo_id is {name!r}", f"error: --repo_id {name!r} is not a valid")
    )


@pytest.mark.parametrize("options", [[], ["--debug"]])
@pytest.mark.parametrize("token", [TOKEN, READ_TOKEN, "hf_unknownUNKNOWNunknown"])
def test_the_token_is_never_printed(client, tiny_release, tmp_path, monkeypatch, capfd, token, options):
    """Even where the Hub itself repeats it in its answer."""
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(publication, "stage_model", lambda *a: (a[1] / "config.json").write_text("{}"))

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
    with pytest.raises(PublishError, match="is not a release folder"):
        stage_model(tmp_path, tmp_path / "out", NAME)
    broken = Path(shutil.copytree(tiny_release, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(PublishError, match="broken does not load"):
        stage_model(broken, tmp_path / "out", NAME)


def test_a_folder_that_needs_the_package_is_refused(tiny_release, staged, tmp_path):
    broken = Path(shutil.copytree(staged, tmp_path / "broken"))
    (broken / "zero_shot_paraclap.py").write_text("import modeling_paraclap\n")
    with pytest.raises(PublishError, match="does not load without this project: .*modeling_paraclap"):
        staging.check_scores(tiny_release, broken)


def test_other_scores_are_refused(tiny_config, tiny_processor, staged, fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "fresh_scores", lambda folder: fresh["scores"])
    torch.manual_seed(1)
    other = save_release(ParaClapModel(tiny_config()).eval(), tiny_processor, tmp_path / "other")
    with pytest.raises(PublishError, match="The staged folder's pipeline scores .* Nothing was published"):
        staging.check_scores(other, staged)


def test_nothing_of_the_publishers_machine_is_staged(tiny_release, tmp_path, no_fresh_process):
    """Configuration, training and results name folders; what is staged does not."""
    source = Path(shutil.copytree(tiny_release, tmp_path / "secret place" / "best"))
    config = json.loads((source / "config.json").read_text())
    config["text_config"]["_name_or_path"] = str(tmp_path / "encoder")
    (source / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((source / "tokenizer_config.json").read_text())
    (source / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"name_or_path": str(tmp_path / "encoder")}))
    folder = f"{tmp_path}/secret place"
    training = {
        "arguments": {
            "corpus_dir": "../clinic/corpus",
            "output_dir": r"C:\Users\me\run",
            "text_model_name_or_path": f"{folder}/encoder",
        },
        "command": ["train.py", "--corpus_dir", "../clinic/corpus", "--text_model_name_or_path", f"{folder}/encoder"],
    }
    (source / "training.json").write_text(json.dumps(training))
    stage_model(source, tmp_path / "staged", NAME, base_models=["google-bert/bert-base-uncased"])
    found = b"".join(content(tmp_path / "staged").values()).decode(errors="replace")
    for secret in ("secret place", "clinic", "Users", str(tmp_path)):
        assert secret not in found
    record = json.loads((tmp_path / "staged" / "training.json").read_text())
    assert record["arguments"]["corpus_dir"] == "corpus"
    assert record["command"][2] == "corpus"


def test_weights_are_staged_as_small_as_their_values_allow(tiny_config, tiny_processor, tmp_path, no_fresh_process):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config()).half().float()
    source = save_release(model.eval(), tiny_processor, tmp_path / "source")
    stage_model(source, tmp_path / "staged", NAME)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (source, tmp_path / "staged")]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = ParaClapModel.from_pretrained(tmp_path / "staged", dtype="auto")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
