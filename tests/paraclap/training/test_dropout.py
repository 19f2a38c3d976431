"""Dropout that draws four elements at once is dropout."""

import pytest
import torch
from torch import nn

from paraclap.training.dropout import draw_four_at_once


def dropout(p):
    torch.manual_seed(0)
    layer = nn.Dropout(p)
    draw_four_at_once(layer)
    return layer


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_drops_as_many_as_asked_and_keeps_the_expectation(p, dtype):
    features = torch.ones(101, 4003, dtype=dtype, requires_grad=True)  # no multiple of four
    found = dropout(p)(features)
    (gradient,) = torch.autograd.grad(found.float().sum(), features)
    assert found.dtype == dtype
    assert torch.equal(found, gradient)
    dropped = (found == 0).double().mean(0)  # of each column
    assert dropped.mean().item() == pytest.approx(p, abs=0.003)
    assert dropped.std().item() == pytest.approx((p * (1 - p) / 101) ** 0.5, rel=0.05)  # as if each were drawn alone
    scale = 1 / (1 - p)
    assert found.max().item() == pytest.approx(scale, rel=0.004 if dtype == torch.bfloat16 else 1e-4)


def test_neighbours_are_drawn_independently():
    kept = (dropout(0.3)(torch.ones(400_000)) > 0).double()
    for distance in (1, 2, 3, 4):
        assert torch.corrcoef(torch.stack([kept[distance:], kept[:-distance]]))[0, 1].abs() < 0.01


def test_one_seed_draws_the_same_and_each_call_anew():
    features = torch.ones(1000)
    layer = dropout(0.5)
    first, second = layer(features), layer(features)
    assert not torch.equal(first, second)
    assert torch.equal(dropout(0.5)(features), first)


def test_nothing_is_dropped_in_evaluation_or_with_none_to_drop_and_everything_with_all():
    features = torch.randn(64)
    assert dropout(0.5).eval()(features) is features
    assert dropout(0.0)(features) is features
    assert not dropout(1.0)(features).any()


def test_every_dropout_of_a_model_is_reached():
    model = nn.Sequential(nn.Dropout(1.0), nn.Sequential(nn.Linear(4, 4), nn.Dropout(1.0)))
    draw_four_at_once(model)
    assert {layer.forward.__name__ for layer in model.modules() if isinstance(layer, nn.Dropout)} == {"_drop"}
