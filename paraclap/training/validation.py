"""Zero-shot validation between epochs, to choose the best epoch (paper, section 3.3)."""

import textwrap

import numpy as np
import torch
from datasets import Dataset
from sklearn.metrics import recall_score

from dataset_scripts.corpora import TASKS
from modeling_paraclap.modeling_paraclap import ParaClapModel
from modeling_paraclap.processing_paraclap import ParaClapProcessor
from modeling_paraclap.zero_shot_paraclap import TextEmbeddings, parse_labels, prompts_of
from paraclap.evaluation.embedding import embed_audio, predict

from .corpus_files import EncodedAudio
from .errors import TrainingError
from .progress import COLUMNS

PROSODY = {
    "gender": ("gender", {"female": "a female is speaking", "male": "a male is speaking"}),
    "pitch": (
        "pitch_mean_bin",
        {"low": "has a low pitch", "mid": "has a normal pitch", "high": "has a high pitch"},
    ),
}
# Emotion -> a synonym that no query contains.
SYNONYMS = TASKS["ravdess-synonyms"].labels


class Validation:
    """UAR of zero-shot classification on a split of the query corpus.

    Emotions are classified within each corpus, among its own, with the model's prompt template; and again with
    synonyms, which do not affect the choice of the epoch. Gender and pitch bins are classified with the paper's queries
    over all corpora.

    Args:
        rows: A split from `load_split`.
        processor: Tokenizer and feature extractor.
        template: Prompt template of the emotions, with `{}`.
        batch_size: Utterances in a batch.
    """

    def __init__(self, rows: Dataset, processor: ParaClapProcessor, template: str, batch_size: int = 16):
        self.audio, self.processor, self.batch_size = EncodedAudio(rows), processor, batch_size
        labels = rows.remove_columns("audio").to_pandas()
        self.tasks = []
        for corpus in labels["corpus"].unique():
            rows_of = np.flatnonzero((labels["corpus"] == corpus) & labels["emotion"].notna())
            emotions = sorted(labels["emotion"].iloc[rows_of].unique())
            if len(emotions) > 1:
                for name, words in {"emotion": {}, "synonyms": SYNONYMS}.items():
                    prompts = {emotion: template.format(words.get(emotion, emotion)) for emotion in emotions}
                    of_corpus = labels["emotion"].iloc[rows_of].to_numpy()
                    self.tasks.append((f"{name}_{corpus}", rows_of, of_corpus, prompts))
        for name, (column, prompts) in PROSODY.items():
            rows_of = np.flatnonzero(labels[column].notna())
            if labels[column].iloc[rows_of].nunique() > 1:
                self.tasks.append((name, rows_of, labels[column].iloc[rows_of].to_numpy(), prompts))
        if not self.tasks:
            raise TrainingError(
                "The validation split has no emotions, genders or pitch bins to classify: build a corpus with labels, "
                "or train on all splits with --train_split train+validation."
            )
        self.chances = {f"uar_{name}": 1 / len(prompts) for name, _, _, prompts in self.tasks}
        emotions = [chance for name, chance in self.chances.items() if name.startswith("uar_emotion")]
        self.chances["uar"] = float(np.mean(emotions or list(self.chances.values())))

    @torch.no_grad()
    def __call__(self, model: ParaClapModel, progress: bool = True) -> dict[str, float]:
        """Return the UAR of each task, `uar`, by which the best epoch is chosen, and two indicators of collapse.

        `uar` is the mean over the emotion tasks, or over all tasks if there are none. `top_class` is the largest
        share of one predicted class in any emotion task, `mean_cosine` the mean cosine between two utterances.
        """
        was_training = model.training
        model.eval()
        embeds, unreadable = embed_audio(
            model, self.processor.feature_extractor, self.audio, self.batch_size, progress=progress
        )
        if unreadable:
            raise TrainingError(f"The validation split has unusable audio: {next(iter(unreadable.values()))}")
        results, shares, text_embeddings = {}, [], TextEmbeddings()
        for name, rows_of, labels, prompts in self.tasks:
            text_embeds = text_embeddings.of_labels(
                model, self.processor.tokenizer, prompts_of(parse_labels(prompts), ("{}",))
            )
            scores = predict(embeds[torch.from_numpy(rows_of)], text_embeds.cpu(), model.logit_scale.cpu())
            predicted = np.array(list(prompts))[scores.argmax(1).numpy()]
            results[f"uar_{name}"] = float(recall_score(labels, predicted, average="macro"))
            if name.startswith("emotion"):
                shares.append(float(np.max(np.unique(predicted, return_counts=True)[1]) / len(predicted)))
        emotion = [value for name, value in results.items() if name.startswith("uar_emotion")]
        results["uar"] = float(np.mean(emotion or list(results.values())))
        if shares:
            results["top_class"] = max(shares)
        n = len(embeds)
        results["mean_cosine"] = float((embeds.sum(0).square().sum() - n) / (n * max(n - 1, 1)))
        model.train(was_training)
        return results

    def describe(self, epoch: int, results: dict[str, float]) -> str:
        """Return the results of an epoch with chance levels, as lines of at most 80 characters.

        Args:
            epoch: Number of the epoch.
            results: The results that a call returned.
        """
        parts = [f"UAR {results['uar']:.3f} (chance {self.chances['uar']:.2f})"]
        for name, value in results.items():
            if name.startswith("uar_"):
                parts.append(f"{measure_name(name)} {value:.3f} ({self.chances[name]:.2f})")
        if "top_class" in results:
            parts.append(f"most predicted emotion {results['top_class']:.0%}")
        parts.append(f"mean cosine {results['mean_cosine']:.2f}")
        # Lines may only break between parts.
        lines = textwrap.wrap("; ".join(part.replace(" ", "\0") for part in parts), COLUMNS - len("epoch 999  "))
        return textwrap.indent("\n".join(lines), " " * 11).replace(" " * 11, f"epoch {epoch:3}  ", 1).replace("\0", " ")


def measure_name(measure: str) -> str:
    """Return a measure's name in words: `uar_emotion_emodb` is "emotions of emodb"."""
    task, _, corpus = measure.removeprefix("uar_").partition("_")
    return f"{'emotions' if task == 'emotion' else task} of {corpus}" if corpus else task
