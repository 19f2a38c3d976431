"""The demo: asks a ParaCLAP model in the browser how somebody speaks.

    python app.py [--model ORG/NAME or FOLDER]

Runs as a Space on the Hub and on one's own machine (`make app`). It needs gradio and what the model needs, and nothing
of the project's package. Uploads are limited, and are deleted a few minutes later, at the latest when the server stops.
"""

import argparse
import functools
import html
import itertools
import os
import signal
import sys
import tempfile
from pathlib import Path

import gradio as gr
import pandas as pd
import soundfile
from transformers import pipeline

MODEL_FILE = Path(__file__).with_name("model_id.txt")
MAX_FILE_SIZE = "20mb"
MAX_SECONDS = 600
MAX_FILES = 50
WINDOW_S, STRIDE_S = 3.0, 1.0
LONG_S = 2 * WINDOW_S  # from here on the scores are shown over time, too
# Of the lines over time, told apart by people with any colour vision (Okabe and Ito); from the eighth on again.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
# Uploads and tables are looked through every so many seconds, and deleted at this age.
DELETE_EVERY, DELETE_AGE = 60, 300
OWN = "my own"
# Preset -> (prompt template, labels)
PRESETS = {
    "emotion": ("speaker is {}.", "angry, happy, sad, calm, neutral, fearful, bored"),
    "gender": ("{}", "a female is speaking, a male is speaking"),
    "pitch": ("{}", "has a low pitch, has a normal pitch, has a high pitch"),
    "loudness": ("{}", "is quiet, loudness is just about right, is loud"),
    "tempo": ("{}", "has a short duration, is of average duration, has a long duration"),
    OWN: ("{}", ""),
}
INTRO = """\
# How is it spoken?
Record or upload speech, then ask in plain words. Scores compare your queries with each other; they measure how speech
*sounds*, not what somebody feels. Analyse only voices of people who agreed. Recordings are deleted within minutes.
"""


def show_preset(name: str) -> tuple[str, str]:
    """The labels and the template of a preset."""
    template, labels = PRESETS[name]
    return labels, template


def read_queries(labels: str, template: str) -> tuple[list[str], str]:
    """The queries and the template that somebody typed.

    Raises:
        gr.Error: If there are fewer than two queries, or the template has no place for them.
    """
    queries = list(
        dict.fromkeys(label.strip() for label in (labels or "").replace("\n", ",").split(",") if label.strip())
    )
    if len(queries) < 2:
        raise gr.Error("Type two or more queries with commas between them: they are compared with each other.")
    if "{}" not in (template or ""):
        raise gr.Error("The template needs {} where the query goes.")
    return queries, template


def duration_of(file: str | None) -> float:
    """Seconds of a recording.

    Raises:
        gr.Error: If there is none, it cannot be read, or it is too long.
    """
    if not file:
        raise gr.Error("Record or upload speech first.")
    try:
        seconds = soundfile.info(file).duration
    except (OSError, soundfile.SoundFileError) as error:
        raise gr.Error(f"{Path(file).name} is no audio that can be read: wav, flac, ogg, opus and mp3 can.") from error
    if seconds > MAX_SECONDS:
        raise gr.Error(f"{Path(file).name} has {seconds:.0f} s; the demo takes {MAX_SECONDS} s at most.")
    return seconds


def legend_of(colours: dict[str, str]) -> str:
    """The queries with the colours of their lines, as HTML that wraps on a narrow screen."""
    entries = (
        f'<span style="display: inline-block; margin-right: 1em; overflow-wrap: anywhere">'
        f'<b style="color: {colour}">━━</b> {html.escape(query)}</span>'
        for query, colour in colours.items()
    )
    return " ".join(entries)


