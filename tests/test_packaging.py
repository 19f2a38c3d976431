"""The package as strangers install it: wheel and sdist, and every entry point in an environment with exactly its extra.

Not in the default run, as each environment takes a while: `make test-packaging`. The environments share one with torch,
whose version PARACLAP_TORCH chooses ("torch==2.11.*"; default: what this process has).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import soundfile
from helpers.owners_layouts import make_emodb

from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"dataset_scripts", "modeling_paraclap", "paraclap"}
BUILD = """
import sys
from setuptools import build_meta
print(build_meta.build_{kind}(sys.argv[1]))
"""
PIPELINE = """
from transformers import pipeline
import modeling_paraclap

classifier = pipeline("zero-shot-audio-classification", model=MODEL)
print([entry["label"] for entry in classifier("speech.wav", candidate_labels=["angry", "calm"])])
"""


def build(kind, source, target):
    """Build a wheel or an sdist of a source tree; its file."""
    target.mkdir(exist_ok=True)
    command = [sys.executable, "-c", BUILD.format(kind=kind), str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def sdist(tmp_path_factory):
    """The source distribution, of a copy of the files that git knows, and what lies about in a checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "space" / ".env").write_text("HF_TOKEN=hf_notnotnotnotnotnotnot")
    (folder / "build" / "lib" / "training").mkdir(parents=True)
    (folder / "build" / "lib" / "training" / "__init__.py").write_text("")
    return build("sdist", folder, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def source(sdist, tmp_path_factory):
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.iterdir())


@pytest.fixture(scope="session")
def wheel(source, tmp_path_factory):
    """The wheel, built of the source distribution."""
    return build("wheel", source, tmp_path_factory.mktemp("dist"))


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


# ------------------------------------------------------------------------------------------------------------- files


def test_the_wheel_has_three_names_and_nothing_by_chance(wheel):
    names = contents(wheel)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert not [name for name in names if ".env" in name or name.startswith("training/")]
    for name in ("modeling_paraclap", "dataset_scripts", "paraclap"):
        assert f"{name}/py.typed" in names
    modules = {str(file.relative_to(ROOT)) for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    assert {name for name in names if name.endswith(".py") and "/data/" not in name} == modules
    tables = {str(file.relative_to(ROOT)) for package in PACKAGES for file in (ROOT / package).rglob("*.csv")}
    assert tables <= names.keys()
    assert sum(map(len, names.values())) < 25e6


def test_checkout_and_sdist_give_the_same_wheel(wheel, tmp_path):
    folder = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".venv", ".git", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=ignored)
    assert contents(build("wheel", folder, tmp_path / "dist")) == contents(wheel)


