"""The benchmark of the command measures what it says, on a small size."""

import re

from benchmarks import command


def test_command_and_model_are_measured_alone_and_beside_others(release, capsys):
    arguments = ["--model", str(release), "--files", "6", "--broken", "2", "--rounds", "1", "--busy", "1"]
    assert command.main(arguments) == 0
    printed = capsys.readouterr().out
    assert len(re.findall(r"^6 files, \d+ cores, [01] busy processes; best: model, ", printed, re.M)) == 2
    ratios = [float(ratio) for ratio in re.findall(r"^model.* (\d+\.\d\d)$", printed, re.M)]
    assert min(ratios) == 1
    assert len(re.findall(r"^paraclap score +\d+\.\d +\d+\.\d\d$", printed, re.M)) == 2


def test_the_memory_of_a_timeline_is_above_the_models(release, capsys):
    assert command.main(["--model", str(release), "--timeline_minutes", "2"]) == 0
    windows, above = re.search(r"(\d+) windows; .* (\d+) MB above it", capsys.readouterr().out).groups()
    assert int(windows) == 118
    assert int(above) < 600
