"""Configuration of ParaCLAP."""

import importlib
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig, Wav2Vec2Config, WhisperConfig

from .config_checks_paraclap import check_dropout, check_number, check_numbers
from .losses_paraclap import LOSSES

LOSS_TYPES = tuple(LOSSES)
TEXT_POOLINGS = ("cls", "mean")
AUDIO_POOLINGS = ("mean", "statistics", "attentive_statistics")
# What a tower takes over from a Whisper's configuration; the rest is the decoder's.
WHISPER_ENCODER_FIELDS = (
    "num_mel_bins",
    "d_model",
    "encoder_layers",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "activation_function",
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "init_std",
    "max_source_positions",
    "apply_spec_augment",
    "mask_time_prob",
    "mask_time_length",
    "mask_time_min_masks",
    "mask_feature_prob",
    "mask_feature_length",
    "mask_feature_min_masks",
    "final_layer_norm",
    "frames_per_state",
    "normalize_level",
)


class ParaClapAudioConfig(Wav2Vec2Config):
    """Configuration of a [`ParaClapAudioModel`], the audio tower for little data.

    Args:
        hidden_size: Size of the transformer encoder.
        num_hidden_layers: Its layers.
        num_attention_heads: Attention heads of each.
        intermediate_size: Size of their feed-forward layers.
        conv_dim: Channels of the convolutions over the spectrum.
        conv_kernel: Their widths in frames, odd.
        conv_stride: Their strides in frames.
        num_mel_bins: Mel bands from 50 Hz to 8 kHz.
        num_pitch_bins: Lags of the autocorrelation, from that of `lowest_pitch_hz` down.
        bins_per_octave: Number of lags per octave.
        lowest_pitch_hz: Pitch of the longest.
        window_samples: Window of the spectrum in samples at 16 kHz, no longer than 1024.
        hop_samples: Samples from a frame to the next.
        dynamic_range_db: Bands this far below the utterance's loudest band count as silence.
        speech_range_db: Frames further below the loudest hardly count in the mean spectrum that is taken out.
        longest_duration_s: Longer utterances are all one duration; the length of the training's crops.
        timbre_dropout: Probability in training that an utterance goes without its mean spectrum.
        **kwargs: Arguments of `Wav2Vec2Config`: dropouts, positional convolution, SpecAugment.

    Raises:
        ValueError: If the convolutions' lists differ in length, a kernel is even, the window is too long, the longest
            duration too short, or a probability none.
    """

    model_type = "paraclap_audio"

    def __init__(
        self,
        hidden_size: int = 128,
        num_hidden_layers: int = 2,
        num_attention_heads: int = 4,
        intermediate_size: int = 384,
        conv_dim: Sequence[int] = (128, 128, 128),
        conv_kernel: Sequence[int] = (5, 5, 3),
        conv_stride: Sequence[int] = (2, 2, 2),
        num_mel_bins: int = 80,
        num_pitch_bins: int = 48,
        bins_per_octave: int = 16,
        lowest_pitch_hz: float = 60.0,
        window_samples: int = 512,
        hop_samples: int = 160,
        dynamic_range_db: float = 70.0,
        speech_range_db: float = 20.0,
        longest_duration_s: float = 5.0,
        timbre_dropout: float = 0.3,
        num_conv_pos_embeddings: int = 16,
        do_stable_layer_norm: bool = True,
        feat_extract_norm: str = "layer",
        layerdrop: float = 0.0,
        **kwargs,
    ):
        if not len(conv_dim) == len(conv_kernel) == len(conv_stride):
            raise ValueError(
                f"conv_dim, conv_kernel and conv_stride have {len(conv_dim)}, {len(conv_kernel)} and "
                f"{len(conv_stride)} entries; give each convolution one of each."
            )
        if any(kernel % 2 == 0 for kernel in conv_kernel):
            raise ValueError(f"conv_kernel is {list(conv_kernel)}; odd widths keep a frame at its place.")
        if not 0 < hop_samples <= window_samples <= 1024:
            raise ValueError(
                f"window_samples is {window_samples}, hop_samples {hop_samples}: a window has at most 1024 samples, "
                "and a hop no more than a window."
            )
        if longest_duration_s <= 0.25:
            raise ValueError(f"longest_duration_s is {longest_duration_s}; durations are told apart from 0.25 s up.")
        if not 0 <= timbre_dropout < 1:
            raise ValueError(f"timbre_dropout is {timbre_dropout}; it must be from 0 up to, but not including, 1.")
        self.num_mel_bins = num_mel_bins
        self.num_pitch_bins = num_pitch_bins
        self.bins_per_octave = bins_per_octave
        self.lowest_pitch_hz = lowest_pitch_hz
        self.window_samples = window_samples
        self.hop_samples = hop_samples
        self.dynamic_range_db = dynamic_range_db
        self.speech_range_db = speech_range_db
        self.longest_duration_s = longest_duration_s
        self.timbre_dropout = timbre_dropout
        super().__init__(
            hidden_size=hidden_size,
            num_hidden_layers=num_hidden_layers,
            num_attention_heads=num_attention_heads,
            intermediate_size=intermediate_size,
            conv_dim=list(conv_dim),
            conv_kernel=list(conv_kernel),
            conv_stride=list(conv_stride),
            num_conv_pos_embeddings=num_conv_pos_embeddings,
            do_stable_layer_norm=do_stable_layer_norm,
            feat_extract_norm=feat_extract_norm,
            layerdrop=layerdrop,
            **kwargs,
        )
        check_numbers(self.to_dict())
        _register_models()


