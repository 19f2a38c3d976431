"""The arguments of training, in groups; each can also be set in the YAML file given with `--config`."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser

from dataset_scripts.queries import VARIANTS
from modeling_paraclap.configuration_paraclap import AUDIO_POOLINGS, TEXT_POOLINGS
from modeling_paraclap.losses_paraclap import LOSSES

TRACKERS = ("tensorboard", "wandb", "trackio", "none")
POSITIVE = (
    "projection_dim",
    "num_train_epochs",
    "batch_size",
    "max_queries",
    "crop_s",
    "keep_checkpoints",
    "log_every",
    "validate_every",
    "audio_pooling_heads",
    "audio_frames_per_state",
    "num_members",
)
NOT_NEGATIVE = (
    "encoder_learning_rate",
    "head_learning_rate",
    "micro_batch_size",
    "num_workers",
    "profile",
    "checkpoint_every",
    "shuffle_rows",
    "max_steps",
    "emotion_words",
    "audio_state_copies",
    "weight_decay",
    "max_grad_norm",
    "text_noise",
    "emotion_weight",
    "speed",
    "gain",
    "equaliser",
)
SHARES = ("calm", "emotion_probability", "balance", "part", "noise", "reverb", "silence", "warmup_ratio")
BELOW_ONE = ("projection_dropout", "audio_pooling_dropout", "audio_channel_dropout", "ema_decay")
# The schedules of transformers.get_scheduler that need no further arguments.
SCHEDULES = (
    "constant",
    "constant_with_warmup",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "inverse_sqrt",
)


def option(default: Any, help: str, choices: Sequence[str] | None = None) -> Any:
    """Return a dataclass field that `HfArgumentParser` turns into a command-line option."""
    return field(default=default, metadata={"help": help} | ({"choices": tuple(choices)} if choices else {}))


@dataclass
class PathArguments:
    """Input and output paths of the run."""

    _argument_group_name = "paths"
    config: list[str] | None = option(
        None, "YAML files with any of these arguments; a later one overrides an earlier one, the command line both"
    )
    corpus_dir: str | None = option(
        None,
        "query corpus built with dataset_scripts.build_query_corpus; with --streaming also an fsspec URL: "
        "hf://datasets/ORG/NAME, s3://BUCKET/PATH (with s3fs)",
    )
    train_split: str = option(
        "train",
        "split to train on, or several joined with +, such as train+validation for the final training (no validation "
        "data is left to choose an epoch, so the last one is kept)",
    )
    output_dir: str | None = option(None, "folder of the run: config.json, logs, checkpoints and best/, the release")
    resume: bool = option(False, "resume from the newest intact checkpoint of the run")


@dataclass
class ModelArguments:
    """The initial model."""

    _argument_group_name = "model"
    audio_model_name_or_path: str | None = option(None, "pretrained audio encoder (Hub id or folder)")
    audio_config: str | None = option(None, "JSON configuration of an audio encoder trained from scratch")
    audio_num_layers: int | None = option(None, "number of lowest layers of a pretrained audio encoder to keep")
    audio_frames_per_state: int = option(1, "20 ms frames of a Whisper encoder averaged into one state")
    audio_normalize_level: bool = option(False, "normalise the level of a Whisper encoder's spectrogram")
    audio_cues: bool = option(False, "append level, duration, pitch and timbre of the waveform to the pooled states")
    filter_bank: bool = option(False, "initialise a waveform encoder's first convolution as a filter bank")
    text_model_name_or_path: str | None = option(None, "pretrained text encoder (Hub id or folder)")
    text_config: str | None = option(None, "JSON configuration of a text encoder trained from scratch")
    tokenizer_name_or_path: str | None = option(None, "tokenizer; default: the text encoder's")
    text_pooling: str = option("cls", "pooling of the text encoder's states", TEXT_POOLINGS)
    audio_pooling: str = option("mean", "pooling of the audio encoder's frames", AUDIO_POOLINGS)
    audio_pooling_size: int | None = option(None, "width of a layer between audio encoder and pooling")
    audio_pooling_heads: int = option(4, "attention heads of attentive statistics pooling")
    audio_pooling_dropout: float = option(0.0, "dropout after pooling")
    audio_channel_dropout: float = option(0.0, "with --audio_pooling_size: channel dropout before that layer")
    audio_layer_weights: str | None = option(
        None,
        "audio encoder layers in the learned weighted sum: all, or numbers such as 0,1,2,3 (0: the input)",
    )
    center_audio: bool = option(False, "subtract the mean of all training audio embeddings")
    projection_dim: int = option(768, "dimension of the shared embedding space, or of each member's part of it")
    num_members: int = option(1, "ensemble members: sets of pooling and projections trained side by side")
    projection_dropout: float = option(0.5, "dropout of the projections")
    hypothesis_template: str = option("speaker is {}.", "prompt template of the release")
    do_normalize: bool = option(False, "normalise each waveform to zero mean and unit variance")
    spec_augment: bool = option(False, "apply SpecAugment with the audio encoder's settings")
    freeze_audio: bool = option(False, "freeze the audio encoder")
    freeze_feature_encoder: bool = option(False, "freeze the audio encoder's convolutions")
    freeze_audio_layers: int | None = option(
        None, "freeze the audio encoder's front end and this many of its lowest layers"
    )
    freeze_text: bool = option(False, "freeze the text encoder")


@dataclass
class CorpusArguments:
    """Sampling of utterances and of the queries that describe them."""

    _argument_group_name = "utterances and queries"
    variant: str = option("rand5", "queries to train on (section 3.3)", VARIANTS)
    max_queries: int = option(5, "maximum number of queries joined into a caption")
    emotion_probability: float = option(0.0, "probability that a caption starts with an emotion query")
    usual_dimensions: bool = option(
        False, "infer arousal, valence and dominance from the emotion where they are not annotated"
    )
    calm: float = option(0.0, "probability of relabelling a neutral utterance as calm at its speaker's lowest arousal")
    emotion_words: int = option(
        0, "with --query_bank: number of queries with further words for its emotion that each utterance adds"
    )
    audio_state_copies: int = option(
        0,
        "train on precomputed states of this many copies of each utterance, the first unchanged, the others augmented; "
        "needs a frozen audio encoder; 0 encodes audio in every step",
    )
    audio_states_dir: str | None = option(
        None, "folder of the precomputed states, which runs with the same encoder and augmentation can share"
    )
    balance: float = option(0.0, "strength of balancing corpora and emotions, from 0 (none) to 1 (uniform)")
    corpus_weights: str = option("", "with --balance: sampling factors of corpora, such as librispeech=3,nemo=2")
    crop_s: float = option(5.0, "length in seconds to which utterances are cropped or padded")
    pad_to_longest: bool = option(False, "pad to the longest utterance of the batch instead of --crop_s")
    keep_decoded: bool = option(False, "keep decoded audio in memory (115 MB per hour)")
    streaming: bool = option(False, "read utterances on demand, for a corpus that does not fit on disk")
    shuffle_rows: int = option(1000, "size of the shuffle window of a streamed corpus, in utterances")


@dataclass
class AugmentationArguments:
    """Random changes of the waveform."""

    _argument_group_name = "augmentation, off by default"
    part: float = option(0.0, "probability of a random excerpt of utterances without an emotion label")
    speed: float = option(0.0, "maximum change of speed in semitones")
    gain: float = option(0.0, "maximum change of level in dB")
    equaliser: float = option(0.0, "standard deviation in dB of a random frequency response")
    noise: float = option(0.0, "probability of added noise at 5 to 45 dB SNR")
    reverb: float = option(0.0, "probability of reverberation")
    silence: float = option(0.0, "probability of silence before and after the utterance")


@dataclass
class RecipeArguments:
    """Loss, batches, optimizer and schedule."""

    _argument_group_name = "recipe"
    loss_type: str = option("contrastive", "loss", tuple(LOSSES))
    query_bank: bool = option(False, "contrast utterances with every query of the batch, not only with the captions")
    emotion_weight: float = option(1.0, "weight of the emotion group in the grouped loss")
    text_noise: float = option(0.0, "noise on the states of a frozen text encoder, relative to their deviation")
    logit_bias_init_value: float = option(-10.0, "initial logit bias of the sigmoid and the grouped loss")
    num_train_epochs: int = option(50, "number of epochs")
    batch_size: int = option(64, "batch size per process")
    global_negatives: bool = option(
        True, "use negatives from all processes: n processes train like one with a batch n times as large"
    )
    micro_batch_size: int = option(
        0,
        "utterances encoded at once, to fit large batches into little memory with the same gradients; 0 encodes the "
        "whole batch",
    )
    encoder_learning_rate: float = option(1e-5, "learning rate of both encoders")
    head_learning_rate: float = option(1e-3, "learning rate of projections and logit scale")
    weight_decay: float = option(0.0, "weight decay of AdamW, not applied to biases and norms; 0 is Adam")
    lr_scheduler_type: str = option("constant", "learning rate schedule", SCHEDULES)
    warmup_ratio: float = option(0.0, "fraction of the steps in which the learning rate warms up")
    max_grad_norm: float = option(0.0, "maximum gradient norm; 0 disables clipping")
    ema_decay: float = option(
        0.0, "decay of the exponential moving average that is validated and released, such as 0.999; 0 disables it"
    )
    seed: int = option(0, "random seed")


@dataclass
class RunArguments:
    """Options that do not affect what the model learns."""

    _argument_group_name = "run"
    mixed_precision: str | None = option(None, "mixed precision; default: accelerate's setting", ("no", "bf16", "fp16"))
    tf32: bool = option(True, "use TensorFloat-32 for float32 matrix products")
    compile: bool = option(False, "compile the encoders; needs fixed-length batches")
    profile: int = option(0, "number of steps to profile into profile.json; 0 disables it")
    report_to: str = option("tensorboard", "experiment tracker", TRACKERS)
    num_workers: int = option(0, "number of data loader processes")
    checkpoint_every: int = option(200, "steps between checkpoints; 0 saves at the end of each epoch only")
    keep_checkpoints: int = option(2, "number of newest checkpoints to keep")
    log_every: int = option(10, "steps between logged losses")
    validate_every: int = option(1, "epochs between validations; the last epoch is always validated")
    max_steps: int = option(0, "stop after this many steps; 0 trains all epochs")


@dataclass
class Arguments:
    """All arguments of a run, in groups."""

    paths: PathArguments
    model: ModelArguments
    corpus: CorpusArguments
    augmentation: AugmentationArguments
    recipe: RecipeArguments
    run: RunArguments

    def flat(self) -> dict[str, Any]:
        """Return the values of all groups by name."""
        return {name: value for group in asdict(self).values() for name, value in group.items()}


ARGUMENT_GROUPS = (
    PathArguments,
    ModelArguments,
    CorpusArguments,
    AugmentationArguments,
    RecipeArguments,
    RunArguments,
)


def build_parser(prog: str | None = None) -> HfArgumentParser:
    """Return the parser, with the paper's recipe (section 3.3) as defaults."""
    script = Path(sys.argv[0]).name
    prog = prog or ("python -m paraclap.training" if script == "__main__.py" else script)
    return HfArgumentParser(
        ARGUMENT_GROUPS,
        prog=prog,
        usage="%(prog)s [--config FILE ...] --corpus_dir DIR --output_dir DIR [options]",
        description="Train a ParaCLAP model on a query corpus.",
        allow_abbrev=False,
    )


