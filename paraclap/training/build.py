"""Model and processor built from the arguments, and their setup on a device."""

import torch
from accelerate import Accelerator

from modeling_paraclap.cpu_paraclap import convolve_channels_last
from modeling_paraclap.freezing_paraclap import freeze_feature_encoder
from modeling_paraclap.memory_paraclap import keep_freed_memory
from modeling_paraclap.modeling_paraclap import TOWERS, ParaClapModel
from modeling_paraclap.processing_paraclap import ParaClapProcessor

from .arguments import Arguments
from .dropout import draw_four_at_once
from .encoders import build_model, build_processor
from .errors import TrainingError


def build(args: Arguments) -> tuple[ParaClapModel, ParaClapProcessor]:
    """Return the model and processor, with encoders frozen and compiled as the arguments say.

    Raises:
        TrainingError: If the tokenizer is missing, or the arguments do not describe a valid model.
    """
    options = args.model
    tokenizer = options.tokenizer_name_or_path or options.text_model_name_or_path
    if not tokenizer:
        raise TrainingError("A text encoder from scratch needs --tokenizer_name_or_path.")
    try:
        model = _frozen_model(args)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    if args.run.compile:
        model.audio_model.compile()
        if not options.freeze_text:  # a frozen one sees each text once
            model.text_model.compile(dynamic=True)
    return model, build_processor(tokenizer, options.do_normalize, model.config.text_config.max_position_embeddings)


def _frozen_model(args: Arguments) -> ParaClapModel:
    options = args.model
    model = build_model(
        options, loss_type=args.recipe.loss_type, logit_bias_init_value=args.recipe.logit_bias_init_value
    )
    model.freeze_towers(*(name for name in TOWERS if getattr(options, f"freeze_{name}")))
    if options.freeze_feature_encoder:
        freeze_feature_encoder(model.audio_model)
    if options.freeze_audio_layers is not None:
        model.freeze_audio_layers(options.freeze_audio_layers)
    return model


def prepare_machine(tf32: bool, device: torch.device) -> None:
    """Choose the precision of float32 products, which only some GPUs obey; on a CPU, keep freed memory for reuse."""
    if device.type == "cpu":
        keep_freed_memory()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")


def lay_out(model: ParaClapModel, accelerator: Accelerator) -> None:
    """Make the model cheaper on a CPU: fewer random bits for dropout, and in bfloat16 channels-last convolutions."""
    if accelerator.device.type != "cpu":
        return
    draw_four_at_once(model)
    if accelerator.mixed_precision == "bf16":
        convolve_channels_last(model.audio_model)
