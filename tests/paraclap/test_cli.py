"""The `paraclap` command itself: help, version, completion, and the programs under its roof."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from paraclap import cli, cli_programs
from paraclap.resources import resource

LISTENING = ("score", "timeline", "embed", "search", "describe", "model")
# Blocks what the base install does not bring; the first argument has the names.
BLOCKER = """
import sys
NAMES = sys.argv[1].split(",")
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NAMES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
sys.argv = ["paraclap", *sys.argv[2:]]
from paraclap.cli import main
try:
    main()
finally:
    heavy = {"torch", "transformers", "pandas", "numpy", "matplotlib"} & set(sys.modules)
    print("imported:", sorted(heavy), file=sys.stderr)
"""


def call(*arguments, status=0, **options):
    result = CliRunner().invoke(cli.app, list(map(str, arguments)), **options)
    assert result.exit_code == status, result.output + repr(result.exception)
    return result


def blocked(names, *arguments):
    """The command in a process of its own, in which some packages are missing."""
    command = [sys.executable, "-c", BLOCKER, names, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("name", LISTENING)
def test_help_has_examples(name):
    printed = call(name, "--help").stdout
    assert "Examples" in printed
    assert f"$ paraclap {name} " in printed.replace("paraclap model\n", "paraclap model ")


def test_help_and_version_need_neither_extras_nor_torch():
    result = blocked("torch,transformers,pandas,pyarrow,matplotlib,datasets,gradio,yaml,numpy", "--help")
    assert result.returncode == 0, result.stderr
    assert all(name in result.stdout for name in (*LISTENING, *cli_programs.PROGRAMS, "corpus"))
    assert "imported: []" in result.stderr
    assert call("--version").stdout == f"paraclap {version('paraclap')}\n"


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("accelerate", ["train", "--output_dir", "x", "--corpus_dir", "y"], "train"),
        ("gradio", ["app", "--model", "x"], "app"),
        ("typer", ["--help"], "cli"),
    ],
)
def test_a_missing_package_is_one_line_that_names_the_extra(missing, arguments, extra):
    result = blocked(missing, *arguments)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("imported:")]
    assert result.returncode in (1, 2)
    assert len(lines) == 1, result.stderr
    assert f"The package {missing} is not installed" in lines[0]
    assert f"paraclap[{extra}]" in lines[0]


def test_completion_knows_the_commands():
    environment = {"_PARACLAP_COMPLETE": "complete_bash", "COMP_WORDS": "paraclap s", "COMP_CWORD": "1"}
    result = CliRunner().invoke(cli.app, [], env=environment, prog_name="paraclap")
    assert result.stdout.split() == ["score", "search"]


def test_programs_get_their_arguments_as_they_are(monkeypatch):
    calls = []

    class Program:
        @staticmethod
        def main(arguments):
            calls.append((sys.argv[0], arguments))
            return 7

    monkeypatch.setattr(cli_programs.importlib, "import_module", lambda name: calls.append(name) or Program)
    monkeypatch.setattr(sys, "argv", ["paraclap"])
    call("train", "--help", "--epochs", "3", "-x", status=7)
    call("corpus", "verify", "nemo=DIR", status=7)
    call("corpus", "build", "--corpora", "nemo=DIR", status=7)
    assert calls == [
        "paraclap.training.__main__",
        ("paraclap train", ["--help", "--epochs", "3", "-x"]),
        "dataset_scripts.corpora.__main__",
        ("paraclap corpus verify", ["verify", "nemo=DIR"]),
        "dataset_scripts.build_query_corpus",
        ("paraclap corpus build", ["--corpora", "nemo=DIR"]),
    ]


@pytest.mark.parametrize("name", [*cli_programs.PROGRAMS, *cli_programs.CORPUS_PROGRAMS])
def test_programs_are_there(name):
    module, _, _ = (cli_programs.PROGRAMS | cli_programs.CORPUS_PROGRAMS)[name]
    assert callable(cli_programs.importlib.import_module(module).main)


def test_corpus_list_and_verify_are_the_programs(tmp_path):
    assert "ravdess" in call("corpus", "list").stdout
    assert "does not have the owner's layout" in call("corpus", "verify", f"ravdess={tmp_path}", status=2).output


def test_describe_takes_the_models_bins(release, tmp_path):
    pytest.importorskip("opensmile")
    import soundfile

    from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

    soundfile.write(tmp_path / "a.wav", synthesise(VOICES[0], 1.0), SAMPLING_RATE)
    result = call("describe", tmp_path / "a.wav", "--model", release, status=2)
    assert "bins.json is missing. Give the bins.json of a query corpus: --bins FILE." in result.stderr


def test_describe_takes_the_default_models_bins(release, tmp_path, monkeypatch):
    pytest.importorskip("opensmile")
    import soundfile

    from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

    monkeypatch.setattr("paraclap.publishing.default_checkpoint.default_release", lambda: tmp_path / "default")
    (tmp_path / "default").mkdir()
    for file in (release / "config.json", resource("checkpoints/paraclap-base") / "bins.json"):
        (tmp_path / "default" / file.name).write_bytes(file.read_bytes())
    low, high = (min(VOICES, key=lambda voice: voice.pitch), max(VOICES, key=lambda voice: voice.pitch))
    for name, voice in (("low", low), ("high", high)):
        soundfile.write(tmp_path / f"{name} ö.wav", synthesise(voice, 1.0), SAMPLING_RATE)
    (tmp_path / "text.wav").write_text("this is no audio")
    result = call("describe", tmp_path, status=1)
    printed = result.stdout.split(str(tmp_path))[1:]
    assert [text.splitlines()[0] for text in printed] == ["/high ö.wav", "/low ö.wav"]
    assert ["has a high pitch" in printed[0], "has a low pitch" in printed[1]] == [True, True]
    assert all("duration" in text and "1.00 s" in text and "is short" in text for text in printed)
    assert result.stderr.startswith("not used: ")
    assert len(result.stderr.splitlines()) == 1


def test_model_says_what_it_is(release):
    lines = dict(line.split(maxsplit=1) for line in call("model", "--model", release).stdout.splitlines()[:5])
    assert lines["folder"] == str(release)
    assert lines["towers"] == "audio wav2vec2, text bert"
