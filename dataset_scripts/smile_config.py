"""An openSMILE configuration that computes a few of eGeMAPSv02's functionals, with the same values, in less time.

It is derived at run time from the configuration files inside the installed opensmile package (nothing of them is kept
in this project): beginning with the functionals that are asked for, only the components stay that they are computed
from. What stays is as the package has it, so the values are the same to the last bit; tests compare them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

INCLUDE = re.compile(r"\\\{(?:\\cm\[(?P<name>\w+)(?:\{(?P<default>[^}?]*)\})?[^\]]*\]|(?P<path>[^\\}]+))\}")
INSTANCE = re.compile(r"instance\[(?P<name>\w+)\]\s*\.\s*type\s*=\s*(?P<type>\w+)")
SECTION = re.compile(r"\[(?P<name>\w+):(?P<type>\w+)\]")
READERS = ("reader.dmLevel", "reader2.dmLevel", "F0reader.dmLevel")
LEVELS = ("gemapsv01b_functionalsF0", "egemapsv02_functionalsMeanStddevVoiced", "egemapsv02_leq")
# Component -> what differs from the package's setting: percentiles and slopes of the pitch, formants and harmonics, and
# the spectrum of voiced speech are not asked for.
CHANGES = {
    "gemapsv01b_functionalsF0": {"functionalsEnabled": "Moments"},
    "egemapsv02_functionalsMVRVoiced": {"reader.dmLevel": "egemapsv02_lldSetNoF0AndLoudnessNz_smo"},
    "egemapsv02_lldSetSelectorNoF0LoudnNz": {
        "reader.dmLevel": "gemapsv01b_jitterShimmer",
        "selected": "jitterLocal;shimmerLocalDB",
        "newNames": "jitterLocal;shimmerLocaldB",
    },
}

HEAD = r"""[componentInstances:cComponentManager]
instance[dataMemory].type=cDataMemory
printLevelStats=0

\{\cm[source{?}:include external source]}
"""
TAIL = r"""
[componentInstances:cComponentManager]
instance[funcconcat].type=cVectorConcat

[funcconcat:cVectorConcat]
reader.dmLevel = LEVELS
writer.dmLevel = func
includeSingleElementFields = 1

\{\cm[sink{?}:include external sink]}
"""


def reduced_configuration(root: Path) -> str:
    """Return the configuration's text.

    Args:
        root: the folder ``config`` of the opensmile package (`opensmile.Smile.default_config_root`).

    Raises:
        ValueError: If the package's configuration differs from that of eGeMAPSv02 in opensmile 2.5 and 2.6.
    """
    components = _components(_expand(root / "egemaps" / "v02" / "eGeMAPSv02.conf", {}).splitlines())
    for name, changes in CHANGES.items():
        if name not in components or not set(changes) <= set(components[name][1]):
            raise ValueError(
                f"{root}: eGeMAPSv02 has no {name} with {', '.join(changes)}; expected opensmile 2.5 or 2.6."
            )
        components[name][1].update(changes)
    writers = {settings["writer.dmLevel"]: name for name, (_, settings) in components.items()}
    kept: set[str] = set()
    wanted = list(LEVELS)
    while wanted:
        level = wanted.pop()
        if level == "wave":  # what the source, and not a component, writes
            continue
        if level not in writers:
            raise ValueError(f"{root}: nothing in eGeMAPSv02 writes the level {level}; expected opensmile 2.5 or 2.6.")
        if (name := writers[level]) not in kept:
            kept.add(name)
            wanted += [level for key in READERS for level in components[name][1].get(key, "").split(";") if level]
    parts = [HEAD, "[componentInstances:cComponentManager]"]
    parts += [f"instance[{name}].type={kind}" for name, (kind, _) in components.items() if name in kept]
    for name, (kind, settings) in components.items():
        if name in kept:
            parts += ["", f"[{name}:{kind}]", *(f"{key} = {value}" for key, value in settings.items())]
    return "\n".join([*parts, TAIL.replace("LEVELS", ";".join(LEVELS))])


def _expand(path: Path, defaults: dict[str, Path]) -> str:
    """Replace includes by the files that they name; those of source and sink stay for opensmile."""

    def include(match: re.Match) -> str:
        if match["path"]:
            return _expand((path.parent / match["path"]).resolve(), defaults)
        if match["default"]:
            defaults[match["name"]] = (path.parent / match["default"]).resolve()
        return _expand(defaults[match["name"]], defaults) if match["name"] in defaults else ""

    return INCLUDE.sub(include, _without_comments(path.read_text(encoding="utf-8")))


def _without_comments(text: str) -> str:
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith((";", "//")))


def _components(lines: Sequence[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return name -> type and settings, in the order of declaration, in which the components run."""
    kinds: dict[str, str] = {}
    settings: dict[str, dict[str, str]] = {}
    section = None
    for line in map(str.strip, lines):
        if match := SECTION.fullmatch(line):
            section = match["name"]
        elif match := INSTANCE.fullmatch(line):
            kinds[match["name"]] = match["type"]
        elif "=" in line and section:
            key, _, value = line.partition("=")
            settings.setdefault(section, {})[key.strip()] = value.strip()
    return {name: (kind, settings[name]) for name, kind in kinds.items() if "writer.dmLevel" in settings.get(name, {})}