class ParaClapWhisperConfig(WhisperConfig):
    """Configuration of a [`ParaClapWhisperModel`], Whisper's encoder on raw waveforms.

    Args:
        final_layer_norm: Whether the encoder's last layer is there, and so the norm that is fitted to it.
        frames_per_state: Frames, of 20 ms, that are averaged to one state behind the last layer.
        normalize_level: Whether the spectrogram of every clip is brought to one level. Whisper's own is not; what a
            model then knows of loudness it has from elsewhere, such as `audio_cues`.
        **kwargs: Arguments of `WhisperConfig`; those of the decoder are not used.

    Raises:
        ValueError: If `frames_per_state` is below 1, or layers are to be dropped in training (`encoder_layerdrop`).
    """

    model_type = "paraclap_whisper"

    def __init__(
        self, final_layer_norm: bool = True, frames_per_state: int = 1, normalize_level: bool = False, **kwargs: Any
    ):
        if not isinstance(frames_per_state, int) or frames_per_state < 1:
            raise ValueError(f"frames_per_state is {frames_per_state!r}; expected a whole number of frames, 1 or more.")
        if kwargs.get("encoder_layerdrop"):
            raise ValueError(
                f"encoder_layerdrop is {kwargs['encoder_layerdrop']}; this tower drops no layers: give 0, or use "
                "dropout."
            )
        self.final_layer_norm = final_layer_norm
        self.frames_per_state = frames_per_state
        self.normalize_level = normalize_level
        super().__init__(**kwargs)
        check_numbers(self.to_dict())
        _register_models()

    @classmethod
    def from_whisper(
        cls, config: PreTrainedConfig, num_layers: int | None = None, **kwargs: Any
    ) -> "ParaClapWhisperConfig":
        """Return the tower's configuration for the encoder of a Whisper.

        Args:
            config: A `WhisperConfig`, or one of this class.
            num_layers: Keep only the first so many layers; None for all.
            **kwargs: Arguments to change.

        Raises:
            ValueError: If it is another model's configuration, or the encoder has fewer layers than `num_layers`.
        """
        if config.model_type not in (WhisperConfig.model_type, cls.model_type):
            raise ValueError(f"The model type is {config.model_type!r}; expected 'whisper' or {cls.model_type!r}.")
        fields = {name: getattr(config, name) for name in WHISPER_ENCODER_FIELDS if hasattr(config, name)}
        if num_layers is not None and num_layers != config.encoder_layers:
            if not 0 < num_layers < config.encoder_layers:
                raise ValueError(f"num_layers is {num_layers}; this encoder has {config.encoder_layers} layers.")
            fields |= {"encoder_layers": num_layers, "final_layer_norm": False}
        return cls(**fields | kwargs)


