"""Make transformers know ParaCLAP's models and its pipeline.

The configuration calls `register` when the first one is made: nothing can load a model or build a pipeline before. This
file does not travel with the weights; a release folder's code is found through `auto_map` and `custom_pipelines`.

The pipeline's class stands in for the task's own in transformers' registry, and defers to it for any other model. The
documented way, `PIPELINE_REGISTRY.register_pipeline`, replaces the task's whole entry, its default model included, and
warns at each import that it does; so the one field is set instead.
"""

from functools import cache

from transformers import AutoModel
from transformers.pipelines import PIPELINE_REGISTRY

from .audio_tower_paraclap import ParaClapAudioModel
from .configuration_paraclap import ParaClapAudioConfig, ParaClapConfig, ParaClapWhisperConfig
from .modeling_paraclap import ParaClapModel
from .pipeline_paraclap import TASK, ParaClapZeroShotAudioClassificationPipeline
from .whisper_tower_paraclap import ParaClapWhisperModel


@cache
def register() -> None:
    """Register the models, those of the towers that `save_pretrained` has written apart, and the pipeline."""
    AutoModel.register(ParaClapConfig, ParaClapModel)
    AutoModel.register(ParaClapAudioConfig, ParaClapAudioModel)
    AutoModel.register(ParaClapWhisperConfig, ParaClapWhisperModel)
    PIPELINE_REGISTRY.supported_tasks[TASK]["impl"] = ParaClapZeroShotAudioClassificationPipeline
