"""Profile training steps with torch's profiler."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch


@contextlib.contextmanager
def profiled(steps: int, run: Path) -> Iterator[Callable[[], None]]:
    """Profile some steps after two warm-up steps: write profile.json and print the 20 most expensive operations.

    Args:
        steps: Number of steps; 0 disables profiling.
        run: Folder for profile.json, a trace for https://ui.perfetto.dev.

    Yields:
        A function to call after each step.
    """
    if not steps:
        yield lambda: None
        return
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"

    def finish(profiler: torch.profiler.profile) -> None:
        profiler.export_chrome_trace(str(run / "profile.json"))
        print(profiler.key_averages().table(sort_by=order, row_limit=20))

    schedule = torch.profiler.schedule(wait=1, warmup=1, active=steps, repeat=1)
    with torch.profiler.profile(schedule=schedule, on_trace_ready=finish) as profiler:
        yield profiler.step
