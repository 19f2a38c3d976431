"""What `evaluate_zero_shot.py` is made of: embeddings and scores, measures with intervals, tasks, pictures."""
