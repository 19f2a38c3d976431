"""Labels and prompt templates -> one text embedding a label: the zero-shot classifier of ParaCLAP."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

TEXTS_PER_BATCH = 256
CACHED_TEXTS = 4096

# A tokenizer refuses a second thread. Not the object's own, so that a pipeline can be copied and sent to a process.
_ENCODING = threading.Lock()

# Every label with the phrases that stand for it.
Labels = tuple[tuple[str, tuple[str, ...]], ...]


def parse_labels(candidate_labels: Any) -> Labels:
    """Return labels given in any form that users write them.

    Args:
        candidate_labels: Labels; or one string with commas between them; or a dict
            from each label to the phrase, or the list of phrases, that take its place in the template.

    Returns:
        Pairs of label and phrases; a label without phrases of its own is its own phrase.

    Raises:
        ValueError: If there are no labels, or one is empty or there twice.
        TypeError: If a label or phrase is not a string.
    """
    if isinstance(candidate_labels, str):
        pairs = [(label.strip(), label.strip()) for label in candidate_labels.split(",") if label.strip()]
    elif isinstance(candidate_labels, Mapping):
        pairs = list(candidate_labels.items())
    elif isinstance(candidate_labels, Iterable):
        pairs = [(label, label) for label in candidate_labels]
    else:
        raise TypeError(
            f"candidate_labels is {candidate_labels!r}; expected a list of labels, a string with commas between them, "
            "or a dict from each label to its phrases."
        )
    labels = [_parse_label(label, phrases) for label, phrases in pairs]
    if not labels:
        raise ValueError('There are no candidate_labels. Pass at least one, for example ["angry", "happy"].')
    names = [label for label, _ in labels]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"These candidate_labels are there more than once: {', '.join(twice)}. Take one of them out.")
    return tuple(labels)


def _parse_label(label: Any, phrases: Any) -> tuple[str, tuple[str, ...]]:
    """Return one label and its phrases, checked."""
    phrases = (phrases,) if isinstance(phrases, str) or not isinstance(phrases, Iterable) else tuple(phrases)
    for text in (label, *phrases):
        if not isinstance(text, str):
            raise TypeError(f"{text!r} of the label {label!r} is a {type(text).__name__}; labels are strings.")
        if not text.strip():
            raise ValueError(f"The label {label!r} is, or has, an empty text. Take it out.")
    if not phrases:
        raise ValueError(f"The label {label!r} has no phrases. Give it one, or pass the labels as a list.")
    return str(label), tuple(map(str, phrases))


def parse_templates(hypothesis_template: Any) -> tuple[str, ...]:
    """Return one template or several, each with a `{}` for the label.

    Raises:
        ValueError: If there is none, or one has no `{}`.
        TypeError: If one is not a string.
    """
    templates = (hypothesis_template,) if isinstance(hypothesis_template, str) else hypothesis_template
    if not isinstance(templates, (list, tuple)) or not all(isinstance(template, str) for template in templates):
        raise TypeError(f"hypothesis_template is {hypothesis_template!r}; expected a string or a list of strings.")
    if not templates:
        raise ValueError('The list of hypothesis templates is empty. Pass at least one, such as "speaker is {}.".')
    for template in templates:
        if "{}" not in template:
            raise ValueError(
                f"The hypothesis_template {template!r} has no {{}}, so all labels would be the same text. Put {{}} "
                'where the label goes; if the labels are whole sentences, pass "{}".'
            )
    return tuple(templates)


def prompts_of(labels: Labels, templates: tuple[str, ...]) -> list[list[str]]:
    """Return all texts of each label: every phrase in every template."""
    return [[template.replace("{}", phrase) for phrase in phrases for template in templates] for _, phrases in labels]


class TextEmbeddings:
    """Embeddings of texts, kept from call to call: the least recently used go first. Threads may share it.

    Args:
        capacity: How many are kept. A call with more texts than this keeps its own until the next.
    """

    def __init__(self, capacity: int = CACHED_TEXTS):
        self.capacity = capacity
        self._cache = OrderedDict()
        self._last = (None, None)  # most calls ask for the labels of the call before: their key, their matrix

    def __len__(self):
        """Return how many texts are kept."""
        return len(self._cache)

    @torch.no_grad()
    def of_labels(
        self, model: Any, tokenizer: Any, prompts: list[list[str]], labels: Labels | None = None
    ) -> torch.Tensor:
        """Return the embedding of each label: the average of its texts' embeddings, brought back to unit length.

        Args:
            model: The model, in evaluation mode.
            tokenizer: Its tokenizer.
            prompts: The texts of each label.
            labels: The labels and their phrases, to check what the tokenizer knows of each, and
                for error messages.

        Returns:
            float32 tensor of shape (labels, embedding_dim) on the model's device.

        Raises:
            ValueError: If a text is longer than the text encoder can take, the tokenizer knows nothing of a label, or
                two labels are the same tokens.
        """
        # The same text means another vector on another device, in another precision, or after a step of training.
        version = sum(0 if parameter.is_inference() else parameter._version for parameter in model.parameters())
        state = (id(model), model.device, model.dtype, version)
        key = (state, tuple(map(tuple, prompts)))
        last_key, last = self._last
        if key == last_key:
            return last
        with _ENCODING:
            _check_tokens(tokenizer, prompts, labels)
            means = self._means(model, tokenizer, prompts, state)
            self._last = (key, means)
        return means

    def _means(self, model: Any, tokenizer: Any, prompts: list[list[str]], state: tuple[Any, ...]) -> torch.Tensor:
        """Return the embedding of each label, from kept texts where there are any; for one thread at a time."""
        texts = list(dict.fromkeys(text for group in prompts for text in group))
        missing = [text for text in texts if (state, text) not in self._cache]
        for start in range(0, len(missing), TEXTS_PER_BATCH):
            batch = missing[start : start + TEXTS_PER_BATCH]
            for text, embedding in zip(batch, _embed(model, tokenizer, batch), strict=True):
                self._cache[state, text] = embedding
        for text in texts:
            self._cache.move_to_end((state, text))
        while len(self._cache) > max(self.capacity, len(texts)):
            self._cache.popitem(last=False)
        means = [torch.stack([self._cache[state, text] for text in group]).mean(0) for group in prompts]
        return F.normalize(torch.stack(means), dim=-1)


def _check_tokens(tokenizer: Any, prompts: list[list[str]], labels: Labels | None) -> None:
    """Raise ValueError for labels whose scores would say nothing: without a known token, or of the same tokens."""
    for label, phrases in labels or ():
        tokens = tokenizer(list(phrases), add_special_tokens=False)["input_ids"]
        unknown = [phrase for phrase, ids in zip(phrases, tokens, strict=True) if not _has_known_token(tokenizer, ids)]
        if unknown:
            of_label = "" if unknown[0] == label else f" of the label {_quoted(label)}"
            raise ValueError(
                f"The text encoder knows nothing of {_quoted(unknown[0])}{of_label}: to its tokenizer it is "
                f"{tokenizer.unk_token or 'no token'} alone, as any other unknown text. Put it into words of the "
                "language that the text encoder was trained on."
            )
    names = [label for label, _ in labels] if labels else [group[0] for group in prompts]
    first: dict[frozenset[tuple[int, ...]], int] = {}
    for index, group in enumerate(prompts):
        before = first.setdefault(frozenset(map(tuple, tokenizer(list(group))["input_ids"])), index)
        if before != index:
            raise ValueError(
                f"The labels {_quoted(names[before])} and {_quoted(names[index])} are the same tokens to the text "
                "encoder, so that their scores would be the same. Put them into words that it tells apart, or leave "
                "one of them out."
            )


def _has_known_token(tokenizer: Any, ids: list[int]) -> bool:
    # SentencePiece puts a token of a blank before an unknown word.
    return any(tokenizer.decode([token]).strip() for token in set(ids) if token != tokenizer.unk_token_id)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _embed(model: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Return unit-length embeddings (texts, embedding_dim) in float32."""
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    longest = min(tokenizer.model_max_length, getattr(model.config.text_config, "max_position_embeddings", 2**31))
    if inputs["input_ids"].shape[1] > longest:
        text = texts[int(inputs["attention_mask"].sum(1).argmax())]
        raise ValueError(
            f"The text {text[:60]!r}... has {inputs['input_ids'].shape[1]} tokens; the text encoder takes {longest}. "
            "Shorten the label or the template."
        )
    features = model.get_text_features(**inputs.to(model.device), return_dict=True).pooler_output
    return F.normalize(features.float(), dim=-1)
