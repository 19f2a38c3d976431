"""Forward and backward of one batch: negatives from all processes, and large batches in little memory.

A contrastive loss compares every utterance with every text of the batch, so the loss of a batch split over processes or
micro-batches is not the sum of its parts. The small embeddings are therefore gathered, the loss is computed for the
whole batch, and its gradient is propagated into each part.
"""

import contextlib
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator

from modeling_paraclap.losses_paraclap import LOSSES

from .frozen_text import FrozenTextStates
from .random_state import random_state, set_random_state

LABELS = ("said", "holds", "unknown", "groups")


class ContrastiveStep:
    """Accumulate the gradient of a batch's loss; n processes obtain the gradient of one large batch.

    Args:
        accelerator: The run's accelerator.
        model: The model returned by `accelerator.prepare`.
        global_negatives: Whether the loss uses the batches of all processes as one; otherwise each is separate.
        micro_batch_size: Utterances encoded at once; 0 for all. Smaller values need less memory and a second forward
            pass (cached two-pass accumulation, https://arxiv.org/abs/2101.06983), with the same gradient.
        group_weights: Weights of the grouped loss by group.
        text_noise: Noise on a frozen text encoder's states; see [`FrozenTextStates`].
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: torch.nn.Module,
        global_negatives: bool = True,
        micro_batch_size: int = 0,
        group_weights: dict[int, float] | None = None,
        text_noise: float = 0.0,
    ):
        self.accelerator, self.model = accelerator, model
        self.towers = accelerator.unwrap_model(model)
        self.gathers = global_negatives and accelerator.num_processes > 1
        self.micro_batch_size = micro_batch_size
        self.group_weights = group_weights
        self.text_states = FrozenTextStates(self.towers, text_noise) if "text" in self.towers.frozen_towers else None

    def __call__(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Add the gradient of one batch of [`Collator`] and return its loss, without gradient."""
        labels = {name: batch[name] for name in LABELS if name in batch}
        inputs = {name: value for name, value in batch.items() if name not in LABELS}
        if self.text_states:
            with self.accelerator.autocast():
                inputs["text_states"] = self.text_states(inputs.pop("input_ids"), inputs.pop("attention_mask"))
            inputs.pop("token_type_ids", None)
        utterances = len(inputs["padding_mask"])
        if self.micro_batch_size and self.micro_batch_size < utterances:
            return self._in_two_passes(inputs, labels, -(-utterances // self.micro_batch_size))
        outputs = self.model(**inputs)
        loss = self.loss(outputs.audio_embeds, outputs.text_embeds, **labels)
        self.accelerator.backward(loss)
        return loss.detach()

    def _in_two_passes(
        self, inputs: dict[str, torch.Tensor], labels: dict[str, torch.Tensor], count: int
    ) -> torch.Tensor:
        parts = {name: value.tensor_split(count) for name, value in inputs.items()}
        chunks = [{name: parts[name][index] for name in parts} for index in range(count)]
        states, audio, text = [], [], []
        with torch.no_grad():
            for chunk in chunks:
                states.append(random_state(self.accelerator.device))
                outputs = self.model(**chunk)
                audio.append(outputs.audio_embeds)
                text.append(outputs.text_embeds)
        embeds = [torch.cat(audio).requires_grad_(), torch.cat(text).requires_grad_()]
        loss = self.loss(*embeds, **labels)
        scalars = [self.towers.logit_scale, self.towers.logit_bias]
        scalars = [parameter for parameter in scalars if parameter is not None and parameter.requires_grad]
        audio_gradient, text_gradient, *gradients = torch.autograd.grad(loss, [*embeds, *scalars])
        gradients_of = zip(audio_gradient.tensor_split(count), text_gradient.tensor_split(count), strict=True)
        for index, (chunk, (audio_part, text_part)) in enumerate(zip(chunks, gradients_of, strict=True)):
            set_random_state(states[index], self.accelerator.device)
            last = index + 1 == count
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                outputs = self.model(**chunk)
                # A surrogate scalar with the loss's gradient for these parameters.
                proxy = (outputs.audio_embeds * audio_part).sum() + (outputs.text_embeds * text_part).sum()
                if last:
                    proxy = proxy + sum(p * gradient for p, gradient in zip(scalars, gradients, strict=True))
                self.accelerator.backward(proxy)
        return loss.detach()

    def loss(
        self,
        audio_embeds: torch.Tensor,
        text_embeds: torch.Tensor,
        said: torch.Tensor | None = None,
        holds: torch.Tensor | None = None,
        unknown: torch.Tensor | None = None,
        groups: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss of the whole batch, the same on each process.

        Args:
            audio_embeds: (n, dim) of this process.
            text_embeds: (n + bank, dim) of this process: a caption for each utterance, then the query bank.
            said: (n + bank, queries), which queries each text says; None for the contrastive loss.
            holds: (n, queries), which queries hold for each utterance.
            unknown: (n, queries), which queries are not labelled.
            groups: (queries,), group of each query, -1 for none.
        """
        if self.gathers:
            text_embeds, said = gather_texts(text_embeds, said, len(audio_embeds))
            audio_embeds = gather(audio_embeds)
            holds, unknown = (None if labels is None else gather(labels) for labels in (holds, unknown))
        if said is None:
            return self.towers.embedding_loss(audio_embeds, text_embeds)
        grouping = {}
        if LOSSES[self.towers.config.loss_type].takes_groups:
            grouping = {"groups": groups_of(said, groups, len(audio_embeds)), "group_weights": self.group_weights}
        return self.towers.embedding_loss(
            audio_embeds,
            text_embeds,
            positives=positives_of(said, holds),
            unknown=unknown_of(said, unknown),
            **grouping,
        )


def positives_of(said: torch.Tensor, holds: torch.Tensor) -> torch.Tensor:
    """Return (utterances, texts) booleans: a text holds for an utterance if all its queries do.

    Args:
        said: (texts, queries) booleans.
        holds: (utterances, queries) booleans.
    """
    return ((~holds.bool()).float() @ said.float().t()) == 0


def unknown_of(said: torch.Tensor, unknown: torch.Tensor) -> torch.Tensor:
    """Return (utterances, texts) booleans: a text is unlabelled if any of its queries is.

    Args:
        said: (texts, queries) booleans.
        unknown: (utterances, queries) booleans.
    """
    return (unknown.float() @ said.float().t()) > 0


def groups_of(said: torch.Tensor, groups: torch.Tensor, captions: int) -> torch.Tensor:
    """Return (texts,) groups: those of the attributes for the bank's queries, and none for captions.

    Args:
        said: (texts, queries) booleans.
        groups: (queries,) numbers.
        captions: Number of captions, which are the first texts.
    """
    numbers = groups[said.int().argmax(1)]
    numbers[:captions] = -1
    return numbers


def gather_texts(
    text_embeds: torch.Tensor, said: torch.Tensor | None, captions: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Gather the texts of all processes as in one large batch: every caption, and each query of the banks once.

    Finding the first process with each query synchronises with the device, which is not needed without a bank.

    Args:
        text_embeds: (captions + bank, dim) of this process.
        said: (captions + bank, queries), which queries each text says; None for the contrastive loss.
        captions: Number of captions.

    Returns:
        The embeddings, and the queries that each of them says.
    """
    everywhere = gather(text_embeds[:captions])
    if said is None:
        return everywhere, None
    said_everywhere = gather(said[:captions])
    if len(said) == captions:
        return everywhere, said_everywhere
    bank = said[captions:].int().argmax(1)  # one query per text of the bank
    queries = said.shape[1]
    slots = text_embeds.new_zeros(queries, text_embeds.shape[1]).index_copy(0, bank, text_embeds[captions:])
    present = gather(torch.zeros_like(said[:1]).index_fill(1, bank, 1)).int()  # (processes, queries)
    process, query = torch.nonzero((present == 1) & (present.cumsum(0) == 1), as_tuple=True)
    bank_embeds = gather(slots)[process * queries + query]
    bank_said = torch.nn.functional.one_hot(query, queries).to(said_everywhere)
    return torch.cat([everywhere, bank_embeds]), torch.cat([said_everywhere, bank_said])


def gather(tensor: torch.Tensor) -> torch.Tensor:
    """Gather (n, ...) of each process to (processes * n, ...) on every process, with gradients."""
    return _Gather.apply(tensor)


class _Gather(torch.autograd.Function):
    """Gather without communication in the backward pass, as every process computes the same loss.

    The gradient is multiplied by the number of processes because DDP averages over them.
    """

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        ctx.rows = len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        start = dist.get_rank() * ctx.rows
        return gradient[start : start + ctx.rows] * dist.get_world_size()
