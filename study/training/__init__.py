"""Data, models, optimizers and the training loop: nothing of configuration, tracking or landscapes."""
