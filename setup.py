"""The steps of the build that setup.cfg has no words for; the project's metadata are in setup.cfg.

A wheel holds what installed programs need and the repository keeps at its root: the cards' templates, the metric, the
demo's page, the licence and the default checkpoint. `paraclap.resources` finds them there, and in a checkout.
"""

import configparser
import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
DEFAULT_CHECKPOINT = "checkpoints/paraclap-base"
# Folder of the wheel -> files of the repository. Patterns name kinds of files, so that nothing else that lies in such a
# folder (a token in a .env) is ever packed.
SHIPPED = {
    "dataset_scripts": ("dataset_card.md",),
    "paraclap/data": (
        "LICENSE",
        "model_card.md",
        "metrics/unweighted_average_recall/README.md",
        "metrics/unweighted_average_recall/unweighted_average_recall.py",
        "space/README.md",
        "space/app.py",
        "space/requirements.txt",
        f"{DEFAULT_CHECKPOINT}/README.md",
        f"{DEFAULT_CHECKPOINT}/*.json",
        f"{DEFAULT_CHECKPOINT}/model.safetensors",
        f"{DEFAULT_CHECKPOINT}/*.png",
    ),
}


class BuildWithResources(build_py):
    """Copies the resources into the packages, starting from an empty build folder."""

    def run(self) -> None:
        """Build, and copy the resources."""
        if not self.editable_mode:  # files of an earlier build would be packed, too
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        for source, target in self.resources():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def resources(self) -> list[tuple[Path, Path]]:
        """Return the files to copy and where to; none where the checkout itself is installed."""
        if self.editable_mode:
            return []
        pairs = []
        for folder, patterns in SHIPPED.items():
            for pattern in patterns:
                files = sorted(ROOT.glob(pattern))
                if not files and "*" not in pattern:  # there may be no pictures
                    raise FileNotFoundError(f"{ROOT / pattern} is missing; the source tree is incomplete.")
                pairs += [(file, Path(self.build_lib, folder, file.relative_to(ROOT))) for file in files]
        return pairs

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return all files that the build writes."""
        return super().get_outputs(include_bytecode) + [str(target) for _, target in self.resources()]


def long_description() -> str:
    """Return the README with links that work on a package index, which has none of the repository's files.

    A relative link leads to the repository where setup.cfg names one (`Source` among the URLs); else its words stay and
    the path follows in parentheses.
    """
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    urls = dict(line.split(" = ") for line in config["metadata"]["project_urls"].strip().splitlines())
    source = urls.get("Source")

    def rewrite(link: re.Match) -> str:
        image, words, path = link.groups()
        if source:
            return f"{image}[{words}]({source}/{'raw' if image else 'blob'}/main/{path})"
        return "" if image else f"{words} (`{path.partition('#')[0]}`)"

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)]+)\)", rewrite, text)


setup(
    cmdclass={"build_py": BuildWithResources},
    long_description=long_description(),
    long_description_content_type="text/markdown",
)
