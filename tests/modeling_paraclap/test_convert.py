"""The authors' checkpoint converted: the same embeddings as a plain-torch forward of their architecture.

That forward is written here from the description of the architecture, on the names and values of the checkpoint, so
that it shares nothing with transformers' encoders. Sizes are small.
"""

import io
import json
import math

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModel, AutoProcessor, BertConfig, Wav2Vec2Config, pipeline

from modeling_paraclap import ParaClapConfig
from modeling_paraclap.checkpoint_paraclap import CheckpointError, hash_file
from modeling_paraclap.convert_paraclap_checkpoint import convert, load_tokenizer, main, read_checkpoint

HIDDEN, TEXT_HIDDEN, FEED_FORWARD, HEADS, LAYERS, PROJECTION = 32, 24, 48, 4, 2, 20
CONVOLUTIONS = [(10, 5, 16), (3, 2, 16), (3, 2, 20)]  # kernel, stride, channels
POSITION_KERNEL, POSITION_GROUPS = 8, 4
POSITION = "audio_branch.base.encoder.pos_conv_embed.conv."
SPELLINGS = {
    "hooks": ("weight_g", "weight_v"),
    "parametrizations": ("parametrizations.weight.original0", "parametrizations.weight.original1"),
}


# ------------------------------------------------------------------------------------------- the authors' architecture


