"""What transformers' common tests ask of its own composite models, asked of ParaCLAP."""

import copy
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.towers import AUDIO_CONFIGS, batch
from transformers.initialization import no_init_weights
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from modeling_paraclap import ParaClapAudioConfig, ParaClapAudioModel, ParaClapModel, ParaClapWhisperModel

ROOT = Path(__file__).resolve().parents[2]
WHISPER_TOWER = AUDIO_CONFIGS["whisper"]
OWN_TOWER = ParaClapAudioConfig(conv_dim=(16, 16, 16), hidden_size=32, num_hidden_layers=1, intermediate_size=48)


@pytest.fixture
def saved(tiny_model, tmp_path):
    """The folder of `tiny_model`."""
    tiny_model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def without(model, keys):
    """The model's weights but for those whose name holds one of these."""
    return {name: value for name, value in model.state_dict().items() if not any(key in name for key in keys)}


# ---------------------------------------------------------------------------------------------- save, load, initialise


@torch.no_grad()
@pytest.mark.parametrize(
    "keys",
    [["audio_projection"], ["audio_model.encoder.layers.1"], ["word_embeddings"], ["text_", "projection.l", "logit"]],
)
def test_missing_weights_are_reported_and_initialised_as_in_a_new_model(tiny_model, tiny_config, tmp_path, keys):
    for parameter in tiny_model.parameters():
        parameter.fill_(7.0)
    kept = without(tiny_model, keys)
    tiny_model.save_pretrained(tmp_path, state_dict=dict(kept))  # which it empties
    loaded, info = ParaClapModel.from_pretrained(tmp_path, output_loading_info=True)
    assert set(info["missing_keys"]) == set(tiny_model.state_dict()) - set(kept)
    torch.manual_seed(3)
    new = dict(ParaClapModel(tiny_config()).named_parameters())
    for name, parameter in loaded.named_parameters():
        if name in kept:
            assert (parameter == 7).all(), name
        elif new[name].numel() < 100 or new[name].std() == 0:  # biases, norms, the temperature
            assert (parameter - new[name]).abs().max() < 1, name
        else:
            assert parameter.std().item() == pytest.approx(new[name].std().item(), rel=0.3), name
            assert abs(parameter.mean() - new[name].mean()) < 0.3 * new[name].std() + 1e-4, name


def test_unexpected_weights_are_reported_and_misshapen_ones_refused(tiny_model, tmp_path):
    weights = tiny_model.state_dict()
    tiny_model.save_pretrained(tmp_path, state_dict=weights | {"text_model.pooler.dense.bias": torch.zeros(32)})
    loaded, info = ParaClapModel.from_pretrained(tmp_path, output_loading_info=True)
    assert set(info["unexpected_keys"]) == {"text_model.pooler.dense.bias"}
    assert not info["missing_keys"]
    assert torch.equal(loaded.logit_scale, tiny_model.logit_scale)
    misshapen = weights | {"audio_projection.linear1.weight": torch.zeros(24, 31)}
    tiny_model.save_pretrained(tmp_path, state_dict=misshapen)
    with pytest.raises(RuntimeError, match="size|shape"):
        ParaClapModel.from_pretrained(tmp_path)
    _, info = ParaClapModel.from_pretrained(tmp_path, ignore_mismatched_sizes=True, output_loading_info=True)
    assert [key for key, *_ in info["mismatched_keys"]] == ["audio_projection.linear1.weight"]


@torch.no_grad()
def test_several_files_of_weights_are_the_same_model(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path, max_shard_size="30KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 3
    loaded = ParaClapModel.from_pretrained(tmp_path)
    assert torch.equal(loaded(**batch()).logits_per_audio, tiny_model(**batch()).logits_per_audio)


def test_no_weights_are_tied_and_none_is_stored_twice(tiny_model):
    assert not tiny_model.all_tied_weights_keys
    pointers = [value.data_ptr() for value in tiny_model.state_dict().values()]
    assert len(set(pointers)) == len(pointers)


@torch.no_grad()
def test_the_same_seed_gives_the_same_model_and_the_same_input_the_same_output(tiny_config):
    models = []
    for _ in range(2):
        torch.manual_seed(11)
        models.append(ParaClapModel(tiny_config()).eval())
    outputs = [model(**batch()).logits_per_audio for model in (models[0], models[0], models[1])]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    models[0].train()  # there is dropout to switch off
    assert not torch.equal(models[0](**batch()).logits_per_audio, outputs[0])


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.3), (torch.float16, 0.05)])
def test_half_precision_runs_and_is_close(saved, tiny_model, dtype, tolerance):
    low = ParaClapModel.from_pretrained(saved, dtype=dtype)
    inputs = batch()
    inputs["input_values"] = inputs["input_values"].to(dtype)
    logits = low(**inputs).logits_per_audio
    assert logits.dtype == dtype
    torch.testing.assert_close(logits.float(), tiny_model(**batch()).logits_per_audio, atol=tolerance, rtol=0)


