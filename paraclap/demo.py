"""Try ParaCLAP on synthetic voices or on your own recording.

    make demo AUDIO=file.wav LABELS="angry,happy,sad"
    python -m paraclap.demo --audio file.wav --labels "angry,happy,sad" [--template "speaker is {}."]

The default model is assembled in build/ first. Without --audio, speech-like sound is synthesised and scored. A
recording longer than a minute is scored in windows, in memory that does not depend on its length.
"""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from dataset_scripts.extras import need, program_extra
from modeling_paraclap.audio_paraclap import AudioError
from modeling_paraclap.checkpoint_paraclap import CheckpointError
from modeling_paraclap.clips_paraclap import Clip
from modeling_paraclap.scoring_paraclap import Scorer
from paraclap.command.errors import CommandError
from paraclap.command.models import load_scorer
from paraclap.command.questions import collect_questions, embed_questions
from paraclap.command.shown import score_lines
from paraclap.command.timeline import Timeline, View, listen_along
from paraclap.command.workers import cores
from paraclap.page.questions import NamedQuestion
from paraclap.publishing.default_checkpoint import DEFAULT, assemble_release
from paraclap.resources import resource
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise


@dataclass(frozen=True)
class Answered:
    """A recording and its scores.

    Attributes:
        name: Name of the recording.
        scores: For each question the score of each label, in the question's order.
        waveform: float32 (samples,) at the model's rate; None for a long recording.
        timeline: Scores over time of a long recording; None for a short one.
    """

    name: str
    scores: dict[str, list[float]]
    waveform: np.ndarray | None = None
    timeline: Timeline | None = None


def synthetic_clips(folder: Path) -> dict[str, Path]:
    """Write a wav file for each synthetic voice; return the file of each voice."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = {}
    for voice in VOICES:
        clips[voice.name] = folder / f"{voice.name.replace(' ', '_')}.wav"
        soundfile.write(clips[voice.name], synthesise(voice), SAMPLING_RATE, subtype="PCM_16")
    return clips


def answer(scorer: Scorer, name: str, file: Path, questions: Sequence[NamedQuestion]) -> Answered:
    """Listen to a recording once and answer all questions about it.

    Raises:
        AudioError: If the recording cannot be used.
    """
    audio = scorer.loader(file)
    if not isinstance(audio, Clip):
        timeline = listen_along(scorer, file, questions, View(), cores())
        return Answered(
            name, {name: table.mean(axis=0).tolist() for name, table in timeline.scores.items()}, timeline=timeline
        )
    (heard,) = scorer.hear([audio])
    asked = embed_questions(scorer, questions)
    scores = {name: list(scorer.answer(heard, question).values()) for name, question in asked.items()}
    return Answered(name, scores, waveform=audio.waveform)


def new_file(folder: Path) -> Path:
    """Return the first free path of demo-1.png, demo-2.png and so on."""
    number = 1
    while (folder / f"demo-{number}.png").exists():
        number += 1
    return folder / f"demo-{number}.png"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--audio", default="", help="your recording: wav, flac, mp3, m4a and others; default: synthetic voices"
    )
    parser.add_argument(
        "--labels", default="", help='labels separated by commas, "angry,happy,sad"; default: five questions'
    )
    parser.add_argument("--template", default="", help="prompt with {} for the label; default: the model's own")
    parser.add_argument("--checkpoint", type=Path, default=resource(f"checkpoints/{DEFAULT}"))
    parser.add_argument("--build_dir", type=Path, default=Path("build"))
    args = parser.parse_args(arguments)
    try:
        run(args, collect_questions(args.labels.strip() or None, templates=[args.template] if args.template else ()))
    except (AudioError, CheckpointError, CommandError, FileNotFoundError) as error:
        raise SystemExit(f"demo: {error}") from error


def run(args: argparse.Namespace, questions: Sequence[NamedQuestion]) -> None:
    """Assemble the model, score the recordings, print the scores and draw the picture."""
    with program_extra("demo"):
        need("scipy")
        from paraclap.command.heat_map import draw_timeline
        from paraclap.demo_picture import draw_clips

    release = args.build_dir / DEFAULT
    written = assemble_release(args.checkpoint, release)
    print(f"Model: {release} ({'assembled now' if written else 'already assembled'}), from {args.checkpoint}")
    if args.audio.strip():
        clips = {Path(args.audio).name: Path(args.audio)}
    else:
        clips = synthetic_clips(args.build_dir / "demo")
        print(f"Audio: speech-like sound that this project synthesises itself, in {args.build_dir / 'demo'}")
    scorer = load_scorer(release)
    answers = [answer(scorer, name, file, questions) for name, file in clips.items()]
    width = shutil.get_terminal_size().columns
    for found in answers:
        print("\n".join(["", found.name, *score_lines({"scores": found.scores}, questions, width)]))
    picture = new_file(args.build_dir)
    if answers[0].timeline is not None:
        draw_timeline(answers[0].timeline, picture)
    else:
        draw_clips({found.name: found for found in answers}, questions, scorer.loader.rate, picture)
    print(f"\nPicture: {picture}")
    if not args.audio.strip():
        print('Your own: make demo AUDIO=file.wav LABELS="angry,happy,sad"')


if __name__ == "__main__":
    main()
