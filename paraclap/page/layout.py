"""The page itself: what stands where, and what a click does."""

import html
from typing import Any

import gradio as gr

from .asking import Asking
from .limits import Limits, PageError
from .questions import BUILT_IN, NamedQuestion

# Uploads and tables are looked through every so many seconds, and deleted at this age.
DELETE_EVERY, DELETE_AGE = 60, 300
OWN = "my own"
INTRO = """\
# How is it spoken?
Record or upload speech, then ask in plain words. Scores compare your queries with each other; they measure how speech
*sounds*, not what somebody feels. Analyse only voices of people who agreed. Recordings are deleted within minutes.
"""
# The page's own text may break anywhere, so that no query is wider than a phone; a number may not.
CSS = """
#answer, #batch_answer, #bars, #table { overflow-wrap: anywhere; }
#bars .confidence { white-space: nowrap; flex: none; margin-left: var(--size-2); }
#table table { width: 100%; border-collapse: collapse; }
#table th, #table td { padding: 0.4em 0.6em; text-align: left; vertical-align: top; }
#table tr { border-bottom: 1px solid var(--border-color-primary); }
#table th:last-child, #table td.score { white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums; }
#table td:first-child { min-width: 7em; }
"""
THEME = gr.themes.Default().set(block_info_text_color="*neutral_600")  # by default too pale to read


def queries_of(question: NamedQuestion) -> str:
    """Return a built-in question as whole queries, with commas between them: what is shown is what is asked."""
    template = (question.templates or ("{}",))[0].rstrip(".")
    return ", ".join(template.replace("{}", phrases[0]) for _, phrases in question.labels)


PRESETS = {name: queries_of(question) for name, question in BUILT_IN.items()}


def problem(error: PageError) -> str:
    """Return an error as HTML, for the place where the answer would stand."""
    return f'<span role="alert">⚠️ {html.escape(str(error))}</span>'


def table_of(rows: list[list[str]]) -> str:
    """Return the answers about several recordings as an HTML table, which fits any width.

    Args:
        rows: Of each recording its name, the best query or what is wrong with it, and the score if there is one.
    """
    lines = ["<table><thead><tr><th>recording</th><th>fits best</th><th>score</th></tr></thead><tbody>"]
    for row in rows:
        name, best, score = map(html.escape, row)
        answer = f'<td>{best}</td><td class="score">{score}</td>' if score else f'<td colspan="2">⚠️ {best}</td>'
        lines.append(f"<tr><td>{name}</td>{answer}</tr>")
    return "".join([*lines, "</tbody></table>"])


def build_app(model: str, limits: Limits | None = None) -> gr.Blocks:
    """Return the page for a model.

    Args:
        model: Name on the Hub, or a folder.
        limits: Of what a visitor may give; by default those of a public page.
    """
    limits = limits or Limits()
    asking = Asking(model, limits)

    def ask_one(file: str | None, text: str) -> tuple[Any, str, Any]:
        try:
            scores, sentence, over_time = asking.score(file, text)
        except PageError as error:  # shown in its place: gradio's own error says "Error" and no more
            return gr.update(value=None, visible=False), problem(error), gr.update(value="", visible=False)
        timeline = gr.update(value=over_time or "", visible=over_time is not None)
        return gr.update(value=scores, visible=True), sentence, timeline

    def ask_all(files: list[str] | None, text: str) -> tuple[Any, str, Any]:
        try:
            rows, output = asking.score_batch(files, text)
        except PageError as error:
            return gr.update(value="", visible=False), problem(error), gr.update(interactive=False)
        used = sum(bool(score) for _, _, score in rows)
        sentence = f"{used} of {len(rows)} recordings used. The CSV file has the scores of all queries."
        return gr.update(value=table_of(rows), visible=True), sentence, gr.update(value=str(output), interactive=True)

    with gr.Blocks(title="ParaCLAP", analytics_enabled=False, delete_cache=(DELETE_EVERY, DELETE_AGE)) as app:
        gr.Markdown(INTRO)
        preset = gr.Radio([*PRESETS, OWN], value="emotion", label="Questions", elem_id="preset")
        labels = gr.Textbox(
            PRESETS["emotion"],
            label="Queries, with commas between them",
            info=f"Asked just as they stand here: {limits.of_queries}.",
            lines=2,
            elem_id="labels",
        )
        preset.input(lambda name: PRESETS.get(name, ""), preset, labels)
        # in the browser, so that no answer of the server overtakes what is typed
        labels.input(None, None, preset, js=f"() => {OWN!r}")
        with gr.Tab("One recording"):
            _one_recording(ask_one, labels, limits)
        with gr.Tab("Several files"):
            _several_files(ask_all, labels, limits)
    # One recording and one batch at a time, each of its own: nobody with a single recording waits for a batch.
    return app.queue(max_size=limits.waiting, default_concurrency_limit=1)


def _one_recording(ask_one: Any, labels: gr.Textbox, limits: Limits) -> None:
    with gr.Row():
        with gr.Column(min_width=280):
            audio = gr.Audio(
                sources=["upload", "microphone"],
                type="filepath",
                label=f"Speech, {limits.of_recordings}",
                buttons=["download"],  # and no "share", which would put the recording on the Hub
                elem_id="audio",
            )
            button = gr.Button("Ask", variant="primary", elem_id="ask")
        with gr.Column(min_width=280):
            answer = gr.HTML(elem_id="answer")
            bars = gr.Label(label="Scores", show_heading=False, elem_id="bars")
    timeline = gr.HTML(visible=False, elem_id="timeline")
    button.click(ask_one, [audio, labels], [bars, answer, timeline], concurrency_id="one")


def _several_files(ask_all: Any, labels: gr.Textbox, limits: Limits) -> None:
    # short, or buttons cover its end on a phone
    label = f"Up to {limits.files} files, each {limits.of_recordings}"
    files = gr.File(file_count="multiple", label=label, elem_id="files")
    batch = gr.Button("Ask about all", variant="primary", elem_id="ask_all")
    answer = gr.HTML(elem_id="batch_answer")
    table = gr.HTML(visible=False, elem_id="table")
    download = gr.DownloadButton("Download as CSV", interactive=False, elem_id="download")
    batch.click(ask_all, [files, labels], [table, answer, download], concurrency_id="batch")
