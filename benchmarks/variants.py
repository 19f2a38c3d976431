"""The ways to run a ParaCLAP that `benchmarks.inference` and `benchmarks.peers` compare.

A variant is a function of a release folder and the labels, which loads its model and returns a function from paths to
the scores of each path's labels, in their order.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import pipeline
from transformers.pipelines.zero_shot_audio_classification import ZeroShotAudioClassificationPipeline

from benchmarks.turns import Scorer
from modeling_paraclap import ParaClapModel, ParaClapProcessor, keep_freed_memory
from modeling_paraclap.audio_paraclap import load_audio
from modeling_paraclap.pooling_paraclap import masked_mean

TASK = "zero-shot-audio-classification"
TEMPLATE = "speaker is {}."


def authors_way(folder: Path, labels: list[str]) -> Scorer:
    """Return the authors' evaluation: fp32, one clip a time, no mask, labels encoded again for each clip."""
    model, processor = ParaClapModel.from_pretrained(folder), ParaClapProcessor.from_pretrained(folder)
    prompts = [TEMPLATE.format(label) for label in labels]

    @torch.no_grad()
    def scores(path: Path) -> np.ndarray:
        samples = torch.from_numpy(load_audio(path))[None]
        audio = model.get_audio_features(samples).pooler_output
        tokens = processor.tokenizer(prompts, padding=True, return_tensors="pt")
        states = model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
        pooled = states[:, 0] if model.config.text_pooling == "cls" else masked_mean(states, tokens["attention_mask"])
        text = model.text_projection(pooled)
        return (model.logit_scale.exp() * F.cosine_similarity(audio, text)).softmax(0).numpy()

    return _one_by_one(scores)


def stock_pipeline(folder: Path, labels: list[str]) -> Scorer:
    """Return the class of transformers itself, given samples, as it reads files only through ffmpeg."""
    processor = ParaClapProcessor.from_pretrained(folder)
    classifier = ZeroShotAudioClassificationPipeline(
        model=ParaClapModel.from_pretrained(folder),
        tokenizer=processor.tokenizer,
        feature_extractor=processor.feature_extractor,
        device="cpu",
    )
    return _one_by_one(
        lambda path: _in_order(
            classifier(load_audio(path), candidate_labels=labels, hypothesis_template=TEMPLATE), labels
        )
    )


def ours(
    folder: Path,
    labels: list[str],
    dtype: torch.dtype = torch.float32,
    kept: bool = False,
    compiled: bool = False,
    layout: str | None = None,
    a_clip_a_core: bool = False,
) -> Scorer:
    """Return the pipeline of this package, with `keep_freed_memory` or without.

    `layout` is None, "laid out" (`optimize_for_cpu`) or "int8". All cores work on one clip, or, with `a_clip_a_core`,
    each on a clip of its own.
    """
    if kept:
        keep_freed_memory()
    if compiled:
        from torch._inductor import config

        config.freezing = True  # weights as constants, laid out for oneDNN
    classifier = pipeline(TASK, model=str(folder), device="cpu", dtype=dtype)
    if compiled:
        classifier.model.audio_model.compile(dynamic=True)
    if layout:
        classifier.model.optimize_for_cpu(int8=layout == "int8")

    def scores(path: Path) -> np.ndarray:
        return _in_order(classifier(path, candidate_labels=labels, hypothesis_template=TEMPLATE), labels)

    if not a_clip_a_core:
        return _one_by_one(scores)
    pool = ThreadPoolExecutor(torch.get_num_threads())
    torch.set_num_threads(1)
    return lambda paths: np.stack(list(pool.map(scores, paths)))


def onnx(folder: Path, labels: list[str], suffix: str = "") -> Scorer:
    """Return the files of `modeling_paraclap.export_onnx` in onnxruntime, labels encoded once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    tokenizer = ParaClapProcessor.from_pretrained(folder).tokenizer
    tokens = tokenizer([TEMPLATE.format(label) for label in labels], padding=True, return_tensors="np")
    session = onnxruntime.InferenceSession(folder / "onnx" / f"text{suffix}.onnx", options)
    text = session.run(None, {name: tokens[name] for name in ("input_ids", "attention_mask")})[0]
    session = onnxruntime.InferenceSession(folder / "onnx" / f"audio{suffix}.onnx", options)
    scale = json.loads((folder / "onnx" / "export.json").read_text())["logit_scale"]

    def scores(path: Path) -> np.ndarray:
        samples = load_audio(path)[None]
        (audio,) = session.run(None, {"input_values": samples, "padding_mask": np.ones(samples.shape, bool)})
        logits = scale * (audio @ text.T)[0]
        weights = np.exp(logits - logits.max())
        return weights / weights.sum()

    return _one_by_one(scores)


def _one_by_one(scores: Callable[[Path], np.ndarray]) -> Scorer:
    return lambda paths: np.stack([scores(path) for path in paths])


def _in_order(result: list[dict], labels: list[str]) -> np.ndarray:
    by_label = {entry["label"]: entry["score"] for entry in result}
    return np.array([by_label[label] for label in labels])


bf16 = torch.bfloat16
VARIANTS: dict[str, Callable[[Path, list[str]], Scorer]] = {
    "(a) the authors' way": authors_way,
    "(b) transformers' stock class": stock_pipeline,
    "(c) ours, fp32": ours,
    "(c) ours, fp32, kept": partial(ours, kept=True),
    "(c) ours, fp32, kept, laid out": partial(ours, kept=True, layout="laid out"),
    "(c) ours, fp32, kept, laid out, a clip a core": partial(ours, kept=True, layout="laid out", a_clip_a_core=True),
    "(d) ours, bf16": partial(ours, dtype=bf16),
    "(d) ours, bf16, kept": partial(ours, dtype=bf16, kept=True),
    "(d) ours, bf16, kept, laid out": partial(ours, dtype=bf16, kept=True, layout="laid out"),
    "(d) ours, bf16, kept, laid out, a clip a core": partial(
        ours, dtype=bf16, kept=True, layout="laid out", a_clip_a_core=True
    ),
    "(g) ours, int8, kept, laid out": partial(ours, kept=True, layout="int8"),
    "(g) ours, int8, kept, laid out, a clip a core": partial(ours, kept=True, layout="int8", a_clip_a_core=True),
    "(e) ours, fp32, kept, compiled": partial(ours, kept=True, compiled=True),
    "(e) ours, bf16, kept, compiled": partial(ours, dtype=bf16, kept=True, compiled=True),
    "(f) onnxruntime, fp32": onnx,
    "(f) onnxruntime, int8": partial(onnx, suffix=".int8"),
}