def parse_arguments(argv: Sequence[str] | None = None, prog: str | None = None) -> Arguments:
    """Parse the command line, which overrides the `--config` files, which override the defaults.

    Args:
        argv: Command-line arguments; `sys.argv[1:]` if not given.
        prog: Name of the program in messages.

    Raises:
        SystemExit: If a name is unknown, a value is of the wrong type or out of range, arguments exclude each other,
            or the corpus or output folder is missing.
    """
    parser = build_parser(prog)
    configs = parser.parse_known_args(argv)[0].config or ()
    # All are read before the first changes the defaults, from which the types of values are seen.
    for values in [_read_config(parser, config) for config in configs]:
        parser.set_defaults(**values)
    given = vars(parser.parse_args(argv))
    args = Arguments(*parser.parse_dict(given))
    _check_paths(parser.error, args)
    _check_ranges(parser.error, given)
    _check_combinations(parser.error, args)
    return args


def _read_config(parser: HfArgumentParser, config: str) -> dict[str, Any]:
    """Return the values of the YAML file, validated like command-line arguments."""
    try:
        content = yaml.safe_load(Path(config).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        parser.error(f"--config {config} cannot be read: {' '.join(str(error).split())}")
    if not isinstance(content, dict):
        parser.error(f"{config} holds {type(content).__name__}, expected one `name: value` a line")
    actions = {action.dest: action for action in parser._actions}
    unknown = sorted(str(name) for name in content if name not in actions or name in ("help", "config"))
    if unknown:
        parser.error(f"{config} has unknown arguments: {', '.join(unknown)}")
    defaults = {}
    for name, value in content.items():
        switch = isinstance(parser.get_default(name), bool)
        optional = parser.get_default(name) is None
        if switch != isinstance(value, bool) or (value is None and not optional):
            parser.error(f"{config}: {name} is {value!r}; see --help for what it takes")
        choices = actions[name].choices
        if choices and value is not None and value not in choices:
            parser.error(f"{config}: {name} is {value!r}; choose from {', '.join(choices)}")
        # As a string, so that argparse applies the argument's type to it as it does on the command line.
        defaults[name] = value if switch or value is None else str(value)
    return defaults


def _check_paths(error: Callable[[str], NoReturn], args: Arguments) -> None:
    for name in ("corpus_dir", "output_dir"):
        if not getattr(args.paths, name):
            error(f"--{name} is required")
    for name in ("audio_config", "text_config"):
        file = getattr(args.model, name)
        if file and not Path(file).is_file():
            error(f"--{name} {file} is not a file; relative paths start at {Path.cwd()}")
    if is_remote(args.paths.corpus_dir) and not args.corpus.streaming:
        error(f"--corpus_dir {args.paths.corpus_dir} is remote: add --streaming, or download it")


def _check_ranges(error: Callable[[str], NoReturn], given: dict[str, Any]) -> None:
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            error(f"--{name} is {value}; it must be a finite number")
    for names, fits, expected in (
        (POSITIVE, lambda value: value > 0, "must be above 0"),
        (NOT_NEGATIVE, lambda value: value >= 0, "must not be below 0"),
        (SHARES, lambda value: 0 <= value <= 1, "must be from 0 to 1"),
        (BELOW_ONE, lambda value: 0 <= value < 1, "must be from 0 up to, but not including, 1"),
    ):
        for name in names:
            if not fits(given[name]):
                error(f"--{name} is {given[name]}; it {expected}")


def _check_combinations(error: Callable[[str], NoReturn], args: Arguments) -> None:
    if args.recipe.text_noise and not args.model.freeze_text:
        error(f"--text_noise {args.recipe.text_noise} needs a frozen text encoder: add --freeze_text")
    if args.recipe.query_bank and not LOSSES[args.recipe.loss_type].needs_positives:
        several = ", ".join(name for name, loss in LOSSES.items() if loss.needs_positives)
        error(f"--query_bank needs a loss with several positives: --loss_type {several}")
    if args.corpus.emotion_words and not args.recipe.query_bank:
        error("--emotion_words adds to the query bank: add --query_bank")
    if args.corpus.audio_state_copies and not args.model.freeze_audio:
        error("--audio_state_copies needs a frozen audio encoder: add --freeze_audio")
    if args.corpus.audio_state_copies and (args.corpus.streaming or args.run.compile):
        error("--audio_state_copies encodes the whole corpus before training: leave out --streaming and --compile")
    if args.run.compile and args.corpus.pad_to_longest:
        error("--compile needs fixed-length batches: leave out --pad_to_longest")
    if args.corpus.streaming and args.corpus.keep_decoded:
        error("--streaming cannot keep the corpus in memory: leave out --keep_decoded")
    if args.corpus.streaming and args.corpus.balance:
        error("--streaming draws every utterance once and cannot balance: leave out --balance")
    if args.corpus.corpus_weights and not args.corpus.balance:
        error("--corpus_weights needs --balance: give both")


def is_remote(corpus_dir: str | Path) -> bool:
    """Return whether the corpus is given by a URL, such as `hf://datasets/ORG/NAME` or `s3://bucket/path`."""
    return "://" in str(corpus_dir)