@torch.no_grad()
def test_token_embeddings_can_be_resized(tiny_model, tmp_path):
    before = tiny_model(**batch()).text_embeds
    tiny_model.resize_token_embeddings(410, mean_resizing=False)
    assert tiny_model.config.text_config.vocab_size == 410
    assert torch.equal(tiny_model(**batch()).text_embeds, before)
    tiny_model.save_pretrained(tmp_path)
    loaded = ParaClapModel.from_pretrained(tmp_path)
    assert loaded.get_input_embeddings().weight.shape == (410, 32)
    inputs = batch() | {"input_ids": torch.full((3, 6), 409)}
    assert torch.equal(loaded(**inputs).text_embeds, tiny_model(**inputs).text_embeds)


# ------------------------------------------------------------------------------------------------------------ freezing


def test_frozen_towers_neither_learn_nor_drop_out(tiny_model):
    tiny_model.train()
    tiny_model.freeze_towers("text")
    assert tiny_model.training
    assert tiny_model.audio_model.training
    assert not tiny_model.text_model.training
    assert not any(parameter.requires_grad for parameter in tiny_model.text_model.parameters())
    tiny_model(**batch(), return_loss=True).loss.backward()
    assert all(p.grad is not None for p in tiny_model.text_projection.parameters())
    assert all((p.grad is None) == n.startswith("text_model.") for n, p in tiny_model.named_parameters())
    tiny_model.eval()
    tiny_model.train()
    assert tiny_model.audio_model.training
    assert not tiny_model.text_model.encoder.layer[0].training
    tiny_model.freeze_towers("audio", "text")
    assert not tiny_model.audio_model.training
    tiny_model.freeze_towers()
    assert tiny_model.text_model.training
    assert all(p.requires_grad for p in tiny_model.parameters())
    with pytest.raises(ValueError, match="Unknown tower 'audio_model': expected 'audio' or 'text'"):
        tiny_model.freeze_towers("audio_model")


# ----------------------------------------------------------------------------------------------------------- attention


@torch.no_grad()
@pytest.mark.parametrize("name", ["hubert", "data2vec-audio", "unispeech-sat", "sew", "whisper"])
def test_eager_and_sdpa_agree_in_every_encoder_that_has_both(name, tiny_config, tmp_path):
    torch.manual_seed(0)
    ParaClapModel(tiny_config(audio_config=AUDIO_CONFIGS[name])).save_pretrained(tmp_path)
    outputs = []
    for attention in ("eager", "sdpa"):
        model = ParaClapModel.from_pretrained(tmp_path, attn_implementation=attention)
        assert model.audio_model.config._attn_implementation == attention
        outputs.append(model(**batch()))
    torch.testing.assert_close(outputs[0].audio_embeds, outputs[1].audio_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs[0].text_embeds, outputs[1].text_embeds, atol=1e-5, rtol=0)


@torch.no_grad()
def test_each_tower_can_have_its_own_attention(saved, tiny_config, tmp_path):
    model = ParaClapModel.from_pretrained(saved, attn_implementation={"audio_config": "eager", "text_config": "sdpa"})
    assert model.audio_model.config._attn_implementation == "eager"
    assert model.text_model.config._attn_implementation == "sdpa"
    # WavLM's own attention takes no other implementation; the text tower still gets the fast one.
    ParaClapModel(tiny_config(audio_config=AUDIO_CONFIGS["wavlm"])).save_pretrained(tmp_path)
    model = ParaClapModel.from_pretrained(tmp_path)
    assert model.audio_model.config._attn_implementation == "eager"
    assert model.text_model.config._attn_implementation == "sdpa"


@torch.no_grad()
def test_any_attention_that_transformers_knows_reaches_both_towers(saved, tiny_model):
    """Flash attention needs a GPU: here a registered function stands in for it, reached by the same way."""
    calls = []

    def recording(module, *args, **kwargs):
        calls.append(type(module).__name__)
        return ALL_ATTENTION_FUNCTIONS["sdpa"](module, *args, **kwargs)

    ALL_ATTENTION_FUNCTIONS.register("recording", recording)
    try:
        model = ParaClapModel.from_pretrained(saved, attn_implementation="recording")
        inputs = {key: value for key, value in batch().items() if key in ("input_ids", "input_values")}
        logits = model(**inputs).logits_per_audio
    finally:
        del ALL_ATTENTION_FUNCTIONS._global_mapping["recording"]
    assert calls == ["Wav2Vec2Attention"] * 2 + ["BertSelfAttention"] * 2
    torch.testing.assert_close(logits, tiny_model(**inputs).logits_per_audio)


