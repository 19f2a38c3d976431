"""Training: arguments, batches, augmentation, model, validation, checkpoints."""
