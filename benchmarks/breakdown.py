r"""Break the time of one clip's audio embedding down: how close to the machine's matrix-product rate, and the rest.

    python -m benchmarks.breakdown                          # the default model, bfloat16, laid out, one core
    python -m benchmarks.breakdown --dtype float32 --seconds 60

One clip is embedded again and again on one thread under torch's profiler. Its operators' own times are summed by kind;
the reference is the time that the clip's matrix products take at the rate measured in the same run.
"""

import argparse
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.inference import matrix_product_rate, operations_per_second
from modeling_paraclap import ParaClapModel, keep_freed_memory
from paraclap.publishing.default_checkpoint import default_release
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

# Kind -> parts of the names of torch's operators; the first that matches counts.
KINDS = {
    "matrix products, convolutions": ("mm", "linear", "conv", "matmul"),
    "attention": ("scaled_dot_product", "flash_attention", "softmax"),
    "spectra of the front ends": ("fft", "stft"),
    "activation, normalisation": ("gelu", "norm", "tanh", "sigmoid"),
    "copies and layout": ("copy", "contiguous", "clone", "cat", "pad", "index", "to_copy", "reorder", "fill", "empty"),
    "element by element": ("",),
}


def kind_of(operator: str) -> str:
    """Return the kind of an operator."""
    return next(kind for kind, parts in KINDS.items() if any(part in operator for part in parts))


@torch.inference_mode()
def break_down(model: ParaClapModel, waveform: torch.Tensor, rounds: int) -> dict[str, float]:
    """Return the CPU seconds of one embedding by kind of operator."""
    for _ in range(3):
        model.get_audio_features(waveform)
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        for _ in range(rounds):
            model.get_audio_features(waveform)
    found = dict.fromkeys(KINDS, 0.0)
    for event in profiler.key_averages():
        found[kind_of(event.key)] += event.self_cpu_time_total / 1e6 / rounds
    return found


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Measure, and print a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="release folder in place of the default model")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--seconds", type=float, default=3.5, help="length of the clip (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=50)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dtype = getattr(torch, args.dtype)
    model = ParaClapModel.from_pretrained(args.model or default_release(), dtype=dtype).eval()
    operations = operations_per_second(model) * args.seconds  # first: products of the layout are not counted
    model.optimize_for_cpu()
    waveform = torch.from_numpy(synthesise(VOICES[0], args.seconds, seed=0))[None].float()
    found = break_down(model, waveform, args.rounds)
    rate, total = matrix_product_rate(dtype, 2.0), sum(found.values())
    print(f"{args.seconds:g} s at {SAMPLING_RATE} Hz, {args.dtype}, laid out, one thread: {1000 * total:.1f} ms")
    for kind, seconds in sorted(found.items(), key=lambda pair: -pair[1]):
        print(f"  {kind:32}{1000 * seconds:7.2f} ms{seconds / total:7.0%}")
    ideal = operations / rate
    print(
        f"  {operations / 1e9:.1f} GFLOP at {rate / 1e9:.0f} GFLOP/s take {1000 * ideal:.1f} ms: "
        f"{ideal / total:.2f} of the matrix-product rate"
    )
    return found


if __name__ == "__main__":
    keep_freed_memory()  # of this process, so not within `main`
    main()
