"""A run so small that it takes a fraction of a second: a network of one hidden layer on a few digits."""

SMALL = (
    "data=small_digits",
    "data.train_examples=64",
    "data.test_examples=32",
    "model=mlp",
    "model.widths=[4]",
    "training.epochs=1",
    "training.batch_size=32",
    "training.threads=1",
    "evaluation.threads=1",
    "tracking=none",
)
