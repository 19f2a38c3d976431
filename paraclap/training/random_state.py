"""States of the random number generators: torch on the CPU and the device, numpy and Python."""

import random
from typing import Any

import numpy as np
import torch


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the states of all random number generators.

    Args:
        device: Device whose generator is included, if it has one.
    """
    name, keys, *rest = np.random.get_state()
    version, internal, gauss = random.getstate()
    on_device = {} if device.type == "cpu" else {"device": torch.get_device_module(device).get_rng_state()}
    return {
        "torch": torch.get_rng_state(),
        "numpy": {"name": name, "keys": torch.from_numpy(keys.astype(np.int64)), "rest": rest},
        "python": {"version": version, "internal": torch.tensor(internal), "gauss": gauss},
        **on_device,
    }


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Restore the states that [`random_state`] returned; a device without a saved state is left unchanged."""
    torch.set_rng_state(state["torch"])
    numpy, python = state["numpy"], state["python"]
    np.random.set_state((numpy["name"], numpy["keys"].numpy().astype(np.uint32), *numpy["rest"]))
    random.setstate((python["version"], tuple(python["internal"].tolist()), python["gauss"]))
    if "device" in state and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"])
