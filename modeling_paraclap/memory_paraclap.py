"""On a CPU: memory that one step or utterance frees is kept for the next."""

import ctypes
import sys

# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
TOP_PAD_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Tell glibc's malloc not to give freed memory back to the system, for the rest of the process.

    A model on the CPU frees its activations and asks for as much again at once; by default each large block comes from
    the system anew, page by page and zeroed. `train_accelerate.py` and `evaluate_zero_shot.py` call this themselves; in
    a program of your own, call it once before the model works, if the process may keep its peak of memory. What it
    gains is measured by `benchmarks.inference` and `benchmarks.training`.

    Returns:
        Whether there was something to tell; other C libraries than glibc go on as they are.

    Example:
        >>> from modeling_paraclap import keep_freed_memory
        >>> told = keep_freed_memory()
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "gnu_get_libc_version"):
        return False
    # One arena: what a thread of the program allocates from one of its own goes back to the system all the same.
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1, M_TOP_PAD: TOP_PAD_BYTES, M_ARENA_MAX: 1}
    return all([library.mallopt(name, value) for name, value in settings.items()])
