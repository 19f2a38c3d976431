"""Commands that process recordings (score, timeline, embed, search, describe), and `model`, which shows the model."""

import sys

import typer

from .cli_options import (
    DescribeOptions,
    EmbedOptions,
    ModelOptions,
    ScoreOptions,
    SearchOptions,
    TimelineOptions,
    add_command,
    examples,
)
from .command.errors import CommandError

PANEL = "Analyse recordings"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for name, options, function, lines in (
        ("score", ScoreOptions, score, SCORE_EXAMPLES),
        ("timeline", TimelineOptions, timeline, TIMELINE_EXAMPLES),
        ("embed", EmbedOptions, embed, EMBED_EXAMPLES),
        ("search", SearchOptions, search, SEARCH_EXAMPLES),
        ("describe", DescribeOptions, describe, DESCRIBE_EXAMPLES),
        ("model", ModelOptions, model, MODEL_EXAMPLES),
    ):
        add_command(app, name, options, function, rich_help_panel=PANEL, epilog=examples(lines))


SCORE_EXAMPLES = (
    "paraclap score speech.wav",
    'paraclap score recordings/ --labels "angry,happy,sad" -o scores.csv',
    "paraclap score recordings/ --question emotion --question gender -o scores.parquet --resume",
    "find . -name '*.flac' | paraclap score - --questions mine.yaml -o scores.json",
)
EMBED_EXAMPLES = ("paraclap embed recordings/ -o embeddings.parquet",)
TIMELINE_EXAMPLES = (
    "paraclap timeline interview.mp3 --question emotion",
    'paraclap timeline interview.mp3 --labels "angry,calm" --format textgrid -o timelines/',
)
SEARCH_EXAMPLES = ('paraclap search recordings/ "speaker is bored" "a female is speaking loudly"',)
DESCRIBE_EXAMPLES = ("paraclap describe speech.wav",)
MODEL_EXAMPLES = ("paraclap model", "paraclap model --model RUN/best")


def score(options: ScoreOptions) -> int:
    """Score recordings: one row per recording, with the best label and all scores of each question.

    Each recording is read once, however many questions are asked. A recording that cannot be used gets a row with the
    reason, and the exit status is then 1.
    """
    from .command.models import model_folder, without_garbage_collection
    from .command.recordings import find_recordings
    from .command.run import process_recordings, report_unusable
    from .command.score import ScoreTask

    questions, plan, recordings = options.collect(), options.plan(), find_recordings(options.paths)
    with without_garbage_collection():
        results = process_recordings(ScoreTask(tuple(questions), model_folder(options.model)), recordings, plan)
    if options.output is None:
        from .command.shown import print_scores

        print_scores(recordings, results, questions)
    return report_unusable(recordings, results, options.output)


def embed(options: EmbedOptions) -> int:
    """Write a table with the embedding of each recording, a vector of unit length.

    Use embeddings for your own classifiers, clustering and search. The embedding of a recording longer than a minute is
    the mean over its windows.
    """
    from .command.models import model_folder, without_garbage_collection
    from .command.recordings import find_recordings
    from .command.run import process_recordings, report_unusable
    from .command.score import ScoreTask

    if options.output is None or options.output.suffix.lower() != ".parquet":
        raise CommandError("Embeddings are written to a Parquet file: name it with -o embeddings.parquet.")
    plan, recordings = options.plan(), find_recordings(options.paths)
    with without_garbage_collection():
        results = process_recordings(ScoreTask((), model_folder(options.model)), recordings, plan)
    return report_unusable(recordings, results, options.output)


def timeline(options: TimelineOptions) -> int:
    """Score recordings over time: a CSV with one row per window, and a picture that is readable for an hour of audio.

    Writes NAME.timeline.csv and NAME.timeline.png, and with --format also NAME.TextGrid, NAME.labels.txt or NAME.srt.
    Memory use does not depend on the length of a recording.
    """
    from dataset_scripts.extras import extra, need

    with extra("cli"):  # fail before the work, not after it
        need("matplotlib")

    from .command.models import load_scorer, model_folder, without_garbage_collection
    from .command.recordings import find_recordings
    from .command.timeline import View, listen_along
    from .command.timelines import stems_of, write_timeline
    from .command.workers import cores
    from .page.smoothing import length_of

    questions = options.collect()
    view = View(options.window, options.stride, options.smooth, options.silence)
    recordings = find_recordings(options.paths)
    stems = stems_of(recordings, options.output_dir)
    with without_garbage_collection():
        scorer = load_scorer(model_folder(options.model))
    from modeling_paraclap.waveform_paraclap import AudioError

    status = 0
    for recording, stem in zip(recordings, stems, strict=True):
        try:
            found = listen_along(scorer, recording.path, questions, view, options.jobs or cores())
        except AudioError as error:
            print(f"not used: {error}", file=sys.stderr)
            status = 1
            continue
        files = write_timeline(found, stem, options.format)
        print(f"{recording.shown}: {length_of(found.duration)} of audio, smoothed over {found.smoothing:.3g} s")
        for file in files:
            print(f"  {file}")
    return status


def search(options: SearchOptions) -> int:
    """Search a folder for the recordings that best match a description, such as "speaker is bored".

    The recordings are embedded once; later searches only embed new or changed files. Silent recordings never match.
    """
    from dataset_scripts.extras import extra

    from .command.models import load_scorer, model_folder, without_garbage_collection
    from .command.questions import embed_questions
    from .command.recordings import find_recordings
    from .command.score import ScoreTask
    from .command.workers import cores
    from .page.questions import NamedQuestion

    with extra("cli"):
        from .command.search import index_folder, nearest, update_index
    if not options.folder.is_dir():
        raise CommandError(f"{str(options.folder)!r} is not a folder. Name the folder with the recordings first.")
    recordings = find_recordings([str(options.folder)])
    with without_garbage_collection():
        task = ScoreTask((), model_folder(options.model))
        scorer = load_scorer(task.model)
    texts = NamedQuestion("query", tuple((query, (query,)) for query in options.queries), ("{}",))
    queries = scorer.embed_texts(embed_questions(scorer, [texts])["query"]).numpy()
    parts = update_index(options.index or index_folder(options.folder), task, recordings, options.jobs or cores())
    found = nearest(parts, {recording.key for recording in recordings}, queries, options.k)
    for query, hits in zip(options.queries, found, strict=True):
        print(query)
        for cosine, path in hits:
            print(f"  {cosine:6.3f}  {path}")
    return 0


def describe(options: DescribeOptions) -> int:
    """Measure recordings and describe them in the words of the query corpus: pitch, loudness, duration, voice quality.

    Values are eGeMAPS functionals; low, mid or high refers to the bins that the model was trained with.
    """
    from dataset_scripts.extras import extra, need

    with extra("features"):
        need("opensmile")
        from dataset_scripts import describe as program

    from .command.models import model_folder
    from .command.recordings import find_recordings

    bins = options.bins or model_folder(options.model) / "bins.json"
    if not bins.is_file():
        raise CommandError(f"{bins} is missing. Give the bins.json of a query corpus: --bins FILE.")
    files = [recording.path for recording in find_recordings(options.paths)]
    return program.main([*files, "--bins", str(bins)])


def model(options: ModelOptions) -> int:
    """Show the model in use: its folder, its licence, and the sha256 of its parts."""
    from .command.models import facts_of, model_folder

    for name, value in facts_of(model_folder(options.model), options.model is None):
        print(f"{name:<12}{value}")
    return 0
