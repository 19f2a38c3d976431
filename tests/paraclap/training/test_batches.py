"""What a batch holds, and the order of the batches."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.training_runs import arguments

from modeling_paraclap import ParaClapModel
from modeling_paraclap.losses_paraclap import multi_positive_loss, sigmoid_loss
from paraclap.training.arguments import parse_arguments
from paraclap.training.batches import Collator
from paraclap.training.build import build
from paraclap.training.corpus_files import load_split
from paraclap.training.loader import EpochSampler, balance_weights, build_loader
from paraclap.training.step import positives_of, unknown_of

VOCABULARY = {"is long": "duration", "is loud": "intensity", "is short": "duration"}


EMOTION_QUERIES = {"speaker is angry": "emotion", "speaker is calm": "emotion"}


def example(caption, samples, queries, **unknown):
    known = {"unknown_attributes": set(), "unknown_queries": set()} | unknown
    return {"waveform": np.ones(samples, np.float32), "caption": caption, "queries": queries, "bank": queries, **known}


def test_what_nobody_knows_is_not_taken_for_false(tiny_processor):
    examples = [
        example("speaker is angry", 800, ["speaker is angry", "is loud"]),
        example("is loud", 800, ["is loud"], unknown_attributes={"emotion"}),
        example("speaker is calm", 800, ["speaker is calm"], unknown_queries={"speaker is angry"}),
    ]
    batch = Collator(tiny_processor, vocabulary=VOCABULARY | EMOTION_QUERIES)(examples)
    positives, unknown = positives_of(batch["said"], batch["holds"]), unknown_of(batch["said"], batch["unknown"])
    assert positives.tolist() == [[True, True, False], [False, True, False], [False, False, True]]
    assert unknown.tolist() == [[False, False, False], [True, False, True], [True, False, False]]
    logits = torch.randn(3, 3)
    moved = logits.masked_fill(unknown, 5.0)
    for loss in (sigmoid_loss, multi_positive_loss):
        expected = loss(logits, positives, unknown)
        assert torch.isclose(expected, loss(moved, positives, unknown))
        assert not torch.isclose(expected, loss(logits, positives))


def test_a_batch_knows_which_captions_hold_for_which_utterance(tiny_processor):
    examples = [
        example("is loud", 800, ["is loud", "is short"]),
        example("is short and is loud", 500, ["is loud", "is short"]),
        example("is long", 700, ["is long", "is loud"]),
    ]
    batch = Collator(tiny_processor, pad_to=1000, vocabulary=VOCABULARY)(examples)
    assert positives_of(batch["said"], batch["holds"]).tolist() == [
        [True, True, False],
        [True, True, False],
        [True, False, True],
    ]
    assert batch["input_values"].shape == (3, 1000)
    assert batch["padding_mask"].sum(1).tolist() == [800, 500, 700]


def test_a_query_bank_compares_with_everything_said(tiny_config, tiny_processor):
    examples = [
        example("is loud", 800, ["is loud", "is short"]),
        example("is long", 800, ["is long", "is loud"]),
    ]
    batch = Collator(tiny_processor, vocabulary=VOCABULARY, query_bank=True)(examples)
    said = batch.pop("said")
    batch |= {"positives": positives_of(said, batch.pop("holds")), "unknown": unknown_of(said, batch["unknown"])}
    # the two captions, then is long, is loud, is short
    assert batch["positives"].tolist() == [[True, False, False, True, True], [True, True, True, True, False]]
    for loss_type in ("sigmoid", "multi_positive"):
        loss = ParaClapModel(tiny_config(loss_type=loss_type))(**batch, return_loss=True).loss
        assert loss.isfinite()
        assert loss > 0
    with pytest.raises(ValueError, match="A query bank needs a loss with several positives"):
        Collator(tiny_processor, query_bank=True)


def test_a_caption_that_is_too_long_is_named(tiny_processor):
    with pytest.raises(ValueError, match="the text encoder takes 256: lower --max_queries.*is loud"):
        Collator(tiny_processor)([example("is loud " * 200, 800, [])])


def test_the_sampler_reorders_each_epoch(corpus_dir):
    sampler = EpochSampler(20, seed=1)
    first, again = list(sampler), list(sampler)
    sampler.epoch = 1
    second = list(sampler)
    assert first == again
    assert [i for _, i in first] != [i for _, i in second]
    assert sorted(i for _, i in second) == list(range(20))
    assert {epoch for epoch, _ in second} == {1}


def test_workers_give_the_same_batches_as_none(corpus_dir, text_encoder, tmp_path):
    batches = []
    for workers in ("0", "2"):
        words = [*arguments(corpus_dir, text_encoder, tmp_path, "--num_workers", workers), "--loss_type", "sigmoid"]
        args = parse_arguments(words + ["--query_bank"])
        loader = build_loader(args, build(args)[1])
        loader.sampler.epoch = 1
        batches.append(list(loader))
    assert len(batches[0]) == len(batches[1]) == 6
    for one, two in zip(*batches, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_corpus_may_be_drawn_more_often():
    labels = pd.DataFrame({"corpus": ["a"] * 4 + ["b"] * 2, "emotion": ["angry", "sad"] * 2 + [None] * 2})
    plain, more = balance_weights(labels, 1.0), balance_weights(labels, 1.0, "b=4, a=2")
    assert plain[4:].sum() == pytest.approx(1 / 3)
    assert more[4:].sum() == pytest.approx(1 / 2)
    for wrong in ("c=2", "a", "a=0", "a=-1", "a=x", "a=nan", "a=inf"):
        with pytest.raises(ValueError, match="--corpus_weights has.*one of the corpora a, b"):
            balance_weights(labels, 1.0, wrong)


def test_a_corpus_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data/train-.*build_query_corpus"):
        load_split(tmp_path, "train")