def linear(w, name, x):
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def layer_norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def attention(q, k, v, valid=None):
    """Softmax attention of HEADS heads; q, k, v (batch, time, hidden), valid (batch, time) booleans."""
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if valid is not None:
        scores = scores.masked_fill(~valid[:, None, None], -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def audio_states(w, samples):
    """wav2vec 2.0 large: layer-normed convolutions, weight-normed positions, layer norm before each block."""
    base = "audio_branch.base."
    x = samples[:, None]
    for i, (_, stride, _) in enumerate(CONVOLUTIONS):
        name = f"{base}feature_extractor.conv_layers.{i}"
        x = F.conv1d(x, w[f"{name}.conv.weight"], w[f"{name}.conv.bias"], stride=stride)
        x = F.gelu(layer_norm(w, f"{name}.layer_norm", x.transpose(1, 2), 1e-5).transpose(1, 2))
    x = layer_norm(w, f"{base}feature_projection.layer_norm", x.transpose(1, 2), 1e-5)
    x = linear(w, f"{base}feature_projection.projection", x)
    g, v = next((w[POSITION + g], w[POSITION + v]) for g, v in SPELLINGS.values() if POSITION + g in w)
    kernel = g * v / v.pow(2).sum((0, 1), keepdim=True).sqrt()
    padding = POSITION_KERNEL // 2
    positions = F.conv1d(x.transpose(1, 2), kernel, w[POSITION + "bias"], padding=padding, groups=POSITION_GROUPS)
    x = x + F.gelu(positions[..., :-1]).transpose(1, 2)  # an even kernel gives one frame too many
    for i in range(LAYERS):
        name = f"{base}encoder.layers.{i}"
        h = layer_norm(w, f"{name}.layer_norm", x, 1e-5)
        h = attention(*(linear(w, f"{name}.attention.{part}_proj", h) for part in "qkv"))
        x = x + linear(w, f"{name}.attention.out_proj", h)
        h = layer_norm(w, f"{name}.final_layer_norm", x, 1e-5)
        h = F.gelu(linear(w, f"{name}.feed_forward.intermediate_dense", h))
        x = x + linear(w, f"{name}.feed_forward.output_dense", h)
    return layer_norm(w, f"{base}encoder.layer_norm", x, 1e-5)


def text_states(w, tokens, valid):
    """BERT: layer norm after each block."""
    base = "text_branch.base."
    x = w[f"{base}embeddings.word_embeddings.weight"][tokens]
    x = x + w[f"{base}embeddings.position_embeddings.weight"][: tokens.shape[1]]
    x = x + w[f"{base}embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(w, f"{base}embeddings.LayerNorm", x, 1e-12)
    for i in range(LAYERS):
        name = f"{base}encoder.layer.{i}"
        parts = [linear(w, f"{name}.attention.self.{part}", x) for part in ("query", "key", "value")]
        h = linear(w, f"{name}.attention.output.dense", attention(*parts, valid))
        x = layer_norm(w, f"{name}.attention.output.LayerNorm", x + h, 1e-12)
        h = linear(w, f"{name}.output.dense", F.gelu(linear(w, f"{name}.intermediate.dense", x)))
        x = layer_norm(w, f"{name}.output.LayerNorm", x + h, 1e-12)
    return x


def projected(w, name, x):
    """`LayerNorm(e + W2 gelu(e))` with `e = W1 x`, then unit length."""
    e = linear(w, f"{name}.linear1", x)
    e = layer_norm(w, f"{name}.layer_norm", e + linear(w, f"{name}.linear2", F.gelu(e)), 1e-5)
    return e / e.norm(dim=-1, keepdim=True)


# ------------------------------------------------------------------------------------------------- a small checkpoint


def authors_shapes(vocabulary, spelling):
    """Name -> shape of every key of the authors' file, at the sizes above."""
    audio, text = "audio_branch.base.", "text_branch.base."
    g, v = SPELLINGS[spelling]
    shapes = {"logit_scale": (), f"{audio}masked_spec_embed": (HIDDEN,)}

    def add(name, *shape, bias=True):
        shapes[f"{name}.weight"] = shape
        if bias:
            shapes[f"{name}.bias"] = shape[:1]

    channels = 1
    for i, (kernel, _, width) in enumerate(CONVOLUTIONS):
        add(f"{audio}feature_extractor.conv_layers.{i}.conv", width, channels, kernel)
        add(f"{audio}feature_extractor.conv_layers.{i}.layer_norm", width)
        channels = width
    add(f"{audio}feature_projection.layer_norm", channels)
    add(f"{audio}feature_projection.projection", HIDDEN, channels)
    shapes |= {f"{POSITION}{g}": (1, 1, POSITION_KERNEL), f"{POSITION}bias": (HIDDEN,)}
    shapes[f"{POSITION}{v}"] = (HIDDEN, HIDDEN // POSITION_GROUPS, POSITION_KERNEL)
    add(f"{audio}encoder.layer_norm", HIDDEN)
    for i in range(LAYERS):
        name = f"{audio}encoder.layers.{i}."
        for part in ("q", "k", "v", "out"):
            add(f"{name}attention.{part}_proj", HIDDEN, HIDDEN)
        add(f"{name}layer_norm", HIDDEN)
        add(f"{name}final_layer_norm", HIDDEN)
        add(f"{name}feed_forward.intermediate_dense", FEED_FORWARD, HIDDEN)
        add(f"{name}feed_forward.output_dense", HIDDEN, FEED_FORWARD)
        name = f"{text}encoder.layer.{i}."
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            add(f"{name}attention.{part}", TEXT_HIDDEN, TEXT_HIDDEN)
        add(f"{name}attention.output.LayerNorm", TEXT_HIDDEN)
        add(f"{name}intermediate.dense", FEED_FORWARD, TEXT_HIDDEN)
        add(f"{name}output.dense", TEXT_HIDDEN, FEED_FORWARD)
        add(f"{name}output.LayerNorm", TEXT_HIDDEN)
    for name, rows in {"word": vocabulary, "position": 64, "token_type": 2}.items():
        add(f"{text}embeddings.{name}_embeddings", rows, TEXT_HIDDEN, bias=False)
    add(f"{text}embeddings.LayerNorm", TEXT_HIDDEN)
    add(f"{text}pooler.dense", TEXT_HIDDEN, TEXT_HIDDEN)
    for name, size in {"audio": HIDDEN, "text": TEXT_HIDDEN}.items():
        add(f"{name}_projection.linear1", PROJECTION, size, bias=False)
        add(f"{name}_projection.linear2", PROJECTION, PROJECTION, bias=False)
        add(f"{name}_projection.layer_norm", PROJECTION)
    return shapes


def authors_weights(vocabulary, spelling):
    """Random values under the authors' names; norms near 1, and `position_ids` as older BERTs have it."""
    generator = torch.Generator().manual_seed(5)
    weights = {}
    for name, shape in sorted(authors_shapes(vocabulary, "hooks").items()):
        value = torch.randn(shape, generator=generator)
        one = name.endswith(("ayer_norm.weight", "LayerNorm.weight"))
        weights[name] = 1 + 0.2 * value if one else 0.4 * value
    weights["logit_scale"] = torch.tensor(2.9)
    weights["text_branch.base.embeddings.position_ids"] = torch.arange(64)[None]
    for old, new in zip(SPELLINGS["hooks"], SPELLINGS[spelling], strict=True):
        weights[POSITION + new] = weights.pop(POSITION + old)
    return weights


@pytest.fixture(scope="module")
def tokenizer(tiny_processor, tmp_path_factory):
    """The folder of a tokenizer, and the number of its tokens."""
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_processor.tokenizer.save_pretrained(folder)
    return str(folder), len(tiny_processor.tokenizer)


@pytest.fixture
def small_config(tokenizer):
    """What `ParaClapConfig()` is for the authors' file, at the sizes above."""
    kernels, strides, widths = zip(*CONVOLUTIONS, strict=True)
    audio = Wav2Vec2Config(
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=FEED_FORWARD,
        conv_kernel=kernels,
        conv_stride=strides,
        conv_dim=widths,
        num_conv_pos_embeddings=POSITION_KERNEL,
        num_conv_pos_embedding_groups=POSITION_GROUPS,
        **{
            key: getattr(ParaClapConfig().audio_config, key)
            for key in ("feat_extract_norm", "conv_bias", "do_stable_layer_norm", "layerdrop", "apply_spec_augment")
        },
    )
    text = BertConfig(
        vocab_size=tokenizer[1],
        hidden_size=TEXT_HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=FEED_FORWARD,
        max_position_embeddings=64,
    )
    return ParaClapConfig(audio_config=audio, text_config=text, projection_dim=PROJECTION)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_embeddings_are_the_authors(spelling, small_config, tokenizer, tmp_path, capsys):
    weights = authors_weights(tokenizer[1], spelling)
    torch.save(weights, tmp_path / "best.pth.tar")
    convert(tmp_path / "best.pth.tar", tmp_path / "release", tokenizer[0], config=small_config)
    printed = capsys.readouterr().out
    assert f"sha256 {hash_file(tmp_path / 'best.pth.tar')}" in printed
    assert f"{len(weights)} keys: {len(weights) - 4} used, 4 dropped" in printed
    for key in ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"):
        assert f"dropped text_branch.base.{key}:" in printed
    assert "dropped audio_branch.base.masked_spec_embed:" in printed

    model = AutoModel.from_pretrained(tmp_path / "release")
    processor = AutoProcessor.from_pretrained(tmp_path / "release")
    assert processor.feature_extractor.do_normalize is False
    assert processor.tokenizer.model_max_length == 64
    samples = 0.1 * torch.randn(2, 1500, generator=torch.Generator().manual_seed(1))
    texts = processor(text=["speaker is angry", "a low calm female has a high"], return_tensors="pt")
    expected_audio = projected(weights, "audio_projection", audio_states(weights, samples).mean(1))
    states = text_states(weights, texts["input_ids"], texts["attention_mask"] == 1)
    expected_text = projected(weights, "text_projection", states[:, 0])
    assert F.cosine_similarity(*expected_audio, dim=0) < 0.999  # the input matters
    with torch.no_grad():
        out = model(**texts, input_values=samples)
    torch.testing.assert_close(out.audio_embeds, expected_audio, atol=1e-5, rtol=0)
    torch.testing.assert_close(out.text_embeds, expected_text, atol=1e-5, rtol=0)
    logits = math.exp(2.9) * expected_audio @ expected_text.t()
    torch.testing.assert_close(out.logits_per_audio, logits, atol=1e-4, rtol=0)


def test_the_release_works_in_the_pipeline_and_in_bf16(small_config, tokenizer, tmp_path):
    torch.save(authors_weights(tokenizer[1], "hooks"), tmp_path / "best.pth.tar")
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        folder = tmp_path / str(dtype)
        convert(tmp_path / "best.pth.tar", folder, tokenizer[0], dtype, small_config)
        assert json.loads((folder / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")
        assert {p.dtype for p in AutoModel.from_pretrained(folder).parameters()} == {dtype}
        classifier = pipeline("zero-shot-audio-classification", model=str(folder), device="cpu")
        waveform = torch.randn(4000, generator=torch.Generator().manual_seed(2)).numpy() * 0.1
        scores = classifier(waveform, candidate_labels=["angry", "calm"])
        results.append({entry["label"]: entry["score"] for entry in scores})
    assert results[0] == pytest.approx(results[1], abs=0.1)
    assert not list(folder.glob("convert*"))
    assert not list(folder.glob("checkpoint*"))


def test_the_default_configuration_has_the_authors_keys():
    """Names and sizes of the real file, by the facts in its description: 276.3 M parameters."""
    from modeling_paraclap import ParaClapModel
    from modeling_paraclap.convert_paraclap_checkpoint import rename_weights

    with torch.device("meta"):
        model = ParaClapModel(ParaClapConfig())
    names = set(model.state_dict())
    small = authors_weights(100, "parametrizations")
    kept = set(rename_weights(small)[0])

    def generic(keys, layers):
        return {key for key in keys if not any(f".{i}." in key for i in range(layers, 12))}

    # The small file has two of the twelve layers and three of the seven convolutions.
    assert generic(kept, 2) == generic(names, 2)
    assert model.audio_projection.linear1.weight.shape == (768, 1024)
    assert model.text_projection.linear1.weight.shape == model.audio_projection.linear2.weight.shape == (768, 768)


def nested(weights):
    return {"epoch": torch.tensor(3), "state_dict": weights}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w | {"audio_branch.head.weight": torch.zeros(2)}, r"1 unexpected \(audio_branch.head.weight\)"),
        (lambda w: {k: v for k, v in w.items() if k != "logit_scale"}, r"1 missing \(logit_scale\)"),
        (
            lambda w: w | {"text_projection.linear1.weight": torch.zeros(20, 25)},
            r"1 misshapen \(text_projection.linear1.weight \[20, 25\] for \[20, 24\]\)",
        ),
        (
            lambda w: w | {POSITION + "parametrizations.weight.original0": torch.zeros(1)},
            "both spellings of weight norm",
        ),
        (lambda w: {f"module.{k}": v for k, v in w.items()}, r"missing \(.*unexpected \(module\.audio_branch"),
        (nested, "holds a dict of epoch, state_dict; expected a flat dict"),
        (lambda w: list(w.values()), "holds list; expected a flat dict"),
        (lambda w: w | {0: torch.zeros(1)}, "holds a dict of .*, 0; expected a flat dict from names to tensors"),
        (lambda w: w | {"logit_scale": pytest.approx(1)}, "not a file of tensors alone"),
    ],
)
def test_a_file_that_is_not_theirs_is_refused(change, message, small_config, tokenizer, tmp_path):
    torch.save(change(authors_weights(tokenizer[1], "hooks")), tmp_path / "best.pth.tar")
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / "best.pth.tar", tmp_path / "release", tokenizer[0], config=small_config)
    assert not (tmp_path / "release").exists()


def cut_file():
    buffer = io.BytesIO()
    torch.save({"logit_scale": torch.zeros(1000)}, buffer)
    return buffer.getvalue()[:3000]


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", cut_file()])
def test_a_file_that_is_not_torch_s_is_refused(content, tmp_path):
    (tmp_path / "best.pth.tar").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"best\.pth\.tar is not a file of tensors alone.*download it again"):
        read_checkpoint(tmp_path / "best.pth.tar")


def test_missing_files_and_tokenizers_end_the_command_with_a_remedy(tokenizer, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = ["--checkpoint", str(tmp_path / "best.pth.tar"), "--output_dir", str(tmp_path / "release")]
    for extra, message in (
        (["--tokenizer", str(tmp_path / "nowhere")], "nowhere' cannot be fetched"),
        (["--tokenizer", tokenizer[0]], f"has {tokenizer[1]} tokens and the text encoder 30522"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(command + extra)
        assert ended.value.code == 1
        assert message in capsys.readouterr().err
    assert len(
        load_tokenizer(tokenizer[0], ParaClapConfig(text_config={"model_type": "bert", "vocab_size": tokenizer[1]}))
    )
    with pytest.raises(CheckpointError, match="does not exist"):
        read_checkpoint(tmp_path / "best.pth.tar")
