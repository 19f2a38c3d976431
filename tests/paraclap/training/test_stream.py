"""A streamed corpus: the order, where a resumed run starts, and what each process sees."""

import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from helpers.loopback_hub import LoopbackHub, Repo, User
from helpers.training_runs import arguments, environment, train_in_process
from safetensors.torch import load_file

from dataset_scripts.parquet import FEATURES, write_splits
from paraclap.training import train
from paraclap.training.arguments import CorpusArguments, is_remote, parse_arguments
from paraclap.training.batches import vocabulary_of
from paraclap.training.checkpoint import complete_checkpoints
from paraclap.training.corpus_files import load_split, read_corpus_bins
from paraclap.training.errors import TrainingError
from paraclap.training.loader import build_loader
from paraclap.training.stream import RowGroups, StreamedCorpus, StreamSampler
from paraclap.training.utterances import QueryCorpus


@pytest.fixture(scope="module")
def sharded(corpus_dir, tmp_path_factory):
    """The corpus with its 24 training rows in three files, in row groups of 1 to 5; one emotion is not known."""
    folder = tmp_path_factory.mktemp("sharded") / "corpus"
    shutil.copytree(corpus_dir, folder)
    (file,) = (folder / "data").glob("train-*.parquet")
    table = pq.read_table(file)
    emotions = table.column("emotion").to_pylist()
    emotions[7] = None
    place = table.column_names.index("emotion")
    table = table.set_column(place, table.schema.field("emotion"), [emotions])
    file.unlink()
    (folder / "build.json").unlink()  # which lists that file
    for number, (start, size) in enumerate(((0, 4), (9, 5), (19, 2))):
        end = (9, 19, 24)[number]
        pq.write_table(
            table.slice(start, end - start), folder / "data" / f"train-{number}.parquet", row_group_size=size
        )
    return folder


def order(groups, epoch=0, first_batch=0, **kwargs):
    sampler = StreamSampler(groups, **{"seed": 3, "batch_size": 4, "window": 6} | kwargs)
    sampler.epoch, sampler.first_batch = epoch, first_batch
    return [number for of_epoch, (number, _) in sampler if of_epoch == epoch]


def test_an_epoch_has_each_row_once_in_another_order(sharded):
    groups = RowGroups(sharded)
    assert groups.sizes == [4, 4, 1, 5, 5, 2, 2, 1]
    first, second = order(groups), order(groups, epoch=1)
    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second
    assert first == order(groups)
    assert np.abs(np.diff(first)).max() > 4, "only shuffled within a row group"