class ParaClapConfig(PreTrainedConfig):
    r"""Configuration of a [`ParaClapModel`]: an audio encoder, a text encoder and the space that they share.

    The defaults are the paper's (https://arxiv.org/abs/2406.07203, section 2.1): a 12-layer wav2vec 2.0 large as audio
    encoder, BERT base as text encoder, a projection of 768 dimensions.

    Args:
        audio_config: Configuration (or dict with a `model_type`) of any raw-waveform encoder of transformers: wav2vec2,
            hubert, wavlm, data2vec-audio, unispeech-sat, sew; of a Whisper, whose encoder is used (whisper,
            `paraclap_whisper`); or a [`ParaClapAudioConfig`] (`paraclap_audio`).
        text_config: Configuration (or dict with a `model_type`) of any BERT-like encoder.
        projection_dim: Size of a member's embedding.
        projection_dropout: Dropout inside both projections, in [0, 1).
        logit_scale_init_value: Initial log of the inverse temperature; the paper's is ln(1 / 0.07).
        logit_bias_init_value: Initial bias of the sigmoid loss; SigLIP's -10 fits one caption an utterance, where
            nearly all pairs are negatives.
        text_pooling: `"cls"`, the state of the first token (the paper's), or `"mean"`, the mean over the valid tokens
            (what sentence encoders are trained with).
        audio_pooling: `"mean"` of the frames (the paper's), `"statistics"`, their mean and standard deviation, or
            `"attentive_statistics"`, both of frames that a learnt attention weighs.
        audio_pooling_size: Width of a layer between encoder and pooling, with a normalisation of the encoder's
            channels before it and a GELU behind; None for no such layer.
        audio_pooling_heads: Heads of the attention, each for its share of the channels.
        audio_pooling_dropout: Dropout behind the pooling, in [0, 1).
        audio_channel_dropout: Dropout of the encoder's channels before the layer of `audio_pooling_size`, in [0, 1).
        audio_layer_weights: Layers whose states are summed with learnt weights (a softmax), 0 for the state before the
            first; True for all, None for the last state alone.
        audio_cues: Whether level, duration, pitch and timbre, measured in the waveform, join the pooled states in the
            projection: for encoders that do not tell them, such as Whisper's.
        hypothesis_template: Default prompt of the zero-shot pipeline; `{}` takes the label.
        loss_type: `"contrastive"` (the paper's equation 2), `"multi_positive"` (captions of the same text are positives
            of each other), `"sigmoid"` (SigLIP, https://arxiv.org/abs/2303.15343), or `"grouped"` (that, and a choice
            within each group of texts that exclude each other).
        center_audio: Whether to subtract from audio embeddings what all of the training's have in common.
        num_members: Sets of pooling, cues and projections that are trained side by side on the same encoders. An
            embedding is as many times as wide, and the cosine of two the mean of the members'.

    Raises:
        ValueError: If a value is outside what is listed above.

    Example:
        >>> from modeling_paraclap import ParaClapConfig
        >>> config = ParaClapConfig(text_config={"model_type": "bert", "num_hidden_layers": 2})
        >>> config.audio_config.model_type, config.text_config.num_hidden_layers, config.projection_dim
        ('wav2vec2', 2, 768)
    """

    model_type = "paraclap"
    sub_configs = {"audio_config": AutoConfig, "text_config": AutoConfig}

    def __init__(
        self,
        audio_config: dict | PreTrainedConfig | None = None,
        text_config: dict | PreTrainedConfig | None = None,
        projection_dim: int = 768,
        projection_dropout: float = 0.5,
        logit_scale_init_value: float = 2.6592,
        logit_bias_init_value: float = -10.0,
        text_pooling: str = "cls",
        audio_pooling: str = "mean",
        audio_pooling_size: int | None = None,
        audio_pooling_heads: int = 4,
        audio_pooling_dropout: float = 0.0,
        audio_channel_dropout: float = 0.0,
        audio_layer_weights: Sequence[int] | bool | None = None,
        audio_cues: bool = False,
        hypothesis_template: str = "speaker is {}.",
        loss_type: str = "contrastive",
        center_audio: bool = False,
        num_members: int = 1,
        **kwargs,
    ):
        if text_pooling not in TEXT_POOLINGS:
            raise ValueError(f"text_pooling is {text_pooling!r}; choose one of {', '.join(TEXT_POOLINGS)}.")
        if audio_pooling not in AUDIO_POOLINGS:
            raise ValueError(f"audio_pooling is {audio_pooling!r}; choose one of {', '.join(AUDIO_POOLINGS)}.")
        if loss_type not in LOSS_TYPES:
            raise ValueError(f"loss_type is {loss_type!r}; choose one of {', '.join(LOSS_TYPES)}.")
        if not isinstance(hypothesis_template, str) or "{}" not in hypothesis_template:
            raise ValueError(f"hypothesis_template {hypothesis_template!r} has no {{}} for the label; put one in.")
        check_dropout("projection_dropout", projection_dropout)
        check_dropout("audio_pooling_dropout", audio_pooling_dropout)
        check_dropout("audio_channel_dropout", audio_channel_dropout)
        check_number("logit_scale_init_value", logit_scale_init_value, most=50)
        check_number("logit_bias_init_value", logit_bias_init_value, most=1000)
        # A release folder names its pipeline's code for those who have no package. Where the package is imported, its
        # own pipeline serves the task, and the entry would only make transformers ask for trust_remote_code.
        if not type(self).__module__.startswith("transformers_modules"):
            kwargs.pop("custom_pipelines", None)
        self.audio_config = _sub_config(audio_config, "audio_config", default=_paper_audio_config)
        self.text_config = _sub_config(text_config, "text_config", default=lambda: CONFIG_MAPPING["bert"]())
        self.projection_dim = projection_dim
        self.projection_dropout = projection_dropout
        self.logit_scale_init_value = logit_scale_init_value
        self.logit_bias_init_value = logit_bias_init_value
        self.text_pooling = text_pooling
        self.audio_pooling = audio_pooling
        self.audio_pooling_size = audio_pooling_size
        self.audio_pooling_heads = audio_pooling_heads
        self.audio_pooling_dropout = audio_pooling_dropout
        self.audio_channel_dropout = audio_channel_dropout
        self.audio_layer_weights = _layers_to_weigh(audio_layer_weights, self.audio_config.num_hidden_layers)
        self.audio_cues = audio_cues
        width = audio_pooling_size or self.audio_config.hidden_size
        if audio_pooling == "attentive_statistics" and (audio_pooling_heads < 1 or width % audio_pooling_heads):
            raise ValueError(
                f"audio_pooling_heads is {audio_pooling_heads}; expected a number that divides the {width} channels."
            )
        self.hypothesis_template = hypothesis_template
        self.loss_type = loss_type
        self.center_audio = center_audio
        self.num_members = num_members
        super().__init__(**kwargs)
        check_numbers(self.to_dict())
        _register_models()

    @property
    def embedding_dim(self) -> int:
        """Size of the shared embedding space."""
        return self.num_members * self.projection_dim

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, with what a process without this package needs to find the code beside them."""
        return super().to_dict() | {
            "auto_map": {
                "AutoConfig": "configuration_paraclap.ParaClapConfig",
                "AutoModel": "modeling_paraclap.ParaClapModel",
            },
            "custom_pipelines": {
                "zero-shot-audio-classification": {
                    "impl": "pipeline_paraclap.ParaClapZeroShotAudioClassificationPipeline",
                    "pt": ["AutoModel"],
                    "default": {},
                    "type": "multimodal",
                }
            },
        }

    def save_pretrained(self, save_directory: str | PathLike, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Save the settings, and the code of a release.

        Args:
            save_directory: Folder to write; created if missing.
            push_to_hub: Whether to upload what was written.
            **kwargs: Handed to `PreTrainedConfig.save_pretrained`.
        """
        from .release_paraclap import copy_code

        copy_code(save_directory)
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)