class Demo:
    """The page's functions, around one model.

    Args:
        model: Name on the Hub, or a folder.
    """

    def __init__(self, model: str):
        self.model = model

    @functools.cached_property
    def classify(self):
        """The pipeline, loaded when it is first needed."""
        return pipeline("zero-shot-audio-classification", model=self.model, trust_remote_code=True)

    def score(self, file: str | None, labels: str, template: str) -> tuple[dict, dict, dict, str]:
        """Scores one recording: bars, scores over time and their legend where it is long, and a sentence."""
        queries, template = read_queries(labels, template)
        seconds = duration_of(file)
        windows = {"window_length_s": WINDOW_S, "stride_length_s": STRIDE_S} if seconds >= LONG_S else {}
        result = self.ask(file, queries, template, **windows)
        scores = result["scores"] if windows else result
        bars = {entry["label"]: entry["score"] for entry in scores}
        rows = [
            {"seconds": (window["start"] + window["end"]) / 2, "query": entry["label"], "score": entry["score"]}
            for window in (result["windows"] if windows else [])
            for entry in window["scores"]
        ]
        colours = dict(zip(queries, itertools.cycle(COLOURS)))
        frame = pd.DataFrame(rows, columns=["seconds", "query", "score"])
        timeline = gr.update(value=frame, color_map=colours, visible=bool(windows))
        legend = gr.update(value=legend_of(colours), visible=bool(windows))
        best = max(bars, key=bars.get)
        asked = template.replace("{}", best)
        sentence = f"**{best}** fits best, with {bars[best]:.0%}. Asked as “{asked}”, of {seconds:.1f} s of audio."
        return bars, timeline, legend, sentence

    def score_batch(self, files: list[str] | None, labels: str, template: str) -> tuple[pd.DataFrame, dict]:
        """Scores several recordings: a table, and the same as CSV to download."""
        queries, template = read_queries(labels, template)
        if not files:
            raise gr.Error("Upload recordings first.")
        if len(files) > MAX_FILES:
            raise gr.Error(f"These are {len(files)} files; the demo takes {MAX_FILES} at a time.")
        rows = []
        for file in files:
            row = {"file": Path(file).name, "best": "", **dict.fromkeys(queries), "problem": ""}
            try:
                duration_of(file)
                scores = {entry["label"]: round(entry["score"], 4) for entry in self.ask(file, queries, template)}
                row |= {"best": max(scores, key=scores.get), **scores}
            except gr.Error as error:  # one bad file costs one row
                row["problem"] = error.message
            rows.append(row)
        table = pd.DataFrame(rows)
        csv = Path(tempfile.mkdtemp()) / "scores.csv"
        table.to_csv(csv, index=False)
        return table, gr.update(value=str(csv), interactive=True)

    def ask(self, file, queries, template, **options):
        """The pipeline's answer, with its complaints shown to the person."""
        try:
            return self.classify(file, candidate_labels=queries, hypothesis_template=template, **options)
        except ValueError as error:  # AudioError is one: silent, too short, cut off, not audio
            message = str(error).replace(str(file), Path(file).name)
            raise gr.Error(message) from error


def build_app(model: str) -> gr.Blocks:
    """The page for a model."""
    demo = Demo(model)
    with gr.Blocks(title="ParaCLAP", analytics_enabled=False, delete_cache=(DELETE_EVERY, DELETE_AGE)) as app:
        gr.Markdown(INTRO)
        preset = gr.Radio(list(PRESETS), value="emotion", label="Questions", elem_id="preset")
        template, labels = PRESETS["emotion"]
        labels = gr.Textbox(labels, label="Queries, with commas between them", elem_id="labels")
        with gr.Accordion("Template", open=False):
            template = gr.Textbox(template, label="{} takes the query", elem_id="template")
        preset.input(show_preset, preset, [labels, template])
        for box in (labels, template):  # in the browser, so that no answer of the server overtakes what is typed
            box.input(None, None, preset, js=f"() => {OWN!r}")
        with gr.Tab("One recording"):
            with gr.Row():
                with gr.Column(min_width=280):
                    audio = gr.Audio(
                        sources=["upload", "microphone"],
                        type="filepath",
                        label="Speech",
                        buttons=["download"],  # and no "share", which would put the recording on the Hub
                        elem_id="audio",
                    )
                    button = gr.Button("Ask", variant="primary", elem_id="ask")
                with gr.Column(min_width=280):
                    answer = gr.Markdown(elem_id="answer")
                    bars = gr.Label(label="Scores", elem_id="bars")
            legend = gr.HTML(visible=False, elem_id="legend")
            # without a height of its own, with which it draws itself too large for its box
            timeline = gr.LinePlot(
                x="seconds",
                y="score",
                color="query",
                y_lim=[0, 1],
                colors_in_legend=[],  # the plot's own does not wrap on a narrow screen
                visible=False,
                elem_id="timeline",
                label="Scores over time",
            )
        button.click(demo.score, [audio, labels, template], [bars, timeline, legend, answer])
        with gr.Tab("Several files"):
            files = gr.File(file_count="multiple", label=f"Recordings, {MAX_FILES} at most", elem_id="files")
            batch = gr.Button("Ask about all", variant="primary", elem_id="ask_all")
            table = gr.Dataframe(label="Scores", elem_id="table", interactive=False)
            download = gr.DownloadButton("Download as CSV", interactive=False, elem_id="download")
        batch.click(demo.score_batch, [files, labels, template], [table, download])
    return app


def main(arguments: list[str] | None = None) -> None:
    """Starts the page's server."""
    named = os.environ.get("PARACLAP_MODEL") or (MODEL_FILE.read_text().strip() if MODEL_FILE.is_file() else None)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=named, help="name on the Hub, or a release folder; default: %(default)s")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    args = parser.parse_args(arguments)
    if not args.model:
        parser.error("no model: give --model, or set PARACLAP_MODEL")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # else recordings would be left behind
    with tempfile.TemporaryDirectory(prefix="paraclap-app-") as folder:  # whatever is left goes when the server stops
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = folder
        build_app(args.model).launch(
            server_port=args.port,
            max_file_size=MAX_FILE_SIZE,
            show_error=True,
            run_history=False,  # it would keep the recordings in the browser
        )


if __name__ == "__main__":
    main()
