"""ParaCLAP for transformers: `import modeling_paraclap` makes the Auto classes and the pipeline's task know it.

The names below are imported when they are used, as transformers' own are, so that whoever only loads audio
(`from modeling_paraclap.audio_paraclap import load_audio`) imports no model. The configuration, the feature extractor
and the processor are registered here; what needs torch's models follows when the first configuration is made
(registration.py).
"""

import importlib
from typing import Any

from transformers import AutoConfig, AutoFeatureExtractor, AutoProcessor

from .configuration_paraclap import ParaClapAudioConfig, ParaClapConfig, ParaClapWhisperConfig
from .feature_extraction_paraclap import ParaClapFeatureExtractor
from .processing_paraclap import ParaClapProcessor

LAZY = {
    "ParaClapAudioModel": "audio_tower_paraclap",
    "ParaClapModel": "modeling_paraclap",
    "ParaClapOutput": "output_paraclap",
    "ParaClapPreTrainedModel": "modeling_paraclap",
    "ParaClapWhisperModel": "whisper_tower_paraclap",
    "ParaClapZeroShotAudioClassificationPipeline": "pipeline_paraclap",
    "keep_freed_memory": "memory_paraclap",
}
__all__ = [
    "ParaClapAudioConfig",
    "ParaClapConfig",
    "ParaClapFeatureExtractor",
    "ParaClapProcessor",
    "ParaClapWhisperConfig",
    *LAZY,
]

for _config in (ParaClapConfig, ParaClapAudioConfig, ParaClapWhisperConfig):
    AutoConfig.register(_config.model_type, _config)
AutoFeatureExtractor.register(ParaClapConfig, ParaClapFeatureExtractor)
AutoProcessor.register(ParaClapConfig, ParaClapProcessor)


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{LAZY[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
