r"""Reproduce the paper's Table 1: four training variants, baselines, and every task whose corpus is given.

    paraclap table1 --corpora nemo=DIR emodb=DIR librispeech=DIR ravdess=DIR crema_d=DIR \
        --train_on nemo emodb librispeech --output_dir build/table1 --text_model_name_or_path FOLDER

Build the query corpus of the corpora to train on, train the variants no_emo, only_emo, rand1 and rand5 from one
configuration (section 3.3 of the paper), and evaluate them on every task of the given corpora. `--models` adds columns
for models that `paraclap evaluate --model` accepts; `--answers NAME=FILE` adds a system that answers in free text.
Chance and a supervised linear classifier on eGeMAPS functionals are the baselines.

The same command resumes an interrupted run. `--dry_run` prints the commands and the estimated cost of training. OUT
receives `table1.md`, `table1.csv`, `table1.png` and, for each task, `confusion-TASK.png` with the first
variant beside the last. Options not listed below are passed to training.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_scripts.corpora import CORPORA, TASKS, CorpusError, has_module, parse_corpora
from dataset_scripts.extras import need, program_extra
from dataset_scripts.queries import VARIANTS
from dataset_scripts.tables import write_csv
from dataset_scripts.tasks import Task

from .results_table import with_table
from .table1_layout import PAPER, Table, draw_table, figure_rows, markdown_of, read_paper

BEGIN = "<!-- results: written by `make table1` -->"
PAPER_TABLE = Path(__file__).with_name("paper_table1.csv")
TITLES = {"no_emo": "no emo", "only_emo": "only emo", "rand1": "rand 1", "rand5": "rand 5"}
FLOOR = "eGeMAPS, linear (supervised)"
# The paper's experiment (section 3): utterances of MSP-Podcast, epochs; forward and backward of 5 s in both towers.
PAPER_UTTERANCES, PAPER_EPOCHS, OPERATIONS_PER_UTTERANCE = 55_283, 50, 330e9
GPU_RATE, CPU_RATE = 100e12, 0.2e12


@dataclass
class Step:
    """One command of the table, and the file whose existence marks it as done."""

    title: str
    arguments: list[str]
    done: Path

    def command(self) -> list[str]:
        """Return the command as a list of words."""
        return [sys.executable, "-m", *self.arguments]


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="paraclap table1",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # every other option is training's
    )
    parser.add_argument("--corpora", nargs="+", required=True, metavar="NAME=DIR", help="available corpora")
    parser.add_argument("--train_on", nargs="+", required=True, metavar="NAME", help="corpora to train on")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument(
        "--config", type=Path, default=Path("configs/table1.yaml"), help="YAML of the training arguments"
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(TITLES), help="default: all four")
    parser.add_argument("--models", nargs="*", default=[], metavar="NAME", help="further models, one column each")
    parser.add_argument(
        "--answers", nargs="*", default=[], metavar="NAME=FILE", help="systems that answer in free text"
    )
    parser.add_argument("--num_proc", type=int, default=1, help="processes for openSMILE")
    parser.add_argument("--n_resamples", type=int, default=1000, help="bootstrap resamples of the intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap")
    parser.add_argument("--page", type=Path, help="Markdown page whose marked block is replaced by the table")
    parser.add_argument("--dry_run", action="store_true", help="print the commands and the estimated cost of training")
    args, training = parser.parse_known_args(arguments)
    args.training = [word for word in training if word != "--"]
    args.corpora = parse_corpora(args.corpora)
    missing = [name for name in args.train_on if name not in args.corpora]
    if missing:
        parser.error(f"--train_on names {missing[0]}, which --corpora lacks: add {missing[0]}=DIR")
    if not args.config.is_file():
        parser.error(f"--config {args.config} is missing; expected a YAML file of training arguments")
    return args


def tasks_of(corpora: Sequence[str]) -> list[Task]:
    """Return the tasks to run: emotions and the paper's tasks of the given corpora, and all tasks of own corpora."""
    return [
        task
        for task in TASKS.values()
        if task.corpus in corpora
        and not task.needs_functionals
        and (task.name in PAPER.values() or task.name == task.corpus or not has_module(task.corpus))
    ]


