"""Zero-shot evaluation: systems, embeddings and scores, measures with intervals, tasks, tables, pictures."""
