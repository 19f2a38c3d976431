"""Peak memory of a whole build of the query corpus, but for openSMILE's own: its results are there already.

    python -m benchmarks.corpus_memory --utterances 50000

The corpus is MSP-Podcast's layout with random labels; every file is the same 5 s of noise, as hard links, and its bytes
are embedded in Parquet as usual. The peak is that of this process; what the imports take is said
apart. Prints one JSON object at the end.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from benchmarks.memory import peak_mb
from dataset_scripts.build_query_corpus import build_query_corpus
from dataset_scripts.corpora import scan_corpus
from dataset_scripts.egemaps import FUNCTIONALS, SHARD
from dataset_scripts.shards import Shards, keys_of

CORPUS = "msp_podcast"
SECONDS = 5.0
SAMPLING_RATE = 16000


def make_corpus(root: Path, utterances: int) -> None:
    """Write labels and audio."""
    rng = np.random.default_rng(0)
    (root / "Audios").mkdir(parents=True)
    (root / "Labels").mkdir()
    audio = root.parent / "noise.wav"
    soundfile.write(audio, 0.1 * rng.standard_normal(int(SECONDS * SAMPLING_RATE)), SAMPLING_RATE)
    lines = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    for number, (arousal, valence, dominance) in enumerate(rng.uniform(1, 7, (utterances, 3))):
        name = f"MSP-PODCAST_{number // 100:04}_{number % 100:04}.wav"
        os.link(audio, root / "Audios" / name)
        labels = f"{'AHSFUDCNO'[number % 9]},{arousal:.3f},{valence:.3f},{dominance:.3f}"
        person = f"{number % 1200},{'Male' if number % 2 else 'Female'},{'Train' if number % 5 else 'Test1'}"
        lines.append(f"{name},{labels},{person}")
    (root / "Labels" / "labels_consensus.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_functionals(root: Path, folder: Path) -> None:
    """Write the shards that openSMILE's run would leave, with random values."""
    rng = np.random.default_rng(1)
    frame, _ = scan_corpus(CORPUS, root)
    columns = list(FUNCTIONALS)
    shards = Shards(folder, columns, keys_of(frame))
    for start in range(0, len(frame), SHARD):
        index = frame.index[start : start + SHARD]
        values = pd.DataFrame(rng.uniform(1, 9, (len(index), len(columns))), index=index, columns=columns)
        values.insert(0, "error", None)
        shards.add(values)


def main() -> None:
    """Read the command line; prepare in a process of its own, build, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=50_000)
    utterances = parser.parse_args().utterances
    with tempfile.TemporaryDirectory() as folder:
        root, output = Path(folder) / "corpus", Path(folder) / "out"
        make_corpus(root, utterances)
        # In a process of its own: what the preparation takes is not the build's.
        arguments = (root, output.with_name("out.functionals"))
        child = multiprocessing.get_context("spawn").Process(target=write_functionals, args=arguments)
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit("error: the preparation failed; its message is above.")
        imports = peak_mb()
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars
            build_query_corpus({CORPUS: root}, output)
        audio = utterances * SECONDS * SAMPLING_RATE * 2 / 1e6
    peak = peak_mb()
    result = {"utterances": utterances, "audio_MB": audio, "imports_MB": round(imports), "peak_MB": round(peak)}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
