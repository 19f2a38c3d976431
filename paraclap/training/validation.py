"""Zero-shot validation between epochs: the choice of the best epoch (paper, section 3.3) needs nothing but this."""

import numpy as np
import torch
from sklearn.metrics import recall_score

from dataset_scripts.corpora import TASKS
from modeling_paraclap.zero_shot_paraclap import TextEmbeddings, parse_labels, prompts_of
from paraclap.evaluation.embedding import embed_audio, predict

from .corpus_files import EncodedAudio

PROSODY = {
    "gender": ("gender", {"female": "a female is speaking", "male": "a male is speaking"}),
    "pitch": (
        "pitch_mean_bin",
        {"low": "has a low pitch", "mid": "has a normal pitch", "high": "has a high pitch"},
    ),
}
# Emotion -> a word of the same meaning that no query has.
SYNONYMS = TASKS["ravdess-synonyms"].labels


class Validation:
    """UAR of zero-shot classification on a split of the query corpus.

    Emotions are told apart within each corpus, among those that it has, with the model's own prompt template, and once
    more with synonyms, which choose nothing. Gender and pitch bins are asked for with the paper's queries, over all
    corpora.

    Args:
        rows: A split from `load_split`.
        processor: A `ParaClapProcessor`.
        template: Prompt template of the emotions, with `{}`.
        batch_size: Utterances in a batch.
    """

    def __init__(self, rows, processor, template, batch_size=16):
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
            raise ValueError("The validation split has no emotions, genders or pitch bins to tell apart.")

    @torch.no_grad()
    def __call__(self, model, progress=True):
        """Dict of UAR per task, `uar`, the figure to choose the best epoch by, and two indicators of collapse.

        `uar` is the mean over the emotion tasks, or over all tasks where there is none. `top_class` is the largest
        share of one predicted class in any emotion task, `mean_cosine` the mean cosine between two utterances.
        """
        was_training = model.training
        model.eval()
        embeds, unreadable = embed_audio(
            model, self.processor.feature_extractor, self.audio, self.batch_size, progress=progress
        )
        if unreadable:
            raise ValueError(f"The validation split has unreadable audio: {next(iter(unreadable.values()))}")
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