def _paper_audio_config() -> PreTrainedConfig:
    """Return the 12-layer wav2vec 2.0 large of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim."""
    return CONFIG_MAPPING["wav2vec2"](
        hidden_size=1024,
        num_hidden_layers=12,
        num_attention_heads=16,
        intermediate_size=4096,
        feat_extract_norm="layer",
        conv_bias=True,
        do_stable_layer_norm=True,
        feat_proj_dropout=0.1,
        layerdrop=0.0,
        apply_spec_augment=False,
    )


def _layers_to_weigh(layers: Sequence[int] | bool | None, number: int) -> list[int] | None:
    """Return the layers to weigh, or None; refuses what leaves layers without use, which would get no gradient."""
    if layers is None or layers is False:
        return None
    layers = list(range(number + 1)) if layers is True else sorted(layers)
    if len(set(layers)) < len(layers) or not layers or layers[0] < 0 or layers[-1] != number:
        raise ValueError(
            f"audio_layer_weights is {layers}; expected different layers from 0 to {number}, the last among them. To "
            "leave out the upper layers, give the audio encoder fewer (num_hidden_layers)."
        )
    return layers


def _sub_config(
    config: dict | PreTrainedConfig | None, name: str, default: Callable[[], PreTrainedConfig]
) -> PreTrainedConfig:
    """Return a tower's configuration from what the user gave: nothing, a dict or a configuration."""
    if config is None:
        return default()
    if isinstance(config, dict):
        # The project's own towers are no model types of transformers; their code lies beside this file.
        for own in (ParaClapAudioConfig, ParaClapWhisperConfig):
            if config.get("model_type") == own.model_type:
                return own(**config)
        if config.get("model_type") not in CONFIG_MAPPING:
            raise ValueError(
                f"{name} has model_type {config.get('model_type')!r}, which transformers does not know; "
                'give the model_type of an encoder, for example "wav2vec2" or "bert".'
            )
        config = CONFIG_MAPPING[config["model_type"]](**config)
    # Whatever Whisper comes, its encoder is the project's tower: transformers' own takes no waveform.
    return ParaClapWhisperConfig.from_whisper(config) if config.model_type == WhisperConfig.model_type else config


def _register_models() -> None:
    """Make transformers know the models and the pipeline of the package, whose classes are imported only now.

    The copy of this file in a release folder is found through `auto_map` and has nothing to register.
    """
    if __name__ == "modeling_paraclap.configuration_paraclap":
        importlib.import_module("modeling_paraclap.registration").register()


ParaClapConfig.register_for_auto_class()
