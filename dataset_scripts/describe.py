"""Describe how a recording sounds, in the query corpus's words and with the measured values.

    python -m dataset_scripts.describe FILE.wav --bins OUT/bins.json

The pseudo-caption is what the corpus would say of the recording: the six functionals, low, mid or high by the bins that
were fitted on the corpus's training rows.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from modeling_paraclap.audio_paraclap import AudioError

from .binning import Bins
from .egemaps import FUNCTIONALS, functionals_of
from .extras import need, program_extra
from .layout import printable
from .queries import INDEX, TemplateIndex, generate_queries, with_paraphrases
from .tables import format_table

# Attribute -> what it is, and its value in the unit that people use
SHOWN: dict[str, tuple[str, Callable[[float], str]]] = {
    "pitch_mean": ("mean pitch", lambda semitones: f"{27.5 * 2 ** (semitones / 12):.0f} Hz"),
    "pitch_std": ("variation of the pitch's semitones", lambda ratio: f"{100 * ratio:.1f} %"),
    "intensity": ("equivalent sound level", lambda level: f"{level:.1f} dB"),
    "duration": ("duration", lambda seconds: f"{seconds:.2f} s"),
    "jitter": ("jitter", lambda fraction: f"{100 * fraction:.2f} %"),
    "shimmer": ("shimmer", lambda level: f"{level:.2f} dB"),
}


def describe(values: dict[str, float | None], bins: Bins, index: TemplateIndex = INDEX) -> str:
    """Return the description as text: a table of values, bins and edges, the caption, and every query that holds.

    Args:
        values: the functionals, as `functionals_of` gives them.
        bins: the corpus's bins.
        index: the templates.
    """
    import pandas as pd

    found = {name: bins.bin_of(name, values[name]) for name in FUNCTIONALS}
    rows = [
        {
            "attribute": title,
            "value": "no voice" if values[name] is None else show(values[name]),
            "bin": found[name] or "",
            "mid from": show(bins.edges[name][0]) if name in bins.edges else "",
            "high from": show(bins.edges[name][1]) if name in bins.edges else "",
        }
        for name, (title, show) in SHOWN.items()
    ]
    queries = generate_queries({f"{name}_bin": bin_ for name, bin_ in found.items()}, index)
    first = {}
    for attribute, text in queries:
        first.setdefault(attribute, text)
    caption = " and ".join(text for attribute, text in first.items() if "+" not in attribute)
    lines = [format_table(pd.DataFrame(rows)), "", f"caption: {caption or '(nothing to say)'}", "", "queries:"]
    return "\n".join([*lines, *(f"  {text}" for _, text in queries)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, describe each file; return the exit status, 1 if one of them could not be used."""
    parser = argparse.ArgumentParser(
        prog="python -m dataset_scripts.describe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings")
    parser.add_argument("--bins", type=Path, required=True, help="bins.json of a query corpus or a checkpoint")
    parser.add_argument("--paraphrases", type=Path, help="YAML with other ways to say the templates")
    args = parser.parse_args(arguments)
    with program_extra("features"):
        need("opensmile", "pandas")
    try:
        bins = Bins.load(args.bins)
        index = with_paraphrases(args.paraphrases) if args.paraphrases else INDEX
    except (ValueError, OSError, ImportError) as error:  # each says what was given and what to do
        print(f"error: {error}", file=sys.stderr)
        return 2
    status = 0
    for file in args.files:
        try:
            values = functionals_of(file)
        except AudioError as error:
            print(f"not used: {error}", file=sys.stderr)
            status = 1
            continue
        print(f"{printable(file)}\n{describe(values, bins, index)}\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
