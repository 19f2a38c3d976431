"""What several tests of training share."""

import pytest
from helpers.training_runs import arguments, train_in_process


@pytest.fixture(scope="session")
def undisturbed(corpus_dir, text_encoder, tmp_path_factory):
    """The folder of a run of two epochs with six steps each that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    finished = train_in_process(arguments(corpus_dir, text_encoder, run, "--num_train_epochs", "2"))
    assert finished.code == 0, finished.output
    return run
