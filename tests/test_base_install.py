"""With the base install alone: every program's help, and one line that names the extra where a program needs one.

One process runs all of them in turn, on a folder with the base install's packages only. `make test-packaging` has the
same in environments that pip made.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from helpers.audio import tone
from helpers.base_install import link_base_install

ROOT = Path(__file__).parents[1]
PACKAGES = ("paraclap", "dataset_scripts", "modeling_paraclap")
ROOT_SCRIPTS = ("train_accelerate.py", "evaluate_zero_shot.py", "push_to_hub.py", "space/app.py")
COMMANDS = (
    *("", "score", "timeline", "embed", "search", "describe", "model", "train", "evaluate", "table1", "app", "push"),
    *("corpus", "corpus list", "corpus verify", "corpus download", "corpus build"),
)
# Runs the command lines that standard input has, as JSON, one after the other, and prints what came of each.
RUN_ALL = """
import contextlib, io, json, runpy, sys, traceback

def run(words):
    program, *sys.argv[1:] = words
    sys.argv[0] = program
    if program == "paraclap":
        from paraclap.cli import main
        main()
    elif program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)

found = []
for words in json.load(sys.stdin):
    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            run(words)
            status = 0
        except SystemExit as error:
            status = error.code or 0
            if isinstance(status, str):
                print(status, file=sys.stderr)
        except Exception:
            traceback.print_exc()
            status = 1
    found.append([words, status, streams[0].getvalue(), streams[1].getvalue()])
print(json.dumps(found))
"""


def programs():
    """All modules that run as a program."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    files = [file for file in files if '__name__ == "__main__"' in file.read_text(encoding="utf-8")]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for file in files]
    assert len(names) > 10
    return names


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Call command lines with the base install's packages alone."""
    folder = tmp_path_factory.mktemp("base")
    link_base_install(folder)
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}

    def call(command_lines):
        result = subprocess.run(
            [sys.executable, "-S", "-c", RUN_ALL],
            input=json.dumps(command_lines),
            capture_output=True,
            text=True,
            env=environment,
            cwd=folder,
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return call


def test_help_needs_no_extra(base):
    lines = [["paraclap", *command.split(), "--help"] for command in COMMANDS]
    lines += [[str(ROOT / script), "--help"] for script in ROOT_SCRIPTS]
    lines += [[name, "--help"] for name in programs()]
    for words, status, output, errors in base(lines):
        assert status == 0, (words, errors[-1000:])
        assert "usage" in output.lower(), words


def test_a_missing_extra_is_one_line_that_names_it(base, release, tmp_path):
    speech = str(tmp_path / "speech.wav")
    soundfile.write(speech, tone(1.0), 16000)
    (tmp_path / "bins.json").write_text("{}")
    model, out = ["--model", str(release)], str(tmp_path / "out")
    corpora = ["--corpora", f"emodb={tmp_path}", "--output_dir", out]
    lines = {
        "cli": [
            ["paraclap", "score", speech, *model, "-o", f"{out}.parquet"],
            ["paraclap", "timeline", speech, *model, "-o", out],
            ["paraclap", "embed", speech, *model, "-o", f"{out}.parquet"],
            ["paraclap", "search", str(tmp_path), "is sad", *model],
        ],
        "features": [
            ["paraclap", "describe", speech, "--bins", str(tmp_path / "bins.json")],
            ["dataset_scripts.describe", speech, "--bins", str(tmp_path / "bins.json")],
            ["paraclap", "corpus", "list"],
            ["paraclap", "corpus", "verify", f"emodb={tmp_path}"],
            ["dataset_scripts.corpora", "list"],
            ["paraclap", "corpus", "build", *corpora],
            ["dataset_scripts.build_query_corpus", *corpora],
        ],
        "train": [["paraclap", "train", "--corpus_dir", str(tmp_path), "--output_dir", out, "--report_to", "none"]],
        "evaluate": [
            ["paraclap", "evaluate", *model, *corpora],
            ["paraclap", "table1", *corpora, "--train_on", "emodb", "--config", str(ROOT / "configs" / "table1.yaml")],
        ],
        "publish": [["paraclap", "push", "metric", "--repo_id", "lab/uar", "--dry_run"]],
        "app": [["paraclap", "app", *model], [str(ROOT / "space" / "app.py"), *model]],
        "demo": [["paraclap.demo"]],
    }
    extra_of = {json.dumps(words): extra for extra, group in lines.items() for words in group}
    for words, status, _, errors in base([words for group in lines.values() for words in group]):
        printed = errors.strip().splitlines()
        assert status != 0, words
        assert printed, words
        assert f'pip install "paraclap[{extra_of[json.dumps(words)]}]"' in printed[-1], (words, errors)
        assert printed[-1].startswith("error: The package "), errors
        assert "Traceback" not in errors, (words, errors)
