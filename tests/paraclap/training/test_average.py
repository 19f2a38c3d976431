"""The exponential moving average of the weights: what it holds, and where it is used."""

import pytest
import torch

from paraclap.training.average import AveragedWeights


def layer():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    return model


def walk(model, average, steps):
    for step in range(1, steps + 1):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3, generator=torch.Generator().manual_seed(step)))
        average.update(step)


def test_the_average_is_that_of_its_definition():
    model = layer()
    average, expected = AveragedWeights(model, 0.8), model.weight.detach().clone()
    for step in range(1, 60):
        with torch.no_grad():
            model.weight.mul_(1.01).add_(0.1)
        average.update(step)
        decay = min(0.8, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.state_dict()["weight"], expected)
    assert list(average.state_dict()) == ["weight"], "what is frozen needs no average"


def test_the_average_stands_in_only_inside():
    model = layer()
    average = AveragedWeights(model, 0.9)
    walk(model, average, 5)
    learning, averaged = model.weight.detach().clone(), average.averages[0].clone()
    storage = model.weight.data_ptr()
    with average.applied():
        assert torch.equal(model.weight, averaged)
        assert not torch.equal(averaged, learning)
    with pytest.raises(KeyError), average.applied():
        raise KeyError
    assert torch.equal(model.weight, learning)
    assert torch.equal(average.averages[0], averaged)
    assert model.weight.data_ptr() == storage


def test_without_a_decay_nothing_is_kept_or_changed():
    model = layer()
    average = AveragedWeights(model, 0.0)
    before = model.weight.detach().clone()
    average.update(1)
    with average.applied():
        assert torch.equal(model.weight, before)
    assert average.state_dict() == {}


def test_a_resumed_average_goes_on_and_another_models_is_refused():
    model, other = layer(), layer()
    average, resumed = AveragedWeights(model, 0.9), AveragedWeights(other, 0.9)
    walk(model, average, 4)
    resumed.load_state_dict({name: value.clone() for name, value in average.state_dict().items()})
    assert torch.equal(resumed.averages[0], average.averages[0])
    with pytest.raises(ValueError, match=r"averages other weights than the trainable ones: \['bias'\]"):
        resumed.load_state_dict(average.state_dict() | {"bias": model.bias})
