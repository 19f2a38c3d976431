"""The grouped loss, its groups from the query corpus, and the centre of the audio embeddings."""

import pytest
import torch
from torch.nn import functional as F

from modeling_paraclap import ParaClapModel
from modeling_paraclap.losses_paraclap import grouped_loss, sigmoid_loss
from paraclap.training.batches import ATTRIBUTE_GROUPS
from paraclap.training.frozen_text import PART, TOKENS, FrozenTextStates
from paraclap.training.step import groups_of


def test_it_is_the_sum_of_its_parts_written_out():
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    positives = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 1, 0]]).bool()
    unknown = torch.tensor([[0] * 5, [0] * 5, [1, 1, 0, 0, 0]]).bool()
    groups = torch.tensor([0, 0, 1, 1, -1])  # utterance 2 knows nothing of group 0
    first = F.cross_entropy(logits[:2, :2], torch.tensor([0, 1]))
    second = F.cross_entropy(logits[:, 2:4], torch.tensor([0, 1, 1]))
    expected = sigmoid_loss(logits, positives, unknown) / 5 + 4 * first + second
    torch.testing.assert_close(grouped_loss(logits, positives, unknown, groups, {0: 4.0}), expected)


def test_texts_of_one_label_share_its_probability_and_the_unknown_take_no_part():
    positives = torch.tensor([[1, 1, 0, 0]]).bool()
    unknown = torch.tensor([[0, 0, 0, 1]]).bool()
    even = grouped_loss(torch.tensor([[2.0, 2.0, -2.0, 99.0]]), positives, unknown, torch.zeros(4, dtype=torch.long))
    skewed = grouped_loss(torch.tensor([[4.0, 0.0, -2.0, 99.0]]), positives, unknown, torch.zeros(4, dtype=torch.long))
    assert torch.isfinite(even)
    assert even < skewed


def test_queries_of_the_bank_have_their_attributes_group_and_captions_none():
    groups = torch.tensor([ATTRIBUTE_GROUPS["emotion"], ATTRIBUTE_GROUPS["emotion"], ATTRIBUTE_GROUPS["gender"], -1])
    said = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert groups_of(said, groups, 2).tolist() == [-1, -1, ATTRIBUTE_GROUPS["emotion"], ATTRIBUTE_GROUPS["gender"], -1]


def test_the_centre_follows_the_batches_in_training_alone(tiny_config, tmp_path):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(center_audio=True, projection_dropout=0.0))
    waveforms = torch.randn(4, 8000)
    model.train()
    for _ in range(400):
        with torch.no_grad():
            model.get_audio_features(waveforms)
    center = model.audio_center.clone()
    model.eval()
    with torch.no_grad():
        embeds = model.get_audio_features(waveforms).pooler_output
    assert torch.equal(model.audio_center, center)
    assert embeds.mean(0).abs().max() < 0.25 * (embeds + center).mean(0).abs().max()
    model.save_pretrained(tmp_path)
    assert torch.equal(ParaClapModel.from_pretrained(tmp_path).audio_center, center)


def test_kept_states_of_a_frozen_text_tower_are_those_of_the_tower(tiny_config):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config()).freeze_towers("text").train()
    ids = torch.tensor([[5, 6, 7], [5, 6, 0], [5, 6, 7]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1]])
    states = FrozenTextStates(model)
    calls = []
    model.text_model.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(2):
        kept = model.get_text_features(text_states=states(ids, mask)).pooler_output
    assert len(calls) == 1
    assert len(states.states) == 2
    model.eval()
    torch.testing.assert_close(
        model.get_text_features(text_states=states(ids, mask)).pooler_output,
        model.get_text_features(ids, mask).pooler_output,
        atol=1e-5,
        rtol=0,
    )
    assert kept.shape == (3, model.config.projection_dim)


def test_texts_of_many_lengths_are_encoded_in_parts_with_the_same_states(tiny_config):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config()).freeze_towers("text").train()
    lengths = torch.randint(1, 3 * TOKENS, (3 * PART + 5,))
    mask = (torch.arange(lengths.max()) < lengths[:, None]).long()
    ids = torch.randint(5, 100, mask.shape) * mask
    widths = []
    model.text_model.register_forward_hook(lambda _, args, output: widths.append(output[0].shape[1]))
    states = FrozenTextStates(model)(ids, mask)
    assert widths == sorted(widths)
    assert set(widths) == {TOKENS, 2 * TOKENS, 3 * TOKENS}
    assert len(widths) >= 4
    with torch.no_grad():
        expected = model.pool_text(model.text_model(ids, attention_mask=mask).last_hidden_state, mask)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_state_depends_on_its_text_alone(tiny_config, bfloat16):
    """To the last bit, because a resumed run meets the texts in other batches than an undisturbed one."""
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config()).freeze_towers("text").train()
    lengths = torch.randint(1, 40, (45,))
    mask = (torch.arange(lengths.max()) < lengths[:, None]).long()
    ids = torch.randint(5, 100, mask.shape) * mask
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        together = FrozenTextStates(model)(ids, mask)
        resumed, order = FrozenTextStates(model), torch.randperm(45)
        for part in order.split(7):
            assert torch.equal(resumed(ids[part], mask[part]), together[part])


def test_texts_as_long_as_the_encoder_takes_are_not_padded_beyond(tiny_config):
    model = ParaClapModel(tiny_config()).freeze_towers("text").train()
    model.text_model.config.max_position_embeddings = 21
    ids, mask = torch.full((1, 19), 5), torch.ones(1, 19, dtype=torch.long)
    widths = []
    model.text_model.register_forward_hook(lambda _, args, output: widths.append(output[0].shape[1]))
    FrozenTextStates(model)(ids, mask)
    assert widths == [21]


def test_under_autocast_the_states_are_the_same_and_the_tower_keeps_its_weights(tiny_config):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config()).freeze_towers("text").train()
    ids, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.long)
    frozen = FrozenTextStates(model)
    with torch.no_grad():  # as a checkpoint that is loaded after the step was made
        model.text_model.embeddings.word_embeddings.weight.mul_(3)
    with torch.autocast("cpu", torch.bfloat16):
        states = frozen(ids, mask)
        with torch.no_grad():
            hidden = model.text_model(ids, attention_mask=mask).last_hidden_state
            torch.testing.assert_close(states, model.pool_text(hidden, mask).float(), atol=0.05, rtol=0)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert torch.bfloat16 in {weight.dtype for weight in frozen.tower.parameters()}


def test_noise_on_kept_states_is_new_each_time_and_as_long_as_asked(tiny_config):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config()).freeze_towers("text").train()
    ids, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.long)
    (clean,) = FrozenTextStates(model)(ids, mask)
    noisy = FrozenTextStates(model, noise=0.5)
    added = torch.stack([noisy(ids, mask)[0] for _ in range(300)]) - clean
    assert len(added.unique(dim=0)) == 300
    assert added.std() == pytest.approx(0.5 * clean.std().item(), rel=0.05)
    assert added.mean(0).abs().max() < 0.2 * clean.std()
    assert torch.equal(next(iter(noisy.states.values())), clean)  # what is kept stays clean


def test_an_unknown_loss_names_the_known_ones(tiny_config):
    with pytest.raises(ValueError, match="contrastive, multi_positive, sigmoid, grouped"):
        tiny_config(loss_type="triplet")
