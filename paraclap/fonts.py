"""Fonts for labels in any script, of which matplotlib's own font covers few."""

import importlib.util
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from matplotlib import font_manager

DEFAULT = "DejaVu Sans"  # included in matplotlib
# Packages that contain a font, for machines without one for Chinese, Japanese and Korean.
FONT_PACKAGES = ("noto_cjk_sans_jp_regular",)
PLACEHOLDERS = "Last Resort"  # fonts that show a box for every character


def families_for(texts: Iterable[str]) -> list[str]:
    """Return font families that together cover the characters of texts, as far as installed fonts do.

    Pass them as `matplotlib.rcParams["font.family"]` or as `fontfamily` of a text: for each character matplotlib uses
    the first family that has it. matplotlib's own font comes first.
    """
    missing = _characters(texts) - _covered(_file_of(DEFAULT))
    families = [DEFAULT]
    if not missing:
        return families
    for package in FONT_PACKAGES:
        if spec := importlib.util.find_spec(package):
            for file in Path(spec.submodule_search_locations[0]).glob("*.[ot]tf"):
                font_manager.fontManager.addfont(file)
    for font in sorted(font_manager.fontManager.ttflist, key=lambda font: (font.style != "normal", font.weight != 400)):
        if font.name in families or font.name.startswith(PLACEHOLDERS):
            continue
        if missing & (found := _covered(font.fname)):
            families.append(font.name)
            missing -= found
            if not missing:
                break
    return families


def drawable(text: str, families: Iterable[str]) -> str:
    """Replace characters that the fonts lack by their code point, such as U+1F600."""
    covered = set().union(*(_covered(_file_of(family)) for family in families))
    return "".join(_with_shape(character, covered) for character in text)


def _with_shape(character: str, covered: set[int]) -> str:
    if ord(character) in covered:
        return character
    if _is_visible(character):
        return f"U+{ord(character):04X}"
    return " " if unicodedata.category(character)[0] == "Z" else ""


def _file_of(family: str) -> str:
    return font_manager.findfont(font_manager.FontProperties(family=[family]))


def _covered(file: str) -> set[int]:
    """Return the code points that a font file covers."""
    return set(font_manager.get_font(file).get_charmap())


def _characters(texts: Iterable[str]) -> set[int]:
    return {ord(character) for text in texts for character in text if _is_visible(character)}


def _is_visible(character: str) -> bool:
    """Return whether a character is visible: not a blank, control character, joiner or variation selector."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp") and not (
        0xFE00 <= ord(character) <= 0xFE0F
    )