def test_the_sdist_has_what_the_tests_need(source):
    """All tests are collected there, and those of the package as a whole pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run([*command, "--collect-only"], cwd=source, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    files = ["tests/paraclap/test_resources.py", "tests/modeling_paraclap/test_calibration.py"]
    done = subprocess.run([*command, *files], cwd=source, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_metadata_are_those_of_a_package_index(wheel):
    names = contents(wheel)
    text = next(content.decode() for name, content in names.items() if name.endswith("dist-info/METADATA"))
    metadata = Parser().parsestr(text)
    assert (metadata["Name"], metadata["License-Expression"] or metadata["License"]) == ("paraclap", "Apache-2.0")
    for field in ("Author", "Keywords", "Classifier", "Project-URL", "Requires-Python"):
        assert metadata[field], field
    links = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())
    assert links
    assert all(link.startswith(("https://", "#")) for link in links)
    base = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert [line for line in base if line.startswith("torch")] == ["torch>=2.11"]


# ------------------------------------------------------------------------------------------------------ environments


class Environment:
    """A virtual environment outside the checkout."""

    def __init__(self, folder, base=None):
        self.folder, self.python = folder, folder / "env" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
        if base is not None:  # what is installed there counts as installed here
            site = next((folder / "env" / "lib").glob("python3*/site-packages"))
            (site / "base.pth").write_text(str(next((base.folder / "env" / "lib").glob("python3*/site-packages"))))

    def install(self, *requirements):
        command = [self.python, "-m", "pip", "install", "-q", *requirements]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    def run(self, *command, **variables):
        """Run Python, or a script of the environment, in the folder beside it."""
        program = self.folder / "env" / "bin" / command[0]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "HF_"))}
        environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(self.folder / "hf"), "OMP_NUM_THREADS": "1"}
        environment |= {"XDG_CACHE_HOME": str(self.folder / "cache"), "COLUMNS": "100"} | variables
        return subprocess.run(
            [str(program), *map(str, command[1:])], cwd=self.folder, env=environment, capture_output=True, text=True
        )


@pytest.fixture(scope="session")
def base(wheel, tmp_path_factory):
    """An environment with the base install."""
    import torch

    environment = Environment(tmp_path_factory.mktemp("base"))
    requirement = os.environ.get("PARACLAP_TORCH", f"torch=={torch.__version__.partition('+')[0]}")
    environment.install(requirement, str(wheel))
    return environment


@pytest.fixture(scope="session")
def with_extra(base, wheel, tmp_path_factory):
    """A function that gives an environment with one extra."""
    made = {}

    def make(extra):
        if extra not in made:
            made[extra] = Environment(tmp_path_factory.mktemp(extra), base)
            made[extra].install("--force-reinstall", "--no-deps", str(wheel))  # for the `paraclap` script
            made[extra].install(f"{wheel}[{extra}]")
        return made[extra]

    return make


@pytest.fixture(scope="session")
def inputs(tmp_path_factory, tiny_release, corpus_dir, text_encoder):
    """What the programs are given: a release, a recording, a corpus as its owner ships it, and a query corpus."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "recordings").mkdir()
    speech = folder / "recordings" / "speech.wav"
    soundfile.write(speech, synthesise(VOICES[1], 2.0), SAMPLING_RATE)
    own = folder / "mine"
    own.mkdir()
    shutil.copyfile(speech, own / "speech.wav")
    (own / "files.csv").write_text("file,emotion,split\nspeech.wav,calm,test\n")
    owner = make_emodb(folder / "emodb", speakers=("03", "08", "15"))  # 15 is a test speaker
    return {
        "release": tiny_release,
        "speech": speech,
        "folder": speech.parent,
        "corpus": corpus_dir,
        "encoders": text_encoder,
        "owner": owner,
        "own": own,
    }


def test_the_base_install_classifies(base, inputs):
    shutil.copyfile(inputs["speech"], base.folder / "speech.wav")
    done = base.run("python", "-c", PIPELINE.replace("MODEL", repr(str(inputs["release"]))))
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout.splitlines()[-1].replace("'", '"'))) == {"angry", "calm"}
    alone = PIPELINE.replace("import modeling_paraclap\n", "").replace("MODEL)", "MODEL, trust_remote_code=True)")
    done = base.run("python", "-c", alone.replace("MODEL", repr(str(inputs["release"]))))
    assert done.returncode == 0, done.stderr
    script = "import importlib.metadata as m; print(*sorted({str(f).split('/')[0] for f in m.files('paraclap')}))"
    found = base.run("python", "-c", script).stdout.split()
    assert {name for name in found if not name.endswith((".dist-info", ".."))} == PACKAGES


