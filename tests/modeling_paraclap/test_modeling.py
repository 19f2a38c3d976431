"""The model: what it computes, and that saving, loading, padding, dtype and tower do not change it."""

import json
import math

import pytest
import torch
from helpers.towers import AUDIO_CONFIGS, SIZE, TEXT_CONFIGS, batch
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    Wav2Vec2Model,
)

from modeling_paraclap import ParaClapConfig, ParaClapModel
from modeling_paraclap.losses_paraclap import contrastive_loss, multi_positive_loss, same_captions, sigmoid_loss


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float32])
def test_a_mask_of_numbers_means_the_same(tiny_model, dtype):
    inputs = batch()
    expected = tiny_model(**inputs).logits_per_audio
    inputs["padding_mask"] = inputs["padding_mask"].to(dtype)
    assert torch.equal(tiny_model(**inputs).logits_per_audio, expected)


@torch.no_grad()
def test_forward_is_the_papers_equations(tiny_model):
    inputs = batch()
    out = tiny_model(**inputs, return_loss=True)
    assert torch.allclose(out.audio_embeds.norm(dim=1), torch.ones(3), atol=1e-6)
    logits = math.exp(2.6592) * out.audio_embeds @ out.text_embeds.t()
    assert torch.allclose(out.logits_per_audio, logits, atol=1e-4)
    assert torch.equal(out.logits_per_text, out.logits_per_audio.t())
    per_audio = -torch.log(torch.diag(torch.softmax(logits, 1))).mean()
    per_text = -torch.log(torch.diag(torch.softmax(logits, 0))).mean()
    assert torch.isclose(out.loss, 0.5 * (per_audio + per_text), atol=1e-5)


