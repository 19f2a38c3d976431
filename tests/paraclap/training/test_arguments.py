"""Training's arguments: what is read from where, and what is refused."""

import pytest

from paraclap.training.arguments import parse_arguments

NAMES_OF_THE_FIRST_RELEASE = """
audio_config audio_model_name_or_path audio_pooling balance batch_size center_audio checkpoint_every compile config
corpus_dir corpus_weights crop_s do_normalize ema_decay emotion_probability emotion_weight encoder_learning_rate
equaliser filter_bank freeze_audio freeze_feature_encoder freeze_text gain global_negatives head_learning_rate
hypothesis_template keep_checkpoints keep_decoded log_every logit_bias_init_value loss_type lr_scheduler_type
max_grad_norm max_queries max_steps micro_batch_size mixed_precision noise num_train_epochs num_workers output_dir
pad_to_longest part profile projection_dim projection_dropout query_bank report_to resume reverb seed shuffle_rows
silence spec_augment speed streaming text_config text_model_name_or_path text_noise text_pooling tf32
tokenizer_name_or_path train_split usual_dimensions variant warmup_ratio weight_decay
"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("batch_sizes: 3", "unknown arguments: batch_sizes"),
        ("freeze_text: 3", "freeze_text is 3"),
        ("batch_size: many", "invalid int value: 'many'"),
        ("variant: rand7", "variant is 'rand7'; choose from rand5"),
        ("batch_size: 0", "--batch_size is 0; it must be above 0"),
        ("micro_batch_size: -4", "--micro_batch_size is -4; it must not be below 0"),
        ("ema_decay: 1.0", "--ema_decay is 1.0; it must be from 0 up to, but not including, 1"),
        ("text_noise: 0.5", "--text_noise 0.5 needs a frozen text encoder: add --freeze_text"),
        ("{text_noise: -1.0, freeze_text: true}", "--text_noise is -1.0; it must not be below 0"),
        ("crop_s: .nan", "--crop_s is nan; it must be a finite number"),
        ("balance: 1.5", "--balance is 1.5; it must be from 0 to 1"),
        ("seed: null", "seed is None"),
        ("{1: 2, b: 3}", "unknown arguments: 1, b"),
        ("[seed]", "holds list, expected"),
        ("seed: [", "cannot be read: while parsing"),
        (
            "audio_config: nowhere/audio.json",
            "--audio_config nowhere/audio.json is not a file; relative paths start at /",
        ),
        (
            "query_bank: true",
            "--query_bank needs a loss with several positives: --loss_type multi_positive, sigmoid, grouped",
        ),
        ("global_negatives: 2", "global_negatives is 2"),
        ("{compile: true, pad_to_longest: true}", "--compile needs fixed-length batches"),
        ("seed: 1", "--corpus_dir is required"),
    ],
)
def test_bad_arguments_end_with_a_message(content, message, tmp_path, capsys):
    file = tmp_path / "run.yaml"
    file.write_text(content)
    words = [] if "corpus_dir" in message else ["--corpus_dir", "c", "--output_dir", "o"]
    with pytest.raises(SystemExit):
        parse_arguments(["--config", str(file), *words])
    assert message in capsys.readouterr().err


def test_the_command_line_overrides_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("batch_size: 8\nfreeze_text: true\nencoder_learning_rate: 1.0e-4\n")
    words = ["--config", str(file), "--corpus_dir", "c", "--output_dir", "o", "--batch_size", "2"]
    args = parse_arguments(words)
    assert (args.recipe.batch_size, args.model.freeze_text, args.recipe.encoder_learning_rate) == (2, True, 1e-4)


def test_a_later_file_overrides_an_earlier_one(tmp_path):
    recipe, experiment = tmp_path / "recipe.yaml", tmp_path / "experiment.yaml"
    recipe.write_text("batch_size: 8\nfreeze_audio_layers: 2\naudio_layer_weights: '1,2'\nfreeze_text: true\n")
    experiment.write_text("batch_size: 16\nfreeze_audio_layers: null\nfreeze_text: false\n")
    args = parse_arguments(["--config", str(recipe), str(experiment), "--corpus_dir", "c", "--output_dir", "o"])
    assert (args.recipe.batch_size, args.model.freeze_audio_layers, args.model.freeze_text) == (16, None, False)
    assert args.model.audio_layer_weights == "1,2"


def test_a_fault_in_the_second_file_names_it(tmp_path, capsys):
    recipe, experiment = tmp_path / "recipe.yaml", tmp_path / "experiment.yaml"
    recipe.write_text("batch_size: 8\n")
    experiment.write_text("batch_sizes: 16\n")
    with pytest.raises(SystemExit):
        parse_arguments(["--config", str(recipe), str(experiment), "--corpus_dir", "c", "--output_dir", "o"])
    assert f"{experiment} has unknown arguments: batch_sizes" in capsys.readouterr().err


def test_the_papers_recipe_is_the_default():
    args = parse_arguments(["--corpus_dir", "c", "--output_dir", "o"])
    recipe, corpus = args.recipe, args.corpus
    assert (recipe.encoder_learning_rate, recipe.head_learning_rate) == (1e-5, 1e-3)
    assert (recipe.batch_size, recipe.num_train_epochs, corpus.crop_s, corpus.max_queries) == (64, 50, 5.0, 5)
    assert (corpus.variant, recipe.weight_decay, recipe.loss_type) == ("rand5", 0.0, "contrastive")


def test_every_name_of_the_first_release_is_still_read():
    """Switches are given as switches, everything else with its default."""
    names = set(parse_arguments(["--corpus_dir", "c", "--output_dir", "o"]).flat())
    assert names >= set(NAMES_OF_THE_FIRST_RELEASE.split())
