"""Arguments of `train_accelerate.py`; each can also stand in the YAML file that `--config` names."""

import argparse
import importlib.util

import yaml

from dataset_scripts.queries import VARIANTS
from modeling_paraclap.configuration_paraclap import AUDIO_POOLINGS, LOSS_TYPES, TEXT_POOLINGS

from .data import is_remote

TRACKERS = ("tensorboard", "wandb", "trackio", "none")
SWITCHES = (argparse._StoreTrueAction, argparse.BooleanOptionalAction)


def build_parser():
    """The parser, with the paper's recipe (section 3.3) as defaults."""
    parser = argparse.ArgumentParser(
        prog="train_accelerate.py",
        description="Trains a ParaCLAP model on a query corpus.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--config", help="YAML file with any of the arguments below; the command line overrides it")

    paths = parser.add_argument_group("paths")
    paths.add_argument(
        "--corpus_dir",
        help="query corpus made by dataset_scripts.build_query_corpus; with --streaming also an address that fsspec "
        "knows: hf://datasets/ORG/NAME, s3://BUCKET/PATH (with s3fs)",
    )
    paths.add_argument(
        "--train_split",
        default="train",
        help="split to learn from, or several as datasets writes them: train+validation, once all choices are made "
        "(nothing is left to choose an epoch by, so the last is kept)",
    )
    paths.add_argument("--output_dir", help="folder of the run: config.json, logs, checkpoints and best/, the release")
    paths.add_argument("--resume", action="store_true", help="go on from the newest complete checkpoint of the run")

    model = parser.add_argument_group("model")
    model.add_argument("--audio_model_name_or_path", help="pretrained audio encoder (Hub id or folder)")
    model.add_argument("--audio_config", help="JSON configuration of an audio encoder from scratch")
    model.add_argument("--filter_bank", action="store_true", help="start a waveform encoder's first convolution as one")
    model.add_argument("--text_model_name_or_path", help="pretrained text encoder (Hub id or folder)")
    model.add_argument("--text_config", help="JSON configuration of a text encoder from scratch")
    model.add_argument("--tokenizer_name_or_path", help="tokenizer; that of the text encoder if not given")
    model.add_argument("--text_pooling", choices=TEXT_POOLINGS, default="cls", help="state of the text encoder to use")
    model.add_argument("--audio_pooling", choices=AUDIO_POOLINGS, default="mean", help="of the audio encoder's frames")
    model.add_argument("--center_audio", action="store_true", help="subtract what all audio embeddings have in common")
    model.add_argument("--projection_dim", type=int, default=768, help="size of the shared space")
    model.add_argument("--projection_dropout", type=float, default=0.5, help="dropout in the projections")
    model.add_argument("--hypothesis_template", default="speaker is {}.", help="prompt that the release carries")
    model.add_argument("--do_normalize", action="store_true", help="normalise each waveform to unit variance")
    model.add_argument("--spec_augment", action="store_true", help="SpecAugment, with the audio encoder's settings")
    model.add_argument("--freeze_audio", action="store_true", help="do not train the audio encoder")
    model.add_argument(
        "--freeze_feature_encoder", action="store_true", help="do not train the audio encoder's convolutions"
    )
    model.add_argument("--freeze_text", action="store_true", help="do not train the text encoder")

    queries = parser.add_argument_group("utterances and queries")
    queries.add_argument("--variant", choices=VARIANTS, default="rand5", help="queries to train on (section 3.3)")
    queries.add_argument("--max_queries", type=int, default=5, help="largest number of queries joined in a caption")
    queries.add_argument("--emotion_probability", type=float, default=0.0, help="chance of an emotion query put first")
    queries.add_argument(
        "--usual_dimensions",
        action="store_true",
        help="arousal, valence and dominance as usual for the emotion, where nobody annotated them",
    )
    queries.add_argument("--balance", type=float, default=0.0, help="evens out corpora and emotions: 0 not, 1 wholly")
    queries.add_argument(
        "--corpus_weights", default="", help="with --balance: how many times as often to draw, as librispeech=3,nemo=2"
    )
    queries.add_argument("--crop_s", type=float, default=5.0, help="seconds of the random crop or zero padding")
    queries.add_argument("--pad_to_longest", action="store_true", help="pad to the batch's longest, not to --crop_s")
    queries.add_argument("--keep_decoded", action="store_true", help="keep decoded audio in memory, 115 MB an hour")

    queries.add_argument(
        "--streaming", action="store_true", help="read utterances as they are needed: the corpus need not fit the disk"
    )
    queries.add_argument(
        "--shuffle_rows", type=int, default=1000, help="streamed utterances that are shuffled among each other"
    )

    augmentation = parser.add_argument_group("augmentation, off by default")
    augmentation.add_argument(
        "--part", type=float, default=0.0, help="probability that of an utterance without emotion only a part is heard"
    )
    augmentation.add_argument("--speed", type=float, default=0.0, help="largest change of speed in semitones")
    augmentation.add_argument("--gain", type=float, default=0.0, help="largest change of level in dB")
    augmentation.add_argument("--equaliser", type=float, default=0.0, help="random frequency response, deviation in dB")
    augmentation.add_argument("--noise", type=float, default=0.0, help="probability of noise at 5 to 45 dB SNR")
    augmentation.add_argument("--reverb", type=float, default=0.0, help="probability of a room's reverberation")
    augmentation.add_argument("--silence", type=float, default=0.0, help="probability of silence before and after")

    recipe = parser.add_argument_group("recipe")
    recipe.add_argument("--loss_type", choices=LOSS_TYPES, default="contrastive", help="loss")
    recipe.add_argument(
        "--query_bank", action="store_true", help="compare with every query of the batch, not one caption"
    )
    recipe.add_argument("--emotion_weight", type=float, default=1.0, help="of emotion among the grouped loss's groups")
    recipe.add_argument("--text_noise", type=float, default=0.0, help="noise on a frozen text encoder's states")
    recipe.add_argument("--logit_bias_init_value", type=float, default=-10.0, help="initial bias of the sigmoid loss")
    recipe.add_argument("--num_train_epochs", type=int, default=50, help="epochs")
    recipe.add_argument("--batch_size", type=int, default=64, help="utterances in a batch of each process")
    recipe.add_argument(
        "--global_negatives",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare with the batches of all processes: n of them train as one with a batch n times as large",
    )
    recipe.add_argument(
        "--micro_batch_size",
        type=int,
        default=0,
        help="utterances that go through the encoders at once, for large batches in little memory and the same "
        "gradients; 0 for the whole batch",
    )
    recipe.add_argument("--encoder_learning_rate", type=float, default=1e-5, help="learning rate of both encoders")
    recipe.add_argument("--head_learning_rate", type=float, default=1e-3, help="of projections and logit scale")
    recipe.add_argument("--weight_decay", type=float, default=0.0, help="AdamW's, not on biases and norms; 0 is Adam")
    recipe.add_argument("--lr_scheduler_type", default="constant", help="a schedule of transformers.get_scheduler")
    recipe.add_argument("--warmup_ratio", type=float, default=0.0, help="share of the steps with a rising rate")
    recipe.add_argument("--max_grad_norm", type=float, default=0.0, help="clip the gradient's norm; 0 does not")
    recipe.add_argument(
        "--ema_decay",
        type=float,
        default=0.0,
        help="validate and release an exponential moving average of the weights, for example 0.999; 0 does not",
    )
    recipe.add_argument("--seed", type=int, default=0, help="seed of everything random")

    run = parser.add_argument_group("run")
    run.add_argument("--mixed_precision", choices=("no", "bf16", "fp16"), help="accelerate's setting if not given")
    run.add_argument(
        "--tf32", action=argparse.BooleanOptionalAction, default=True, help="TensorFloat-32 products where float32 is"
    )
    run.add_argument("--compile", action="store_true", help="compile the encoders; crops of one length need no second")
    run.add_argument("--profile", type=int, default=0, help="steps to profile into profile.json; 0 for none")
    run.add_argument("--report_to", choices=TRACKERS, default="tensorboard", help="where curves go as they grow")
    run.add_argument("--num_workers", type=int, default=0, help="processes that decode audio")
    run.add_argument(
        "--checkpoint_every", type=int, default=200, help="steps between checkpoints; 0: epochs' ends only"
    )
    run.add_argument("--keep_checkpoints", type=int, default=2, help="newest checkpoints to keep")
    run.add_argument("--log_every", type=int, default=10, help="steps between logged losses")
    run.add_argument("--max_steps", type=int, default=0, help="stop after so many steps; 0 for all epochs")
    return parser


