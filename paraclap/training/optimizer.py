"""The optimizer and its parameter groups."""

import torch

from modeling_paraclap.modeling_paraclap import ParaClapModel

from .arguments import RecipeArguments


def build_optimizer(model: ParaClapModel, args: RecipeArguments) -> torch.optim.AdamW:
    """Return AdamW with one learning rate for the encoders and one for projections and logit scale (section 3.3)."""
    groups = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        encoder = name.startswith(("audio_model.", "text_model."))
        decays = args.weight_decay > 0 and parameter.ndim > 1
        groups.setdefault((encoder, decays), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "name": "encoders" if encoder else "projections",
                "params": parameters,
                "lr": args.encoder_learning_rate if encoder else args.head_learning_rate,
                "weight_decay": args.weight_decay if decays else 0.0,
            }
            for (encoder, decays), parameters in sorted(groups.items(), key=lambda item: item[0])
        ],
        fused=True,
    )