# Program -> the extra that it needs; None where the base install will do.
PROGRAMS = {
    "python -m paraclap.training": "train",
    "python -m paraclap.evaluation": "evaluate",
    "python -m paraclap.publishing": "publish",
    "python -m dataset_scripts.build_query_corpus": "features",
    "python -m dataset_scripts.corpora": "features",
    "python -m dataset_scripts.describe": "features",
    "python -m paraclap.demo": "demo",
    "python -m paraclap.publishing.default_checkpoint": None,
    "python -m modeling_paraclap.export_onnx": "onnx",
    "python -m modeling_paraclap.convert_paraclap_checkpoint": None,
    "paraclap": None,
    **{f"paraclap {name}": "cli" for name in ("score", "timeline", "embed", "search")},
    "paraclap model": None,
    "paraclap describe": "features",
    "paraclap train": "train",
    "paraclap evaluate": "evaluate",
    "paraclap push": "publish",
    "paraclap app": "app",
    **{f"paraclap corpus {name}": "features" for name in ("list", "verify", "download", "build")},
}
# Program -> arguments that need what the extra brings. INPUTS are in braces.
ARGUMENTS = {
    "python -m paraclap.training": "--corpus_dir {corpus} --output_dir run --audio_config {encoders}/audio.json "
    "--text_model_name_or_path {encoders} --max_steps 1 --batch_size 4 --report_to tensorboard --gain 3 --speed 1",
    "python -m paraclap.evaluation": "--model {release} --corpora emodb={owner} --output_dir eval --n_resamples 10",
    "python -m paraclap.publishing": "model {release} --repo_id lab/tiny --dry_run",
    "python -m dataset_scripts.build_query_corpus": "--corpora emodb={owner} --output_dir built",
    "python -m dataset_scripts.corpora": "verify mine={own}",
    "python -m dataset_scripts.describe": "{speech} --bins {corpus}/bins.json",
    "python -m paraclap.demo": "--audio {speech} --labels angry,sad",
    "python -m modeling_paraclap.export_onnx": "--model {release} --output_dir onnx",
    "paraclap score": "{speech} --model {release} --labels angry,sad -o scores.parquet",
    "paraclap timeline": "{speech} --model {release} --labels angry,sad -o timelines",
    "paraclap embed": "{speech} --model {release} -o embeddings.parquet",
    "paraclap search": "{folder} speaker --model {release}",
    "paraclap describe": "{speech} --bins {corpus}/bins.json",
    "paraclap train": "--corpus_dir {corpus} --output_dir run2 --audio_config {encoders}/audio.json "
    "--text_model_name_or_path {encoders} --max_steps 1 --batch_size 4",
    "paraclap evaluate": "--model {release} --corpora emodb={owner} --output_dir eval2 --n_resamples 0",
    "paraclap push": "metric --repo_id lab/uar --dry_run",
    "paraclap corpus list": "",
    "paraclap corpus verify": "mine={own}",
    "paraclap corpus build": "--corpora emodb={owner} --output_dir built2",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_needs_no_extra(base, program):
    done = base.run(*program.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


@pytest.mark.parametrize("program", ARGUMENTS)
def test_a_missing_extra_is_one_line_that_names_it(base, inputs, program):
    done = base.run(*program.split(), *ARGUMENTS[program].format(**inputs).split())
    assert done.returncode not in (0, None)
    lines = done.stderr.strip().splitlines()
    assert f'pip install "paraclap[{PROGRAMS[program]}]"' in lines[-1], done.stderr
    assert "Traceback" not in done.stderr
    assert lines[-1].startswith("error: ")


@pytest.mark.parametrize("program", ARGUMENTS)
def test_with_its_extra_alone_a_program_runs(with_extra, inputs, program):
    extra = PROGRAMS[program]
    if extra == "train" and not os.environ.get("PARACLAP_TORCH", "torch==2.11").startswith("torch==2.11"):
        pytest.skip("training's torchaudio needs torch 2.11")
    environment = with_extra(extra)
    done = environment.run(*program.split(), *ARGUMENTS[program].format(**inputs).split())
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("kind", ["dataset {corpus}", "space --model lab/tiny"])
def test_every_kind_is_staged_with_the_extra_of_publishing(with_extra, inputs, kind):
    arguments = [*kind.format(**inputs).split(), "--repo_id", "lab/x", "--dry_run"]
    done = with_extra("publish").run("paraclap", "push", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Nothing uploaded (--dry_run)." in done.stdout


def test_the_default_model_is_assembled_once(with_extra, inputs):
    """Offline, of the packages that the extra brings, and told where they are missing."""
    environment = with_extra("default")
    done = environment.run("paraclap", "model")
    assert done.returncode == 0, done.stderr[-3000:]
    folder = re.search(r"^folder +(.+)$", done.stdout, re.MULTILINE)[1]
    assert folder.startswith(str(environment.folder / "cache"))
    script = PIPELINE.replace("MODEL", repr(folder))
    shutil.copyfile(inputs["speech"], environment.folder / "speech.wav")
    done = environment.run("python", "-c", script)
    assert done.returncode == 0, done.stderr[-3000:]


def test_without_the_packages_the_default_model_names_its_extra(base):
    done = base.run("paraclap", "model")
    assert done.returncode != 0
    assert 'pip install "paraclap[default]"' in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_query_corpus_is_built_on_ray(with_extra, inputs):
    arguments = f"--corpora emodb={inputs['owner']} --output_dir built --engine ray --num_proc 1".split()
    done = with_extra("ray").run("python", "-m", "dataset_scripts.build_query_corpus", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
