"""What `train_accelerate.py` is made of: arguments, batches, augmentation, model, validation, checkpoints."""