def test_flash_attention_without_its_package_says_so(saved):
    assert ParaClapModel._supports_flash_attn
    with pytest.raises(ImportError, match="FlashAttention2"):
        ParaClapModel.from_pretrained(saved, attn_implementation="flash_attention_2")


@torch.no_grad()
@pytest.mark.skipif(not torch.cuda.is_available(), reason="flash attention needs a GPU")
def test_flash_attention_agrees_with_sdpa(saved):
    pytest.importorskip("flash_attn")
    embeds = []
    for attention in ("sdpa", "flash_attention_2"):
        model = ParaClapModel.from_pretrained(saved, attn_implementation=attention, dtype=torch.bfloat16).cuda()
        inputs = {key: value.cuda() for key, value in batch().items()}
        inputs["input_values"] = inputs["input_values"].bfloat16()
        embeds.append(model(**inputs).audio_embeds.float())
    torch.testing.assert_close(*embeds, atol=0.05, rtol=0)


@torch.no_grad()
def test_hidden_states_and_attentions_through_the_feature_methods(tiny_model):
    tiny_model.set_attn_implementation("eager")
    wanted = dict(output_hidden_states=True, output_attentions=True)
    inputs = batch()
    audio = tiny_model.get_audio_features(inputs["input_values"], inputs["padding_mask"], **wanted)
    text = tiny_model.get_text_features(inputs["input_ids"], inputs["attention_mask"], **wanted)
    frames = audio.last_hidden_state.shape[1]
    assert [tuple(state.shape) for state in audio.hidden_states] == [(3, frames, 32)] * 3
    assert [tuple(weights.shape) for weights in audio.attentions] == [(3, 2, frames, frames)] * 2
    assert [tuple(weights.shape) for weights in text.attentions] == [(3, 2, 6, 6)] * 2
    assert isinstance(tiny_model.get_text_features(inputs["input_ids"], return_dict=False), tuple)


# ---------------------------------------------------------------------------------------------- devices and processes


@torch.no_grad()
@pytest.mark.parametrize(
    ("device_map", "on_disk"),
    [
        ("cpu", False),
        (
            dict.fromkeys(("text_model", "audio_projection", "text_projection", "logit_scale"), "cpu")
            | {"audio_model": "disk"},
            True,
        ),
        ("auto", True),  # all that the memory does not hold
    ],
)
def test_device_map_and_offloading_to_disk(saved, tiny_model, tmp_path, device_map, on_disk):
    memory = {"cpu": "90KB"} if device_map == "auto" else None
    model = ParaClapModel.from_pretrained(
        saved, device_map=device_map, max_memory=memory, offload_folder=tmp_path / "off"
    )
    assert any(parameter.is_meta for parameter in model.parameters()) == on_disk
    assert torch.equal(model(**batch()).logits_per_audio, tiny_model(**batch()).logits_per_audio)
    features = model.get_audio_features(batch()["input_values"]).pooler_output
    assert torch.equal(features, tiny_model.get_audio_features(batch()["input_values"]).pooler_output)


@torch.no_grad()
def test_both_towers_compile_without_a_break_in_the_graph(saved, tiny_model):
    """Traced as for inductor, whose C++ takes a minute to compile; benchmarks/inference.py runs that."""
    compiled = ParaClapModel.from_pretrained(saved).eval()
    for tower in (compiled.audio_model, compiled.text_model):
        tower.compile(dynamic=True, fullgraph=True, backend="aot_eager")
    for n, samples in ((2, 8000), (2, 9123), (3, 12001)):
        inputs = {name: value[:n] for name, value in batch(3, samples).items()}
        found, expected = compiled(**inputs), tiny_model(**inputs)
        torch.testing.assert_close(found.logits_per_audio, expected.logits_per_audio, atol=1e-5, rtol=1e-5)
    assert list(compiled.state_dict()) == list(tiny_model.state_dict())  # saves under the same names


