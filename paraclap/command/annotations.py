"""Segments of a timeline as files for other programs: Praat, Audacity, and players."""

import itertools
from collections.abc import Callable, Iterator

from .timeline import Timeline


def textgrid(timeline: Timeline) -> str:
    """Return a Praat TextGrid: an interval tier for each question; silence has an empty label."""
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {timeline.duration:.6f}",
        "tiers? <exists>",
        f"size = {len(timeline.questions)}",
        "item []:",
    ]
    for number, question in enumerate(timeline.questions, start=1):
        intervals = list(_without_gaps(timeline, question))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(question)}",
            "        xmin = 0",
            f"        xmax = {timeline.duration:.6f}",
            f"        intervals: size = {len(intervals)}",
        ]
        for position, (start, end, label) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{position}]:",
                f"            xmin = {start:.6f}",
                f"            xmax = {end:.6f}",
                f"            text = {_quoted(label)}",
            ]
    return "\n".join(lines) + "\n"


def _without_gaps(timeline: Timeline, question: str) -> Iterator[tuple[float, float, str]]:
    """Yield the segments, and the gaps between them as segments with empty labels, which an interval tier requires."""
    at = 0.0
    for start, end, label in timeline.segments(question):
        if start > at:
            yield at, start, ""
        yield start, end, label
        at = end
    if at < timeline.duration:
        yield at, timeline.duration, ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def audacity(timeline: Timeline) -> str:
    """Return a label track for Audacity: start, end and label, separated by tabs."""
    return "".join(f"{start:.6f}\t{end:.6f}\t{label}\n" for start, end, label in sorted(_by_question(timeline)))


def srt(timeline: Timeline) -> str:
    """Return SRT subtitles: one for each stretch over which no question's label changes."""
    subtitles = []
    segments = _by_question(timeline)
    moments = sorted({moment for start, end, _ in segments for moment in (start, end)})
    for start, end in itertools.pairwise(moments):
        if text := "\n".join(label for first, last, label in segments if first <= start and end <= last):
            subtitles.append(f"{len(subtitles) + 1}\n{_clock(start)} --> {_clock(end)}\n{text}\n")
    return "\n".join(subtitles)


def _by_question(timeline: Timeline) -> list[tuple[float, float, str]]:
    """Return the segments of all questions; if there are several, each label is prefixed with its question."""
    several = len(timeline.questions) > 1
    return [
        (start, end, " ".join(f"{question}: {label}".split() if several else label.split()))
        for question in timeline.questions
        for start, end, label in timeline.segments(question)
    ]


def _clock(seconds: float) -> str:
    """Format seconds as SRT does: 01:02:03,456."""
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02},{rest % 1000:03}"


WRITERS: dict[str, tuple[str, Callable[[Timeline], str]]] = {
    "textgrid": (".TextGrid", textgrid),
    "audacity": (".labels.txt", audacity),
    "srt": (".srt", srt),
}
