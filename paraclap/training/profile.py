"""A look into some steps: torch's profiler, off unless asked for."""

import contextlib

import torch


@contextlib.contextmanager
def profiled(steps, run):
    """Gives a function to call after each step; profiles `steps` of them after two to warm up, or none for 0.

    Writes profile.json, a trace for https://ui.perfetto.dev, to the run's folder and prints the 20 most costly
    operations.
    """
    if not steps:
        yield lambda: None
        return
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"

    def finish(profiler):
        profiler.export_chrome_trace(str(run / "profile.json"))
        print(profiler.key_averages().table(sort_by=order, row_limit=20))

    schedule = torch.profiler.schedule(wait=1, warmup=1, active=steps, repeat=1)
    with torch.profiler.profile(schedule=schedule, on_trace_ready=finish) as profiler:
        yield profiler.step