DDP_SCRIPT = """
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from modeling_paraclap import ParaClapModel

dist.init_process_group("gloo")
rank = dist.get_rank()
for loss_type, frozen in (("contrastive", ()), ("sigmoid", ("text",)), ("multi_positive", ("audio",))):
    model = ParaClapModel.from_pretrained(sys.argv[1], loss_type=loss_type).train()
    model.freeze_towers(*frozen)
    # An unused parameter would end the second step with an error.
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)
    torch.manual_seed(rank)  # each process has its own batch
    for step in range(3):
        optimizer.zero_grad()
        inputs = dict(input_ids=torch.randint(5, 300, (2, 6)), input_values=torch.randn(2, 4000))
        parallel(**inputs, return_loss=True).loss.backward()
        optimizer.step()
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    others = [torch.zeros_like(flat) for _ in range(2)]
    dist.all_gather(others, flat)
    assert torch.equal(*others), loss_type
    assert dist.get_world_size() == 2
print("rank", rank, "done")
del parallel  # as the group's last owner it could wait for the group's threads for ever
dist.destroy_process_group()
"""


def test_two_processes_train_in_step_without_unused_parameters(saved, tmp_path):
    (tmp_path / "train.py").write_text(DDP_SCRIPT)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(tmp_path / "train.py"), str(saved)], env=env, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done") == 2  # the two may write into one another's line


# ------------------------------------------------------------ what transformers' own common tests found (5.24's sdist)


def test_the_main_input_is_the_first_that_forward_takes(tiny_config):
    """Transformers' tests of attention, hooks and token counts give a model this input and a mask of its shape."""
    for model in (ParaClapModel(tiny_config()), ParaClapAudioModel(OWN_TOWER), ParaClapWhisperModel(WHISPER_TOWER)):
        assert list(inspect.signature(model.forward).parameters)[0] == model.main_input_name


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("tower", ["wav2vec2", "whisper", "paraclap_audio"])
def test_eager_and_sdpa_agree_whatever_side_texts_are_padded_on(tower, padding_side, dtype, tiny_config, tmp_path):
    torch.manual_seed(0)
    audio = {"whisper": {"audio_config": WHISPER_TOWER}, "paraclap_audio": {"audio_config": OWN_TOWER}}.get(tower, {})
    ParaClapModel(tiny_config(**audio, text_pooling="mean")).save_pretrained(tmp_path)
    inputs = batch(samples=16000)
    inputs["attention_mask"] = torch.ones_like(inputs["attention_mask"])
    inputs["attention_mask"][-1, slice(0, 2) if padding_side == "left" else slice(-2, None)] = 0
    wanted = dict(output_hidden_states=True)
    first, second = (
        ParaClapModel.from_pretrained(tmp_path, attn_implementation=name, dtype=dtype)(**inputs, **wanted)
        for name in ("eager", "sdpa")
    )
    tolerance = dict(atol=1e-5, rtol=1e-4) if dtype == torch.float32 else dict(atol=0.05, rtol=0.05)
    for name in ("audio_embeds", "text_embeds"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), **tolerance)


@pytest.mark.parametrize("tower", ["whisper", "paraclap_audio"])
def test_buffers_are_right_from_the_start_and_from_the_meta_device(tower, tiny_config):
    """A model is made without initialisation where weights follow: what is no weight has to be there by then."""
    config = tiny_config(audio_config=WHISPER_TOWER if tower == "whisper" else OWN_TOWER)
    with no_init_weights():
        made = dict(ParaClapModel(config).named_buffers())
    with torch.device("meta"):
        model = ParaClapModel(config)
    model.to_empty(device="cpu")
    model.init_weights()
    filled = {name: value for name, value in model.named_buffers() if value.is_floating_point()}
    assert len(filled) == 2
    for name, value in filled.items():
        assert value.abs().max() > 0, name
        assert torch.equal(value, made[name]), name


@pytest.mark.parametrize("tower", ["whisper", "paraclap_audio"])
@pytest.mark.parametrize("samples", [600, 2000, 40_000])
def test_spec_augment_leaves_batches_alone_that_are_shorter_than_a_mask(tower, samples, tiny_config):
    config = tiny_config(audio_config=copy.deepcopy(WHISPER_TOWER if tower == "whisper" else OWN_TOWER))
    config.audio_config.update({"apply_spec_augment": True, "mask_time_prob": 0.9, "mask_time_length": 20})
    config.audio_config.update({"attention_dropout": 0.0, "activation_dropout": 0.0})
    model = ParaClapModel(config).train()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    model.audio_model.config.timbre_dropout = 0.0
    inputs = batch(2) | {"input_values": torch.randn(2, samples), "padding_mask": None}
    outputs = [model(**inputs, return_loss=True) for _ in range(2)]
    outputs[0].loss.backward()
    gradients = [name for name, value in model.named_parameters() if value.grad is None]
    assert gradients == []  # a parameter without one would stop DDP
    masked = not torch.equal(outputs[0].audio_embeds, outputs[1].audio_embeds)
    assert masked == (samples == 40_000)