def steps_of(args: argparse.Namespace) -> list[Step]:
    """Return all commands, in order."""
    out, tasks = args.output_dir, tasks_of(list(args.corpora))
    pairs = {name: f"{name}={path}" for name, path in args.corpora.items()}
    build = [
        "dataset_scripts.build_query_corpus",
        "--output_dir",
        str(out / "corpus"),
        "--num_proc",
        str(args.num_proc),
    ]
    steps = [Step("query corpus", [*build, "--corpora", *(pairs[n] for n in args.train_on)], out / "corpus/build.json")]
    tested = [pairs[name] for name in pairs if name in {task.corpus for task in tasks}]
    evaluate = ["paraclap.evaluation", "--corpora", *tested, "--tasks", *(task.name for task in tasks)]
    evaluate += ["--n_resamples", str(args.n_resamples), "--seed", str(args.seed)]
    for variant in args.variants:
        run = out / "runs" / variant
        train = ["paraclap.training", "--config", str(args.config), "--corpus_dir", str(out / "corpus")]
        train += ["--output_dir", str(run), "--variant", variant, "--resume", *args.training]
        steps.append(Step(f"train {TITLES[variant]}", train, out / f"{variant}.trained"))
        target = out / "evaluations" / variant
        words = [*evaluate, "--model", str(run / "best"), "--output_dir", str(target)]
        steps.append(Step(f"evaluate {TITLES[variant]}", words, target / "results.json"))
    for name in args.models:
        target = out / "evaluations" / slug(name)
        words = [*evaluate, "--model", name, "--output_dir", str(target)]
        steps.append(Step(f"evaluate {name}", words, target / "results.json"))
    for entry in args.answers:
        name, _, file = entry.partition("=")
        target = out / "evaluations" / slug(name)
        words = [*evaluate, "--answers", file, "--model", name, "--output_dir", str(target)]
        steps.append(Step(f"evaluate {name}", words, target / "results.json"))
    return steps


def slug(name: str) -> str:
    """Return a name as a folder name."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def run_steps(steps: Sequence[Step]) -> None:
    """Run the commands that are not done yet, in order.

    Raises:
        SystemExit: If a command fails; the results of earlier ones are kept.
    """
    for number, step in enumerate(steps, start=1):
        if step.done.exists():
            print(f"[{number}/{len(steps)}] {step.title}: done before", flush=True)
            continue
        print(f"[{number}/{len(steps)}] {step.title}: {shlex.join(step.command())}", flush=True)
        start = time.monotonic()
        code = subprocess.run(step.command(), check=False).returncode
        if code:
            raise SystemExit(f"{step.title} ended with status {code}. Repeat the command to resume here.")
        if step.done.suffix == ".trained":  # training writes many files; this one marks its completion
            step.done.write_text(f"{time.monotonic() - start:.0f} s\n", encoding="utf-8")


def add_floor(table: Table, args: argparse.Namespace) -> None:
    """Add the linear classifier's results, computed once and cached in `floor.json`."""
    file = args.output_dir / "floor.json"
    if not file.exists():
        from .baselines import FunctionalsCache, evaluate_floor, fit_floor

        cache = FunctionalsCache(args.output_dir / "functionals", args.num_proc)
        frames = {name: cache.load(name, root) for name, root in args.corpora.items()}
        classifier = fit_floor({name: frames[name] for name in args.train_on})
        found = {
            task.name: evaluate_floor(classifier, task, frames[task.corpus], args.n_resamples, args.seed)
            for task in tasks_of(list(args.corpora))
            if task.column == "emotion"
        }
        file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for task, result in json.loads(file.read_text(encoding="utf-8")).items():
        add_result(table, task, FLOOR, result)


def add_result(table: Table, task: str, system: str, result: dict) -> None:
    """Add the figures of one evaluated task."""
    table.figures[task, system] = (result["uar"], *result["intervals"]["uar"])
    most = result["most_predicted"]
    table.most_predicted[task, system] = (most["label"], most["share"])


