"""What the README says runs, and its figures are the measured ones."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from paraclap.evaluation.results_table import BEGIN, END, kept_results, markdown_table, with_table
from paraclap.synthetic_speech import VOICES, synthesise

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHECKPOINT = ROOT / "checkpoints" / "paraclap-small"
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs(example, tiny_release, tmp_path):
    soundfile.write(tmp_path / "speech.wav", synthesise(VOICES[0], 2.0), 16000)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "paraclap-small").symlink_to(tiny_release)
    package = "" if "trust_remote_code" in example else f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    subprocess.run([sys.executable, "-c", package + example], cwd=tmp_path, check=True, timeout=300)


@pytest.mark.parametrize("line", re.findall(r"^(?:accelerate launch|python) .*(?:\\\n.*)*", README, flags=re.MULTILINE))
def test_command_takes_the_options(line):
    words = line.replace("\\\n", " ").split()
    script = [word for word in words if word.endswith(".py")] or ["-m", words[words.index("-m") + 1]]
    command = [sys.executable, *script, "--help"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for option in re.findall(r"--\w+", line):
        assert option in text


def test_figures_are_the_measured_ones():
    folders = (
        "build/eval",
        "build/eval-calibrated",
        "build/eval-by-gender",
        "build/eval-by-speaker",
        "build/eval-without-emodb",
    )
    files = kept_results(CHECKPOINT, folders)
    evaluations = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    assert with_table(README, markdown_table(evaluations)) == README


def test_a_text_without_marks_is_an_error():
    assert with_table(f"a{BEGIN}old{END}b", "new") == f"a{BEGIN}\nnew\n{END}b"
    with pytest.raises(ValueError, match="no marks"):
        with_table("nothing here", "new")
