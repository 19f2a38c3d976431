"""Publish models, query corpora, the metric and the demo on the Hugging Face Hub."""
