"""Measurements of speed and memory, each a command: `python -m benchmarks.NAME`."""