def parse_arguments(argv=None):
    """The arguments, with those of the `--config` file between the defaults and the command line.

    Unknown names in the file, values of a wrong kind, and a missing corpus or output folder end the program with a
    message, as argparse does.
    """
    parser = build_parser()
    config = parser.parse_known_args(argv)[0].config
    if config:
        with open(config, encoding="utf-8") as file:
            given = yaml.safe_load(file) or {}
        actions = {action.dest: action for action in parser._actions}
        unknown = sorted(set(given) - set(actions) - {"help"})
        if unknown:
            parser.error(f"{config} has unknown arguments: {', '.join(unknown)}")
        for name, value in given.items():
            action = actions[name]
            if isinstance(action, SWITCHES) != isinstance(value, bool):
                parser.error(f"{config}: {name} is {value!r}; see --help for what it takes")
            # As a string, so that argparse applies the argument's type to it as it does on the command line.
            parser.set_defaults(**{name: value if isinstance(value, bool) or value is None else str(value)})
            if action.choices and value is not None and value not in action.choices:
                parser.error(f"{config}: {name} is {value!r}; choose from {', '.join(action.choices)}")
    args = parser.parse_args(argv)
    for name in ("corpus_dir", "output_dir"):
        if not getattr(args, name):
            parser.error(f"--{name} is needed")
    for name in ("num_train_epochs", "batch_size", "max_queries", "crop_s", "keep_checkpoints", "log_every"):
        if getattr(args, name) <= 0:
            parser.error(f"--{name} is {getattr(args, name)}; it must be above 0")
    for name in ("micro_batch_size", "num_workers", "profile", "checkpoint_every", "shuffle_rows"):
        if getattr(args, name) < 0:
            parser.error(f"--{name} is {getattr(args, name)}; it must not be below 0")
    if not 0 <= args.ema_decay < 1:
        parser.error(f"--ema_decay is {args.ema_decay}; it must be from 0 up to, but not including, 1")
    if args.text_noise < 0 or (args.text_noise and not args.freeze_text):
        parser.error(f"--text_noise {args.text_noise} is for a frozen text encoder, and not below 0: add --freeze_text")
    if args.compile and args.pad_to_longest:
        parser.error("--compile needs batches of one length: leave out --pad_to_longest")
    if args.streaming and args.keep_decoded:
        parser.error("--streaming is for a corpus larger than the machine: leave out --keep_decoded")
    if args.streaming and args.balance:
        parser.error("--streaming deals out every utterance of a row group: leave out --balance")
    if args.corpus_weights and not args.balance:
        parser.error("--corpus_weights changes what --balance draws: give both")
    if is_remote(args.corpus_dir) and not args.streaming:
        parser.error(f"--corpus_dir {args.corpus_dir} is not on this machine: add --streaming, or download it")
    if args.report_to != "none" and importlib.util.find_spec(args.report_to) is None:
        parser.error(f"--report_to {args.report_to} needs that package: pip install {args.report_to}")
    return args