def collect(args: argparse.Namespace) -> Table:
    """Return the table of all available evaluations."""
    systems = {variant: TITLES[variant] for variant in args.variants}
    systems |= {slug(name): name for name in args.models}
    systems |= {slug(entry.partition("=")[0]): entry.partition("=")[0] for entry in args.answers}
    table = Table([*systems.values(), FLOOR], paper=read_paper(PAPER_TABLE))
    tasks = tasks_of(list(args.corpora))
    for task in tasks:
        table.chance[task.name] = task.chance
        if task.corpus in args.train_on:
            table.notes[task.name] = "unseen speakers of a training corpus" if task.split else "heard in training"
    for folder, title in systems.items():
        for task, result in read_evaluation(args, folder).items():
            add_result(table, task, title, result)
    for title, task in PAPER.items():
        if task not in table.chance:
            corpus = TASKS[task].corpus
            table.missing[title] = f"{CORPORA[corpus].title} is not among --corpora ({corpus}=DIR)"
    return table


def draw_pairs(args: argparse.Namespace) -> None:
    """Draw the confusion matrices of the first and the last variant side by side, as the paper's Figures 2 and 3 do."""
    from .plots import draw_confusions

    ends = list(dict.fromkeys((args.variants[0], args.variants[-1])))
    found = {variant: read_evaluation(args, variant) for variant in ends}
    for task in tasks_of(list(args.corpora)):
        matrices = {
            f"{TITLES[variant]}, UAR {results[task.name]['uar']:.3f}": results[task.name]["confusion"]
            for variant, results in found.items()
            if task.name in results
        }
        if matrices:
            title = f"{CORPORA[task.corpus].title}: {task.column}, zero-shot, chance {task.chance:.3f}"
            draw_confusions(matrices, list(task.labels), title, args.output_dir / f"confusion-{task.name}.png")


def read_evaluation(args: argparse.Namespace, folder: str) -> dict[str, dict]:
    """Return the results of one system by task."""
    file = args.output_dir / "evaluations" / folder / "results.json"
    return json.loads(file.read_text(encoding="utf-8"))["tasks"]


def print_plan(args: argparse.Namespace, steps: Sequence[Step]) -> None:
    """Print the commands, and the estimated cost of the paper's own experiment."""
    for step in steps:
        state = "done" if step.done.exists() else "to do"
        print(f"{state}: {shlex.join(['python', *step.command()[1:]])}")
    tested = ", ".join(task.name for task in tasks_of(list(args.corpora)))
    print(f"\nTrains on {', '.join(CORPORA[name].title for name in args.train_on)}; tests on {tested}.")
    operations = PAPER_UTTERANCES * PAPER_EPOCHS * OPERATIONS_PER_UTTERANCE
    print(
        f"With --train_on msp_podcast and the paper's towers it is the paper's own experiment: {PAPER_UTTERANCES:,}\n"
        f"utterances, {PAPER_EPOCHS} epochs, {operations:.1e} operations a variant: {operations / GPU_RATE / 3600:.1f} "
        f"hours at {GPU_RATE / 1e12:.0f} TFLOP/s,\n{operations / CPU_RATE / 86400:.0f} days at "
        f"{CPU_RATE / 1e12:.1f} TFLOP/s, of which two cores of a CPU deliver about as much in bfloat16."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    try:
        args = parse_arguments(arguments)
    except CorpusError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    steps = steps_of(args)
    if args.dry_run:
        print_plan(args, steps)
        return 0
    with program_extra("evaluate"):  # fail before the trainings, not after them
        need("evaluate", "matplotlib", "opensmile")
        import pandas as pd
    args.output_dir.mkdir(parents=True, exist_ok=True)
    run_steps(steps)
    table = collect(args)
    add_floor(table, args)
    text = markdown_of(table)
    (args.output_dir / "table1.md").write_text(text, encoding="utf-8")
    if args.page is not None:
        args.page.write_text(with_table(args.page.read_text(encoding="utf-8"), text, BEGIN), encoding="utf-8")
    write_csv(pd.DataFrame(figure_rows(table)), args.output_dir / "table1.csv", float_format="%.6f")
    draw_table(table, args.output_dir / "table1.png")
    draw_pairs(args)
    print(f"\n{text}\nWritten to {args.output_dir}: table1.md, table1.csv, table1.png, confusion-TASK.png")
    return 0
