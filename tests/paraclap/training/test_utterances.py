"""Utterances as training hears them: crops, captions, augmentation, and what is not labelled."""

import numpy as np
import opensmile
import pytest

from dataset_scripts.queries import VARIANTS
from paraclap.synthetic_speech import Voice, synthesise
from paraclap.training.arguments import AugmentationArguments, CorpusArguments
from paraclap.training.augment import augment
from paraclap.training.corpus_files import load_split, read_corpus_bins
from paraclap.training.utterances import QueryCorpus


def test_what_is_drawn_depends_on_epoch_and_utterance_alone(corpus_dir):
    rows = load_split(corpus_dir, "train")
    first, second = (QueryCorpus(rows, CorpusArguments(crop_s=0.4, keep_decoded=keep), seed=5) for keep in (True, True))
    second[(0, 3)]
    for key in ((0, 1), (0, 2), (1, 1)):
        one, two = first[key], second[key]
        assert one["caption"] == two["caption"]
        assert np.array_equal(one["waveform"], two["waveform"])
    assert not np.array_equal(first[(0, 1)]["waveform"], first[(1, 1)]["waveform"])
    assert len(first[(0, 1)]["waveform"]) == 6400


@pytest.mark.parametrize(
    ("variant", "emotions"), [("rand5", (0, 24)), ("no_emo", (0, 0)), ("only_emo", (24, 24)), ("rand1", (0, 24))]
)
def test_the_four_variants(corpus_dir, variant, emotions):
    corpus = QueryCorpus(load_split(corpus_dir, "train"), CorpusArguments(variant=variant))
    captions = [corpus[(0, item)]["caption"] for item in range(len(corpus))]
    named = sum(any(word in caption for word in ("angry", "anger", "sad")) for caption in captions)
    assert emotions[0] <= named <= emotions[1]
    assert len(captions) == 24
    most = max(len(caption.split(" and ")) for caption in captions)
    assert most == (1 if variant == "rand1" else 3 if variant == "only_emo" else 5)


def test_what_a_variant_does_not_tell_is_in_no_query_bank(corpus_dir):
    rows = load_split(corpus_dir, "train")
    told = {
        variant: set(QueryCorpus(rows, CorpusArguments(variant=variant))[(0, 0)]["queries"]) for variant in VARIANTS
    }
    assert told["rand1"] == told["rand5"] == told["no_emo"] | told["only_emo"]
    assert len(told["only_emo"]) == 3
    assert not told["no_emo"] & told["only_emo"]


def test_emotion_probability_puts_an_emotion_first(corpus_dir):
    corpus = QueryCorpus(load_split(corpus_dir, "train"), CorpusArguments(max_queries=3, emotion_probability=1.0))
    captions = [corpus[(0, item)]["caption"].split(" and ") for item in range(24)]
    assert all(any(word in caption[0] for word in ("angry", "anger", "sad")) for caption in captions)
    assert {len(caption) for caption in captions} == {1, 2, 3}


def test_unknown_are_missing_labels_and_emotions_of_other_corpora(corpus_dir):
    rows = load_split(corpus_dir, "train")
    corpora = ["emodb"] * 12 + ["other"] * 12
    rows = rows.remove_columns("corpus").add_column("corpus", corpora)
    emotions = ["angry"] * 12 + ["sad"] * 11 + [None]
    rows = rows.remove_columns("emotion").add_column("emotion", emotions)
    corpus = QueryCorpus(rows)
    first, last = corpus[(0, 0)], corpus[(0, 23)]
    assert first["unknown_queries"] == {"this is a sad instance", "speaker is sad", "emotion is sadness"}
    assert "emotion" not in first["unknown_attributes"]
    assert "emotion" in last["unknown_attributes"]
    assert {"arousal", "valence", "dominance"} <= first["unknown_attributes"]
    assert not {"pitch_mean", "gender"} & first["unknown_attributes"]


def test_calm_speech_is_said_to_be_calm_and_nothing_is_said_of_its_being_neutral(corpus_dir):
    rows = load_split(corpus_dir, "train")
    rows = rows.remove_columns("emotion").add_column("emotion", ["neutral"] * 12 + ["sad"] * 12)
    augmentation = AugmentationArguments(gain=1.0)  # so that queries are made anew, of the emotions above
    calm = QueryCorpus(rows, CorpusArguments(calm=1.0), augmentation, read_corpus_bins(corpus_dir))
    assert calm.calm[:12].min() > 0
    assert not calm.calm[12:].any()
    calm.calm = np.r_[np.ones(6), np.zeros(18)]  # the first six in every draw, the others in none
    neutral = {"speaker is neutral", "this is a neutral instance", "emotion is neutral"}
    said = {"speaker is calm", "this is a calm instance", "emotion is calmness"}
    for item in range(18):
        example = calm[(0, item)]
        holds, unknown = set(example["queries"]), example["unknown_queries"]
        if item < 6:
            assert said <= holds
            assert not neutral & holds
            assert neutral <= unknown
        else:
            assert (neutral <= holds) == (item < 12)
            assert not neutral & unknown
            assert not said & (holds | unknown)


