"""What seeds and experiments gave: collected from their evaluations, kept, and shown in the log."""

import json
from pathlib import Path

import pandas as pd
import pytest

from paraclap.evaluation import runs_table
from paraclap.evaluation.results_table import END, with_table
from paraclap.evaluation.runs_table import BEGIN, EXPERIMENTS, expectation, experiments_markdown, main, tables
from paraclap.training.arguments import parse_arguments

ROOT = Path(__file__).parents[3]
LOG, KEPT = ROOT / "checkpoints" / "paraclap-base" / "README.md", ROOT / "docs" / "runs.csv"


def evaluation(folder, place, **uars):
    (folder / place).mkdir(parents=True)
    tasks = {
        task.replace("_test", "-test"): {"n": 10, "uar": uar, "most_predicted": {"label": "angry", "share": 0.25}}
        for task, uar in uars.items()
    }
    results = {"protocol": {"weights_sha256": "0" * 64}, "tasks": tasks}
    (folder / place / "results.json").write_text(json.dumps(results))


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    evaluation(folder, "paraclap-base/seed-0/eval-release", ravdess=0.5, crema_d_test=0.7)
    evaluation(folder, "paraclap-base/seed-0/eval-release-calibrated", ravdess=0.6, crema_d_test=0.71)
    evaluation(folder, "paraclap-base/seed-1/eval-release", ravdess=0.4)
    evaluation(folder, "paraclap-base/seed-0/eval-without-emodb", emodb=0.6)
    evaluation(folder, "paraclap-base/seed-1/eval-without-emodb", emodb=0.8)
    evaluation(folder, "one-member/seed-0/eval-without-emodb", emodb=0.65)
    evaluation(folder, "one-member/seed-0/eval-without-emodb-calibrated", emodb=0.66)
    return folder


@pytest.fixture
def log(tmp_path):
    file = tmp_path / "log.md"
    file.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    return file


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_seeds_stand_side_by_side_and_experiments_below(runs, log, tmp_path, capsys):
    main(runs, tmp_path / "runs.csv", log)
    text = log.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| ravdess, all | 0.500 | 0.400 | 0.450 ± 0.071 |" in text
    assert "| the same, share of the most predicted class | 25.0% | 25.0% | 25.0% ± 0.0% |" in text
    assert "| ravdess, all, calibrated | 0.600 |  | 0.600 |" in text
    assert "| crema_d, test speakers | 0.700 |  | 0.700 |" in text
    assert "| emodb, all, by the twin without emodb | 0.600 | 0.800 | 0.700 ± 0.141 |" in text
    assert "| paraclap-base | the released recipe | 0, 1 | 0.700 |  |" in text
    assert "| one-member | One member in place of three" in text
    assert "| 0 | 0.650 |  |" in text
    assert capsys.readouterr().out.strip() in text


def test_a_run_again_replaces_its_rows_and_keeps_the_others(runs, log, tmp_path):
    table = tmp_path / "runs.csv"
    main(runs, table, log)
    again = tmp_path / "again"
    evaluation(again, "one-member/seed-0/eval-without-emodb", emodb=0.55)
    main(again, table, log)
    kept = pd.read_csv(table)
    assert len(kept) == 9
    assert kept.query("recipe == 'one-member' and not calibrated")["uar"].tolist() == [0.55]
    assert "| 0 | 0.550 |  |" in log.read_text()


def test_an_evaluation_elsewhere_is_an_error(runs, log, tmp_path):
    evaluation(runs, "paraclap-base/eval-release", ravdess=0.5)
    with pytest.raises(ValueError, match="eval-release/results.json: expected RECIPE/seed-N/eval-MODEL"):
        main(runs, tmp_path / "runs.csv", log)


def test_a_folder_without_evaluations_is_an_error_and_changes_nothing(runs, log, tmp_path):
    main(runs, tmp_path / "runs.csv", log)
    before = log.read_text()
    with pytest.raises(ValueError, match="nowhere holds no results.json; run `make experiment`"):
        main(tmp_path / "nowhere", tmp_path / "runs.csv", log)
    assert log.read_text() == before


@pytest.mark.parametrize("text", ["num_members: 1\n", "# One member.\n"])
def test_an_experiment_says_what_it_changes_and_expects(text, tmp_path):
    file = tmp_path / "nameless.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match="expected a comment"):
        expectation(file)


@pytest.mark.parametrize("file", sorted((ROOT / EXPERIMENTS).glob("*.yaml")), ids=lambda file: file.stem)
def test_every_experiment_can_be_run_and_differs_from_the_recipe(file):
    words = ["--corpus_dir", "c", "--output_dir", "o", "--config", "configs/paraclap-base.yaml"]
    recipe, experiment = parse_arguments(words).flat(), parse_arguments([*words, str(file)]).flat()
    assert {name for name in recipe if recipe[name] != experiment[name]} > {"config"}
    assert len(expectation(file)) > 30


def test_the_log_shows_the_kept_figures():
    kept, text = pd.read_csv(KEPT), LOG.read_text(encoding="utf-8")
    assert with_table(text, tables(kept), BEGIN) == text
    assert set(kept["recipe"]) <= {runs_table.RECIPE, *(file.stem for file in (ROOT / EXPERIMENTS).glob("*.yaml"))}
    assert experiments_markdown(kept).count("\n") == kept["recipe"].nunique() + 1
