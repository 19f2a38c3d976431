"""The benchmark of the cold start: its stages run, and each takes as long as the one before or longer."""

from benchmarks import start


def test_every_stage_runs_and_the_answer_comes_last(tiny_release, capsys):
    found = start.main(["--rounds", "0", "--model", str(tiny_release)])
    assert list(found) == [*start.CODE, start.COMMAND]
    assert found["Python"][1] < found[start.COMMAND][1]  # CPU seconds, not the clock
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert max(map(len, lines)) <= 80