def test_emotions_tell_dimensions_where_asked(corpus_dir):
    rows = load_split(corpus_dir, "train")
    options = CorpusArguments(usual_dimensions=True)
    plain, usual = QueryCorpus(rows), QueryCorpus(rows, options)
    item = int(np.flatnonzero(plain.labels["emotion"] == "sad")[0])
    before, after = plain[(0, item)], usual[(0, item)]
    # What the corpus says is left as it is: it may have been built with paraphrases.
    assert after["queries"][-len(before["queries"]) :] == before["queries"]
    assert set(after["queries"]) - set(before["queries"]) >= {"speaker is calm", "has low valence"}
    assert "speaker is not very sad" in after["unknown_queries"]
    assert "speaker is not very sad" not in after["queries"]
    assert not {"arousal", "valence", "dominance"} & after["unknown_attributes"]
    assert np.array_equal(before["waveform"], after["waveform"])
    augmented = QueryCorpus(rows, options, AugmentationArguments(gain=1.0), read_corpus_bins(corpus_dir))
    assert "speaker is calm" in augmented[(0, item)]["queries"]


def test_no_part_is_taken_of_what_has_an_emotion(corpus_dir):
    rows = load_split(corpus_dir, "train")
    rows = rows.remove_columns("emotion").add_column("emotion", ["angry"] * 12 + [None] * 12)
    options, bins = CorpusArguments(crop_s=60.0), read_corpus_bins(corpus_dir)
    plain = QueryCorpus(rows, options, AugmentationArguments(gain=1.0), bins)
    parts = QueryCorpus(rows, options, AugmentationArguments(gain=1.0, part=1.0), bins)
    lengths = [[len(corpus[(0, item)]["waveform"]) for item in range(24)] for corpus in (plain, parts)]
    assert lengths[0][:12] == lengths[1][:12]
    long = [item for item in range(12, 24) if lengths[0][item] > 16000]
    assert long
    assert all(lengths[1][item] < lengths[0][item] for item in long)


def test_augmentation_tells_what_it_changed():
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    features = {
        "pitch_mean": "F0semitoneFrom27.5Hz_sma3nz_amean",
        "intensity": "equivalentSoundLevel_dBp",
    }
    waveform = synthesise(Voice("synthetic", pitch=150, pitch_range=2, syllable_rate=4, level=-25), 2.0)
    measured = smile.process_signal(waveform, 16000).iloc[0]
    before = {name: float(measured[feature]) for name, feature in features.items()} | {"duration": 2.0}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        changed, said = augment(waveform, before, rng, AugmentationArguments(speed=3.0, gain=10.0, equaliser=4.0))
        measured = smile.process_signal(changed, 16000).iloc[0]
        assert said["pitch_mean"] != before["pitch_mean"]
        assert measured[features["pitch_mean"]] == pytest.approx(said["pitch_mean"], abs=1.0)
        assert measured[features["intensity"]] == pytest.approx(said["intensity"], abs=1.5)
        assert len(changed) / 16000 == pytest.approx(said["duration"], rel=1e-3)


def test_a_part_is_shorter_and_says_so():
    waveform = synthesise(Voice("synthetic", pitch=150, pitch_range=2, syllable_rate=4, level=-25), 4.0)
    waveform[:32000] *= 0.1
    before = {"pitch_mean": 30.0, "pitch_std": 0.1, "intensity": -28.0, "duration": 4.0, "gender": "female"}
    lengths = []
    for seed in range(40):
        part, said = augment(waveform, before, np.random.default_rng(seed), AugmentationArguments(part=1.0))
        assert said["duration"] == len(part) / 16000
        assert said["pitch_std"] is None
        power = [10 * np.log10(np.mean(samples**2.0)) for samples in (part, waveform)]
        assert said["intensity"] == pytest.approx(-28.0 + power[0] - power[1], abs=1e-3)
        lengths.append(said["duration"])
    assert 1.0 <= min(lengths) < 1.3
    assert 3.0 < max(lengths) <= 4.0
    assert before["duration"] == 4.0
    short, said = augment(waveform[:8000], {"duration": 0.5}, np.random.default_rng(0), AugmentationArguments(part=1.0))
    assert len(short) == 8000
    assert said["duration"] == 0.5


def test_augmented_utterances_get_queries_that_are_true(corpus_dir):
    rows, bins = load_split(corpus_dir, "train"), read_corpus_bins(corpus_dir)
    corpus = QueryCorpus(rows, augmentation=AugmentationArguments(gain=40.0), bins=bins)
    item = int(np.argmax(corpus.labels["intensity"]))
    spoken = {query for epoch in range(30) for query in corpus[(epoch, item)]["queries"]}
    assert {"is loud", "is quiet"} <= spoken
    assert "speaker is angry" in spoken
    assert "speaker is sad" not in spoken
    with pytest.raises(ValueError, match="give the corpus's bins"):
        QueryCorpus(rows, augmentation=AugmentationArguments(gain=40.0))
