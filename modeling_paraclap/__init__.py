"""ParaCLAP for transformers. Importing this package registers it with the Auto classes and the pipeline's task."""

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoProcessor

from .audio_tower_paraclap import ParaClapAudioModel
from .configuration_paraclap import ParaClapAudioConfig, ParaClapConfig, ParaClapWhisperConfig
from .feature_extraction_paraclap import ParaClapFeatureExtractor
from .memory_paraclap import keep_freed_memory
from .modeling_paraclap import ParaClapModel, ParaClapOutput, ParaClapPreTrainedModel
from .pipeline_paraclap import ParaClapZeroShotAudioClassificationPipeline, register_pipeline
from .processing_paraclap import ParaClapProcessor
from .whisper_tower_paraclap import ParaClapWhisperModel

AutoConfig.register(ParaClapConfig.model_type, ParaClapConfig)
AutoModel.register(ParaClapConfig, ParaClapModel)
# Towers that `save_pretrained` has written apart.
for _config, _model in ((ParaClapAudioConfig, ParaClapAudioModel), (ParaClapWhisperConfig, ParaClapWhisperModel)):
    AutoConfig.register(_config.model_type, _config)
    AutoModel.register(_config, _model)
AutoFeatureExtractor.register(ParaClapConfig, ParaClapFeatureExtractor)
AutoProcessor.register(ParaClapConfig, ParaClapProcessor)
register_pipeline()

__all__ = [
    "ParaClapAudioConfig",
    "ParaClapAudioModel",
    "ParaClapConfig",
    "ParaClapFeatureExtractor",
    "ParaClapModel",
    "ParaClapOutput",
    "ParaClapPreTrainedModel",
    "ParaClapProcessor",
    "ParaClapWhisperConfig",
    "ParaClapWhisperModel",
    "ParaClapZeroShotAudioClassificationPipeline",
    "keep_freed_memory",
]
