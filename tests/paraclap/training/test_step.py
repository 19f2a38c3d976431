"""One batch is one batch: on two processes, and in micro-batches, loss and gradients are those of the whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from modeling_paraclap import ParaClapModel
from paraclap.training.batches import Collator
from paraclap.training.step import ContrastiveStep

ROOT = Path(__file__).parents[3]
VOCABULARY = {"is loud": "intensity", "is quiet": "intensity", "is long": "duration", "is short": "duration"}
VOCABULARY |= {"speaker is angry": "emotion", "speaker is sad": "emotion", "a male is speaking": "gender"}
QUERIES = list(VOCABULARY)
CASES = [("contrastive", False), ("multi_positive", False), ("sigmoid", False), ("multi_positive", True)]
CASES += [("sigmoid", True)]


def examples(count):
    generator = torch.Generator().manual_seed(3)
    made = []
    for _ in range(count):
        holds = [query for query in QUERIES[:6] if torch.rand(1, generator=generator) < 0.5] or QUERIES[6:]
        waveform = torch.randn(int(torch.randint(900, 1600, (1,), generator=generator)), generator=generator).numpy()
        unknown = {query for query in QUERIES if query not in holds and torch.rand(1, generator=generator) < 0.2}
        known = {"unknown_attributes": set(), "unknown_queries": unknown}
        made.append(
            {"waveform": waveform, "caption": " and ".join(holds[:2]), "queries": holds, "bank": holds, **known}
        )
    return made


def collate(processor, loss_type, bank, made):
    batch = Collator(processor, 1600, None if loss_type == "contrastive" else VOCABULARY, bank)(made)
    # In double precision, so that the order of sums, which threads change, is far below the tolerance.
    return batch | {"input_values": batch["input_values"].double()}


def fresh_model(tiny_config, loss_type, dropout=0.0):
    torch.manual_seed(0)
    config = tiny_config(loss_type=loss_type, projection_dropout=dropout, logit_bias_init_value=-1.0)
    for tower in (config.audio_config, config.text_config):
        for name in ("hidden_dropout", "attention_dropout", "feat_proj_dropout", "activation_dropout"):
            setattr(tower, name, dropout)
        tower.hidden_dropout_prob = tower.attention_probs_dropout_prob = dropout
    return ParaClapModel(config).double().train()


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    assert max(value.abs().max() for value in expected.values()) > 1e-2


@pytest.mark.parametrize(("loss_type", "bank"), CASES)
def test_64_in_four_parts_is_64_at_once(loss_type, bank, tiny_config, tiny_processor):
    batch = collate(tiny_processor, loss_type, bank, examples(64))
    results = []
    for micro in (0, 16):
        model = fresh_model(tiny_config, loss_type)
        loss = ContrastiveStep(Accelerator(cpu=True), model, micro_batch_size=micro)(batch)
        results.append((loss, gradients(model)))
    (whole, expected), (cached, found) = results
    torch.testing.assert_close(cached, whole, rtol=1e-5, atol=1e-5)
    assert_same(found, expected)


def test_plain_accumulation_would_not_be_the_same(tiny_config, tiny_processor):
    """The test above can fail: the mean of four losses of 16 is another loss."""
    model = fresh_model(tiny_config, "contrastive")
    step = ContrastiveStep(Accelerator(cpu=True), model)
    made = examples(64)
    whole = step(collate(tiny_processor, "contrastive", False, made))
    parts = [step(collate(tiny_processor, "contrastive", False, made[i : i + 16])) for i in range(0, 64, 16)]
    assert abs(torch.stack(parts).mean() - whole) > 0.1


def test_both_passes_draw_the_same_dropout(tiny_config, tiny_processor):
    """With other dropout in the second pass the gradient would belong to embeddings that the loss never saw."""
    batch = collate(tiny_processor, "contrastive", False, examples(8))
    model = fresh_model(tiny_config, "contrastive", dropout=0.3)
    seen = []
    model.register_forward_hook(lambda module, arguments, outputs: seen.append(outputs.audio_embeds.detach()))
    ContrastiveStep(Accelerator(cpu=True), model, micro_batch_size=4)(batch)
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert not torch.equal(seen[0], seen[1])


def two_processes(folder):
    """What each of two processes runs: 2 x 8 of the same 16 utterances, at once and in two micro-batches."""
    accelerator = Accelerator(cpu=True)
    content = torch.load(folder / "task.pt", weights_only=False)
    results = {}
    for (loss_type, bank), (config, weights, halves) in content.items():
        for micro in (0, 4):
            model = ParaClapModel(config).double()
            model.load_state_dict(weights)
            step = ContrastiveStep(accelerator, accelerator.prepare(model.train()), micro_batch_size=micro)
            loss = step(halves[accelerator.process_index])
            results[loss_type, bank, micro] = (loss, gradients(step.towers))
    torch.save(results, folder / f"results{accelerator.process_index}.pt")


def test_two_processes_of_8_are_one_of_16(tiny_config, tiny_processor, tmp_path):
    made, task, expected = examples(16), {}, {}
    for loss_type, bank in CASES:
        model = fresh_model(tiny_config, loss_type)
        halves = [collate(tiny_processor, loss_type, bank, made[start : start + 8]) for start in (0, 8)]
        task[loss_type, bank] = (model.config, {k: v.clone() for k, v in model.state_dict().items()}, halves)
        loss = ContrastiveStep(Accelerator(cpu=True), model)(collate(tiny_processor, loss_type, bank, made))
        expected[loss_type, bank] = (loss, gradients(model))
    torch.save(task, tmp_path / "task.pt")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([*launch, __file__, str(tmp_path)], cwd=ROOT, env=environment, check=True, timeout=300)
    for process in (0, 1):
        results = torch.load(tmp_path / f"results{process}.pt", weights_only=False)
        assert len(results) == 2 * len(CASES)
        for (loss_type, bank, _), (loss, found) in results.items():
            torch.testing.assert_close(loss, expected[loss_type, bank][0], rtol=1e-5, atol=1e-5)
            assert_same(found, expected[loss_type, bank][1])


if __name__ == "__main__":
    two_processes(Path(sys.argv[1]))
