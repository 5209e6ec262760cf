"""Data and the training loop: nothing of models, configuration, tracking or landscapes."""