def test_a_row_has_the_crop_and_caption_that_it_has_on_disk(sharded):
    groups = RowGroups(sharded)
    options = CorpusArguments(crop_s=0.4)
    on_disk, streamed = QueryCorpus(load_split(sharded, "train"), options), StreamedCorpus(groups, options)
    assert len(on_disk) == len(streamed)
    assert vocabulary_of(on_disk.labels) == vocabulary_of(streamed.labels)
    sampler = StreamSampler(groups, 0, 4)
    sampler.epoch = 2
    for epoch, (number, row) in sampler:
        one, two = on_disk[(epoch, number)], streamed[(epoch, (number, row))]
        assert np.array_equal(one.pop("waveform"), two.pop("waveform"))
        assert one == two


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_order_is_the_rest_of_the_order(sharded, processes):
    groups = RowGroups(sharded)
    kwargs = {"batch_size": 2, "processes": processes, "process": processes - 1, "epoch": 1}
    whole = order(groups, **kwargs)
    for batch in range(len(whole) // 2 + 1):
        assert order(groups, first_batch=batch, **kwargs) == whole[2 * batch :]


def test_processes_see_disjoint_rows_and_as_many_batches(sharded):
    groups = RowGroups(sharded)
    for epoch in range(8):
        parts = [order(groups, epoch, batch_size=3, process=process, processes=2) for process in (0, 1)]
        assert not set(parts[0]) & set(parts[1])
        assert len(parts[0]) == len(parts[1]) == (24 // 2 - 5) // 3 * 3
    seen = {
        row for epoch in range(8) for process in (0, 1) for row in order(groups, epoch, process=process, processes=2)
    }
    assert seen == set(range(24)), "some rows are never dealt out"


def test_a_resumed_position_reads_nothing_before_it(sharded, monkeypatch):
    groups, read = RowGroups(sharded), []
    original = groups.read
    monkeypatch.setattr(groups, "read", lambda number: read.append(number) or original(number))
    assert len(order(groups, first_batch=5, window=1)) == 4
    assert sum(groups.sizes[number] for number in read) <= 4 + 4


def test_only_emo_streams_the_rows_with_an_emotion(sharded):
    groups = RowGroups(sharded, labelled="emotion")
    assert sum(groups.sizes) == 23
    assert sorted(order(groups, batch_size=1)) == [row for row in range(24) if row != 7]


def test_a_streamed_run_resumes_in_the_middle_of_an_epoch(sharded, text_encoder, tmp_path):
    run = tmp_path / "run"
    words = arguments(sharded, text_encoder, run, "--streaming", "--shuffle_rows", "6", "--keep_checkpoints", "9")
    words += ["--num_train_epochs", "2", "--report_to", "none"]
    train.main(words)
    left = complete_checkpoints(run / "checkpoints")
    expected = load_file(left[-1] / "model.safetensors")
    assert [path.name for path in left] == [f"step-{step:08}" for step in (4, 6, 8, 12)]
    for path in left[2:]:  # as if killed after step 7, in the second epoch
        shutil.rmtree(path)
    (run / "checkpoints" / left[1].name).rename(tmp_path / "epoch's end")
    train.main([*words, "--resume", "--num_workers", "2"])
    found = load_file(complete_checkpoints(run / "checkpoints")[-1] / "model.safetensors")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_private_dataset_of_the_hub_trains_as_the_folder_does(sharded, text_encoder, tmp_path):
    """Launched as a user with an installed package does."""
    repo = Repo(private=True)
    repo.add("a corpus", {str(file.relative_to(sharded)): file.read_bytes() for file in sharded.rglob("*.*")}, "main")
    more = ["--streaming", "--num_train_epochs", "1"]
    finished = train_in_process(arguments(sharded, text_encoder, tmp_path / "0", *more))
    assert finished.code == 0, finished.output
    launch = [Path(sys.executable).with_name("accelerate"), "launch", "--cpu", "--num_processes", "1"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "paraclap.training"]
    with LoopbackHub({"hf_secret": User("me")}) as hub:
        hub.repos["datasets", "me/corpus"] = repo
        words = arguments("hf://datasets/me/corpus", text_encoder, tmp_path / "1", *more)
        variables = environment() | hub.environment("hf_secret") | {"HF_HOME": str(tmp_path / "cache")}
        result = subprocess.run([*launch, *words], cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
    weights = [load_file(tmp_path / name / "best" / "model.safetensors") for name in ("0", "1")]
    assert {"tree", "resolve"} <= {stage for stage, _ in hub.requests}
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not any(b"hf_secret" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_an_address_of_fsspec_will_do(sharded):
    memory = fsspec.filesystem("memory")
    memory.put(str(sharded), "/streamed/corpus", recursive=True)
    address = "memory://streamed/corpus"
    groups = RowGroups(address)
    assert is_remote(address)
    assert order(groups) == order(RowGroups(sharded))
    assert read_corpus_bins(address).edges == read_corpus_bins(sharded).edges
    assert len(load_split(address, "validation")) == len(load_split(sharded, "validation"))


def test_what_does_not_go_together_is_said(sharded, tmp_path, capsys):
    words = ["--output_dir", str(tmp_path), "--corpus_dir"]
    for more, message in (
        ([str(sharded), "--streaming", "--keep_decoded"], "leave out --keep_decoded"),
        (["s3://bucket/corpus"], "s3://bucket/corpus is remote: add --streaming"),
        ([str(sharded), "--streaming", "--shuffle_rows", "-1"], "--shuffle_rows is -1"),
    ):
        with pytest.raises(SystemExit):
            parse_arguments([*words, *more])
        assert message in capsys.readouterr().err


def test_too_few_rows_for_each_process_are_said(sharded, text_encoder, tmp_path):
    args = parse_arguments(arguments(sharded, text_encoder, tmp_path, "--streaming", "--batch_size", "8"))
    with pytest.raises(TrainingError, match="0 utterances for each process.*several for each process"):
        build_loader(args, None, process=0, processes=2)


def test_a_corpus_of_paths_cannot_be_streamed(tmp_path):
    rows = pd.DataFrame([{"path": "/a.wav", "file": "a.wav", "split": "train", "corpus": "c", "emotion": "sad"}])
    write_splits(rows.reindex(columns=[*FEATURES, "path"]), tmp_path / "data", embed=False)
    with pytest.raises(ValueError, match="has paths instead of audio: build the corpus with audio"):
        RowGroups(tmp_path).read(0)
