"""Layout and events of the page."""

import html
from typing import Any

import gradio as gr

from .asking import Asking
from .limits import Limits, PageError
from .questions import BUILT_IN, NamedQuestion

# How often uploads and tables are checked, and the age at which they are deleted, in s.
DELETE_EVERY, DELETE_AGE = 60, 300
OWN = "my own"
INTRO = """\
# How is it spoken?
Record or upload speech, then ask in plain words. Scores compare your queries with each other; they measure how speech
*sounds*, not what somebody feels. Analyse only voices of people who agreed. Recordings are deleted within minutes.
"""
# Text may break anywhere, so that long queries fit a phone; numbers may not.
CSS = """
#answer, #batch_answer, #bars, #table { overflow-wrap: anywhere; }
#bars .confidence { white-space: nowrap; flex: none; margin-left: var(--size-2); }
#table table { width: 100%; border-collapse: collapse; }
#table th, #table td { padding: 0.4em 0.6em; text-align: left; vertical-align: top; }
#table tr { border-bottom: 1px solid var(--border-color-primary); }
#table th:last-child, #table td.score { white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums; }
#table td:first-child { min-width: 7em; }
"""
THEME = gr.themes.Default().set(block_info_text_color="*neutral_600")  # the default is too pale to read


def queries_of(question: NamedQuestion) -> str:
    """Return the full queries of a built-in question, separated by commas, as the page shows and asks them."""
    template = (question.templates or ("{}",))[0].rstrip(".")
    return ", ".join(template.replace("{}", phrases[0]) for _, phrases in question.labels)


PRESETS = {name: queries_of(question) for name, question in BUILT_IN.items()}


def problem(error: PageError) -> str:
    """Format an error as HTML, to be shown in place of the answer."""
    return f'<span role="alert">⚠️ {html.escape(str(error))}</span>'


def table_of(rows: list[list[str]]) -> str:
    """Format the answers about several recordings as an HTML table that fits any width.

    Args:
        rows: For each recording its name, the best query (or why it cannot be used), and the score, if any.
    """
    lines = ["<table><thead><tr><th>recording</th><th>fits best</th><th>score</th></tr></thead><tbody>"]
    for row in rows:
        name, best, score = map(html.escape, row)
        answer = f'<td>{best}</td><td class="score">{score}</td>' if score else f'<td colspan="2">⚠️ {best}</td>'
        lines.append(f"<tr><td>{name}</td>{answer}</tr>")
    return "".join([*lines, "</tbody></table>"])


def build_app(model: str, limits: Limits | None = None) -> gr.Blocks:
    """Build the page for a model.

    Args:
        model: Hub repo id or release folder.
        limits: Limits for visitors; by default those of a public page.
    """
    limits = limits or Limits()
    asking = Asking(model, limits)

    def ask_one(file: str | None, text: str) -> tuple[Any, str, Any]:
        try:
            scores, sentence, over_time = asking.score(file, text)
        except PageError as error:  # gradio's own error panel would only say "Error"
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
            label="Queries, separated by commas",
            info=f"Used exactly as written: {limits.of_queries}.",
            lines=2,
            elem_id="labels",
        )
        preset.input(lambda name: PRESETS.get(name, ""), preset, labels)
        # runs in the browser, so that no response of the server overwrites what is being typed
        labels.input(None, None, preset, js=f"() => {OWN!r}")
        with gr.Tab("One recording"):
            _one_recording(ask_one, labels, limits)
        with gr.Tab("Several files"):
            _several_files(ask_all, labels, limits)
    # Single recordings and batches have separate queues, so that a single recording does not wait for a batch.
    return app.queue(max_size=limits.waiting, default_concurrency_limit=1)


def _one_recording(ask_one: Any, labels: gr.Textbox, limits: Limits) -> None:
    with gr.Row():
        with gr.Column(min_width=280):
            audio = gr.Audio(
                sources=["upload", "microphone"],
                type="filepath",
                label=f"Speech, {limits.of_recordings}",
                buttons=["download"],  # no "share", which would upload the recording to the Hub
                elem_id="audio",
            )
            button = gr.Button("Ask", variant="primary", elem_id="ask")
        with gr.Column(min_width=280):
            answer = gr.HTML(elem_id="answer")
            bars = gr.Label(label="Scores", show_heading=False, elem_id="bars")
    timeline = gr.HTML(visible=False, elem_id="timeline")
    button.click(ask_one, [audio, labels], [bars, answer, timeline], concurrency_id="one")


def _several_files(ask_all: Any, labels: gr.Textbox, limits: Limits) -> None:
    # kept short: on a phone, buttons would cover its end
    label = f"Up to {limits.files} files, each {limits.of_recordings}"
    files = gr.File(file_count="multiple", label=label, elem_id="files")
    batch = gr.Button("Ask about all", variant="primary", elem_id="ask_all")
    answer = gr.HTML(elem_id="batch_answer")
    table = gr.HTML(visible=False, elem_id="table")
    download = gr.DownloadButton("Download as CSV", interactive=False, elem_id="download")
    batch.click(ask_all, [files, labels], [table, answer, download], concurrency_id="batch")
