"""Scores over time as HTML: one band per query below the waveform, for any width, and for light and dark mode."""

import base64
import html
import io

import numpy as np
from PIL import Image

from .smoothing import Envelope, clock, smooth

COLUMNS = 400  # maximum resolution of bands and envelope
FINEST_S = 0.5  # minimum length of a column: pauses within words do not count as silence
FLOOR_DB = -60.0  # audio below this level counts as silence
# Anchors of the colour map viridis, readable with any colour vision.
COLOURS = ("440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725")
BEST = (255, 0, 0)
BAND_ROWS, BEST_ROWS = 9, 2  # height of a band in pixels, and the part that marks the best query
STYLE = """\
<style>
.over-time { margin: 0; }
.over-time .query { margin: 0.35em 0 0.1em; overflow-wrap: anywhere; line-height: 1.25; }
.over-time .band { display: block; width: 100%; height: 20px; image-rendering: pixelated; }
.over-time svg { display: block; width: 100%; height: 56px; }
.over-time .axis { display: flex; justify-content: space-between; font-variant-numeric: tabular-nums; }
.over-time figcaption { margin-top: 0.4em; font-size: 0.85em; overflow-wrap: anywhere; }
.over-time .scale { display: inline-block; width: 6em; height: 0.7em; vertical-align: baseline; }
</style>
"""


def draw_over_time(
    queries: list[str], centres: np.ndarray, scores: np.ndarray, envelope: Envelope, window: tuple[float, float, float]
) -> str:
    """Return the scores of a recording over time as HTML.

    Args:
        queries: The queries; escaped.
        centres: Centre of each window in s, (windows,), ascending.
        scores: (windows, queries), in [0, 1].
        envelope: Envelope of the recording.
        window: Window length, stride and smoothing window in s.
    """
    length, stride, smoothing = window
    duration = envelope.duration
    count = int(np.clip(round(duration / min(stride, FINEST_S)), 1, COLUMNS))
    edges = np.linspace(0, duration, count + 1)
    means = smooth(centres, scores, (edges[:-1] + edges[1:]) / 2, smoothing, length / 2)
    means[envelope.levels(edges) < FLOOR_DB] = np.nan
    highest = float(np.nanmax(means)) if np.isfinite(means).any() else 1.0
    heard = np.isfinite(means[:, 0])
    best = np.where(heard, np.argmax(np.where(heard[:, None], means, 0), axis=1), -1)
    parts = [STYLE, f'<figure class="over-time" role="group" aria-label="Scores over {clock(duration, duration)}">']
    parts.append(_waveform(envelope, np.linspace(0, duration, COLUMNS + 1)))
    for number, query in enumerate(queries):
        share = (best == number).sum() / max(1, heard.sum())
        text = html.escape(query)
        band = _band(means[:, number] / highest, best == number)
        parts.append(f'<div class="query">{text}</div>')
        parts.append(f'<img class="band" alt="{text}: best for {share:.0%} of the time" src="{band}">')
    ticks = "".join(f"<span>{clock(duration * part / 4, duration)}</span>" for part in range(5))
    parts.append(f'<div class="axis">{ticks}</div>')
    unit = "s" if duration < 60 else "min:s" if duration < 3600 else "h:min:s"
    gradient = ", ".join(f"#{colour}" for colour in COLOURS)
    parts.append(
        f"<figcaption>Time in {unit}. Colour: score, 0 "
        f'<span class="scale" style="background: linear-gradient(90deg, {gradient})"></span> {highest:.2f}, of windows '
        f"of {length:.3g} s averaged over {smoothing:.3g} s; red: the best query; blank: silence.</figcaption></figure>"
    )
    return "".join(parts)


def _waveform(envelope: Envelope, edges: np.ndarray) -> str:
    """Draw the envelope as a filled shape, scaled to its peak."""
    extremes = envelope.extremes(edges)
    extremes = 50 - 49 * extremes / (np.abs(extremes).max() or 1.0)
    upper = " ".join(f"{x},{y:.1f}" for x, y in enumerate(extremes[:, 1]))
    lower = " ".join(f"{x},{y:.1f}" for x, y in reversed(list(enumerate(extremes[:, 0]))))
    box = f"0 0 {max(1, len(extremes) - 1)} 100"
    return (
        f'<svg viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="Waveform">'
        f'<polygon points="{upper} {lower}" fill="currentColor" stroke="currentColor" stroke-width="0.3" opacity=".6"/>'
        "</svg>"
    )


def _band(scores: np.ndarray, best: np.ndarray) -> str:
    """Return the band of one query as a data URL; scores are (columns,) in [0, 1], and transparent where NaN."""
    anchors = np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in COLOURS], float)
    heard = np.isfinite(scores)
    place = np.where(heard, scores, 0) * (len(anchors) - 1)
    colours = np.stack([np.interp(place, range(len(anchors)), anchors[:, i]) for i in range(3)], axis=1)
    pixels = np.zeros((BAND_ROWS, len(scores), 4), np.uint8)
    pixels[..., :3] = np.round(colours)
    pixels[..., 3] = 255 * heard
    pixels[-BEST_ROWS:, best, :3] = BEST
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
