"""The package as a whole: quick to import, needing little, in files that can be read."""

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "modeling_paraclap"
IMPORT = """
import sys, time
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoProcessor, PreTrainedModel, ProcessorMixin
from transformers import MODEL_MAPPING, PreTrainedConfig, SequenceFeatureExtractor
from transformers.pipelines.zero_shot_audio_classification import ZeroShotAudioClassificationPipeline
before, start = set(sys.modules), time.process_time()
import modeling_paraclap
print(time.process_time() - start)
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))
"""


def test_importing_it_is_quick_and_needs_nothing_but_torch_numpy_and_transformers():
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
        )
        seconds, modules = done.stdout.splitlines()
        runs.append(float(seconds))
    assert min(runs) < 0.2
    assert set(modules.split()) <= {"modeling_paraclap", "torch", "numpy", "transformers"}


def test_no_file_is_longer_than_450_lines():
    lengths = {file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in PACKAGE.glob("*.py")}
    assert max(lengths.values()) <= 450, lengths