@torch.no_grad()
def test_projection_is_the_authors(tiny_model):
    x, projection = torch.randn(4, 32), tiny_model.audio_projection
    e = x @ projection.linear1.weight.t()
    expected = F.layer_norm(e + F.gelu(e) @ projection.linear2.weight.t(), (24,))
    assert torch.allclose(projection(x), expected, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_batch_equals_one_by_one(tiny_config, pooling):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(text_pooling=pooling)).eval()
    inputs = batch()
    together = model(**inputs)
    for row in range(3):
        samples, tokens = inputs["padding_mask"][row].sum(), inputs["attention_mask"][row].sum()
        alone = model(
            input_ids=inputs["input_ids"][row : row + 1, :tokens],
            input_values=inputs["input_values"][row : row + 1, :samples],
        )
        assert torch.allclose(alone.audio_embeds[0], together.audio_embeds[row], atol=1e-5)
        assert torch.allclose(alone.text_embeds[0], together.text_embeds[row], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", AUDIO_CONFIGS)
def test_any_raw_waveform_encoder(name, tiny_config, tmp_path):
    torch.manual_seed(0)
    model = ParaClapModel(tiny_config(audio_config=AUDIO_CONFIGS[name])).eval()
    inputs = batch()
    together = model(**inputs).audio_embeds
    samples = inputs["padding_mask"][1].sum()
    alone = model.get_audio_features(inputs["input_values"][1:2, :samples]).pooler_output
    similarity = F.cosine_similarity(alone[0], together[1], dim=0)
    if name in ("data2vec-audio", "sew"):  # their stacked position and squeezing convolutions reach into the padding
        assert similarity > 0.9
    else:
        assert torch.allclose(F.normalize(alone, dim=-1)[0], together[1], atol=1e-5)
    model.save_pretrained(tmp_path)
    assert torch.equal(ParaClapModel.from_pretrained(tmp_path)(**inputs).audio_embeds, together)


@torch.no_grad()
@pytest.mark.parametrize("name", TEXT_CONFIGS)
def test_any_bert_like_text_encoder(name, tiny_config):
    model = ParaClapModel(tiny_config(text_config=TEXT_CONFIGS[name], text_pooling="mean")).eval()
    assert model(**batch()).text_embeds.shape == (3, 24)


@torch.no_grad()
def test_save_and_load_change_nothing(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.bin")) == []
    for auto_class in (ParaClapModel, AutoModel):
        loaded, info = auto_class.from_pretrained(tmp_path, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        assert torch.equal(loaded(**batch()).logits_per_audio, tiny_model(**batch()).logits_per_audio)


@torch.no_grad()
def test_a_missing_logit_scale_gets_its_initial_value(tiny_model, tmp_path):
    tiny_model.logit_scale.fill_(1.0)
    weights = {key: value for key, value in tiny_model.state_dict().items() if key != "logit_scale"}
    tiny_model.save_pretrained(tmp_path, state_dict=weights)
    loaded, info = ParaClapModel.from_pretrained(tmp_path, output_loading_info=True)
    assert set(info["missing_keys"]) == {"logit_scale"}
    assert loaded.logit_scale.item() == pytest.approx(2.6592)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_one_dtype_throughout_and_after_reloading(tiny_model, tmp_path, dtype):
    tiny_model.to(dtype).save_pretrained(tmp_path)
    loaded = ParaClapModel.from_pretrained(tmp_path, dtype="auto")
    assert {parameter.dtype for parameter in loaded.parameters()} == {dtype}
    # A configuration that was saved in half precision must not give a new model two dtypes.
    config = AutoConfig.from_pretrained(tmp_path)
    config.dtype = None
    assert {parameter.dtype for parameter in ParaClapModel(config).parameters()} == {torch.float32}


def test_every_parameter_gets_a_gradient(tiny_config):
    for loss_type in ("contrastive", "multi_positive", "sigmoid"):
        model = ParaClapModel(tiny_config(loss_type=loss_type)).train()
        model(**batch(), return_loss=True).loss.backward()
        unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert unused == []


def test_gradient_checkpointing_gives_the_same_gradients(tiny_model):
    gradients = []
    for checkpointing in (False, True):
        tiny_model.train().zero_grad()
        torch.manual_seed(7)  # the same dropout
        if checkpointing:
            tiny_model.gradient_checkpointing_enable()
        tiny_model(**batch(), return_loss=True).loss.backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in tiny_model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-3, atol=1e-5), name


@torch.no_grad()
def test_eager_attention_equals_sdpa(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path)
    outputs = []
    for attention in ("eager", "sdpa"):
        model = ParaClapModel.from_pretrained(tmp_path, attn_implementation=attention)
        assert model.audio_model.config._attn_implementation == attention
        outputs.append(model(**batch()).logits_per_audio)
    assert torch.allclose(*outputs, atol=1e-4)


@torch.no_grad()
def test_hidden_states_attentions_and_tuples(tiny_model):
    tiny_model.set_attn_implementation("eager")
    out = tiny_model(**batch(), output_hidden_states=True, output_attentions=True)
    assert len(out.audio_model_output.hidden_states) == len(out.text_model_output.hidden_states) == 3
    assert len(out.audio_model_output.attentions) == len(out.text_model_output.attentions) == 2
    as_tuple = tiny_model(**batch(), return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.allclose(as_tuple[0], out.logits_per_audio, atol=1e-5)


def test_multi_positive_loss_with_own_caption_only_is_the_contrastive_loss():
    logits = torch.randn(5, 5)
    assert torch.isclose(multi_positive_loss(logits, torch.eye(5)), contrastive_loss(logits))


def test_multi_positive_loss_does_not_push_equal_captions_apart():
    ids = torch.tensor([[5, 6, 0], [5, 6, 0], [7, 8, 9]])
    positives = same_captions(ids, (ids > 0).long())
    assert positives.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    logits = 20.0 * positives
    assert multi_positive_loss(logits, positives) == pytest.approx(2 / 3 * math.log(2), abs=1e-5)


def test_sigmoid_loss_counts_each_pair():
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    pairs = [math.log(1 + math.exp(-x)) for x in (1.0, 2.0, -0.5, 3.0)]
    assert sigmoid_loss(logits, torch.eye(2)) == pytest.approx(sum(pairs) / 2, abs=1e-5)


def test_given_positives_reach_the_loss(tiny_config):
    model = ParaClapModel(tiny_config(loss_type="multi_positive")).eval()
    everything = torch.ones(3, 3, dtype=torch.bool)
    assert model(**batch(), return_loss=True, positives=everything).loss != model(**batch(), return_loss=True).loss


def test_loss_of_unequal_numbers_says_so(tiny_model):
    inputs = batch()
    inputs["input_ids"], inputs["attention_mask"] = inputs["input_ids"][:2], inputs["attention_mask"][:2]
    with pytest.raises(ValueError, match="there are 3 and 2 captions"):
        tiny_model(**inputs, return_loss=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text_pooling": "max"}, "text_pooling is 'max'; choose one of cls, mean"),
        ({"loss_type": "triplet"}, "loss_type is 'triplet'"),
        ({"hypothesis_template": "speaker is"}, "has no {} for the label"),
        ({"projection_dropout": 1.5}, "must lie in"),
        ({"audio_config": {"model_type": "nonsense"}}, "audio_config has model_type 'nonsense'"),
    ],
)
def test_config_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ParaClapConfig(**arguments)


def test_default_config_has_the_papers_sizes():
    config = ParaClapConfig()
    assert (config.audio_config.hidden_size, config.audio_config.num_hidden_layers) == (1024, 12)
    assert (config.text_config.hidden_size, config.projection_dim) == (768, 768)
    with torch.device("meta"):
        model = ParaClapModel(config)
    # 276.3 M in the authors' file, with BERT's pooler (590,592) and the mask embedding (1,024) that nothing uses
    assert sum(p.numel() for p in model.parameters()) + 590_592 + 1_024 == pytest.approx(276.3e6, rel=1e-3)


@torch.no_grad()
def test_pretrained_encoders_keep_their_weights(tiny_config, tmp_path):
    config = tiny_config()
    config.audio_config.apply_spec_augment = True
    torch.manual_seed(3)
    audio, text = Wav2Vec2Model(config.audio_config).eval(), BertModel(config.text_config).eval()
    audio.save_pretrained(tmp_path / "audio")
    text.save_pretrained(tmp_path / "text")
    model = ParaClapModel.from_encoders_pretrained(
        tmp_path / "audio", tmp_path / "text", apply_spec_augment=False, text_pooling="mean", projection_dim=24
    ).eval()
    inputs = batch()
    states = model.get_audio_features(inputs["input_values"]).last_hidden_state
    assert torch.allclose(states, audio(inputs["input_values"]).last_hidden_state, atol=1e-6)
    states = model.get_text_features(inputs["input_ids"]).last_hidden_state
    assert torch.allclose(states, text(inputs["input_ids"]).last_hidden_state, atol=1e-6)
    assert not hasattr(model.audio_model, "masked_spec_embed")
    assert model.config.text_pooling == "mean"


def test_a_pretrained_tower_of_another_shape_is_an_error(tiny_model):
    with pytest.raises(RuntimeError, match="Missing key|size mismatch|Unexpected key"):
        tiny_model.load_tower("text", BertModel(BertConfig(vocab_size=400, **SIZE)))


def test_release_folder_is_complete(tiny_release):
    names = {path.name for path in tiny_release.iterdir()}
    assert {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json"} <= names
    assert {"configuration_paraclap.py", "modeling_paraclap.py", "pipeline_paraclap.py", "audio_paraclap.py"} <= names
    config = json.loads((tiny_release / "config.json").read_text(encoding="utf-8"))
    assert config["auto_map"] == {
        "AutoConfig": "configuration_paraclap.ParaClapConfig",
        "AutoModel": "modeling_paraclap.ParaClapModel",
    }
    impl = config["custom_pipelines"]["zero-shot-audio-classification"]["impl"]
    assert impl == "pipeline_paraclap.ParaClapZeroShotAudioClassificationPipeline"
