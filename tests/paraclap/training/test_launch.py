"""The launch recipes are read as accelerate reads them."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

from paraclap.training.launch import refuse_sharding

FOLDER = Path(__file__).parents[3] / "configs" / "accelerate"
RECIPES = {
    "one_gpu": (DistributedType.NO, 1, 1),
    "several_gpus": (DistributedType.MULTI_GPU, 1, 4),
    "several_nodes": (DistributedType.MULTI_GPU, 2, 8),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_loads(name):
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert (config.distributed_type, config.num_machines, config.num_processes) == RECIPES[name]
    assert config.mixed_precision == "bf16"
    assert not config.use_cpu


def test_every_recipe_is_tested():
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(RECIPES)


def test_the_slurm_script_is_valid_and_names_files_that_exist():
    script = FOLDER / "several_nodes.sbatch"
    subprocess.run(["bash", "-n", str(script)], check=True)
    for word in script.read_text(encoding="utf-8").split():
        if word.startswith("configs/") or word == "train_accelerate.py":
            assert (FOLDER.parents[1] / word).exists(), word


@pytest.mark.parametrize("kind", DistributedType)
def test_a_launch_that_shards_the_weights_is_refused(kind):
    accelerator = SimpleNamespace(distributed_type=kind)
    if kind in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
        with pytest.raises(SystemExit, match=f"{kind.value} shards the weights.*several_gpus.yaml"):
            refuse_sharding(accelerator)
    else:
        refuse_sharding(accelerator)
