"""How data are read: once, in order, in whatever form they come."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from study.landscape.batches import ResidentData, read_splits
from study.landscape.directions import Direction
from study.landscape.evaluate import evaluate
from study.landscape.geometry import Line
from study.landscape.grid import Grid
from study.landscape.plan import EvaluationPlan

GRID = Grid.line(-0.4, 1.0, 3)


@pytest.fixture
def losses(mlp, vectors, cross_entropy):
    """The loss on a line, as bits, of the same 75 examples given in some form."""
    model = mlp()
    line = Line.random(model, seed=2)
    return lambda data: evaluate(model, cross_entropy, data, line, GRID).values["loss"].tolist()


def in_parts(inputs, targets, sizes):
    yield from zip(inputs.split(sizes), targets.split(sizes), strict=True)


def test_the_same_examples_give_the_same_bits_however_they_come(losses, vectors):
    inputs, targets = vectors(75)
    expected = losses([(inputs, targets)])
    assert len(set(expected)) == 3
    assert losses(in_parts(inputs, targets, [1, 40, 3, 31])) == expected, "a generator"
    assert losses([[inputs[i : i + 1], targets[i : i + 1]] for i in range(75)]) == expected, (
        "one by one, lists"
    )
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=16)
    assert losses(loader) == expected, "a DataLoader whose last batch is short"


def test_empty_batches_count_nothing(losses, vectors):
    inputs, targets = vectors(75)
    assert losses([(inputs[:0], targets[:0]), (inputs, targets)]) == losses([(inputs, targets)])


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(5, 3)

    def forward(self, left, right, *, flip=False):
        return self.net(right - left if flip else left - right)


@pytest.mark.parametrize("sizes", [[75], [7, 60, 8]])
def test_tuples_are_positional_and_dicts_are_by_name(vectors, cross_entropy, sizes):
    torch.manual_seed(3)
    model = TwoInputs()
    left, targets = vectors(75)
    right, _ = vectors(75, seed=9)
    line = Line.random(model)

    def values(form):
        batches = [
            (form(a, b), t)
            for a, b, t in zip(left.split(sizes), right.split(sizes), targets.split(sizes), strict=True)
        ]
        return evaluate(model, cross_entropy, batches, line, GRID).values["loss"].tolist()

    reference = evaluate(model.net, cross_entropy, [(left - right, targets)], line_of(model.net, line), GRID)
    flipped = evaluate(model.net, cross_entropy, [(right - left, targets)], line_of(model.net, line), GRID)
    np.testing.assert_allclose(values(lambda a, b: (a, b)), reference.values["loss"], rtol=1e-6)
    assert values(lambda a, b: {"right": b, "left": a}) == values(lambda a, b: (a, b))
    with_flag = values(lambda a, b: {"left": a, "right": b, "flip": True})
    np.testing.assert_allclose(with_flag, flipped.values["loss"], rtol=1e-6)


def line_of(net, line):
    """`line` in the weights of the inner network: the same entries under other names."""
    return Line.through(net, Direction(line.bases[1], {}))


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4)
        self.out = nn.Linear(4, 3)

    def forward(self, tokens):
        return self.out(self.table(tokens).mean(dim=1))


def test_ragged_batches_are_kept_apart_and_each_example_counts_once(cross_entropy):
    torch.manual_seed(0)
    model = Pooled().double()
    batches = [
        (torch.randint(0, 9, (count, length)), torch.randint(0, 3, (count,)))
        for count, length in ((5, 3), (1, 8), (40, 2))
    ]
    data = ResidentData.read(batches)
    assert (data.sizes, len(data)) == ((5, 1, 40), 46)
    starts = [(batch.start, batch.stop) for batch in data.micro_batches(EvaluationPlan(16, False, "cpu"))]
    assert starts == [(0, 5), (5, 6), (6, 19), (19, 32), (32, 46)]
    measured = evaluate(model, cross_entropy, batches, Line.random(model), GRID)
    alone = [
        cross_entropy(model(tokens[i : i + 1]), targets[i : i + 1]).item()
        for tokens, targets in batches
        for i in range(len(targets))
    ]
    assert len(alone) == 46
    assert measured.points["centre"].values["loss"] == pytest.approx(np.mean(alone), rel=1e-13)


def test_micro_batches_cover_the_examples_in_order():
    inputs = torch.arange(100).view(100, 1)
    data = ResidentData.read([((inputs, {"twice": 2 * inputs}), inputs[:, 0])])
    parts = list(data.micro_batches(EvaluationPlan(32, False, "cpu")))
    assert [part.size for part in parts] == [33, 33, 34]  # four would be smaller than 32
    assert torch.cat([part.targets for part in parts]).tolist() == list(range(100))
    for part in parts:
        assert part.inputs[0][:, 0].tolist() == list(range(part.start, part.stop))
        assert torch.equal(part.inputs[1]["twice"], 2 * part.inputs[0])


def test_placing_changes_layout_and_no_value(images):
    inputs, targets = images(6)
    placed = ResidentData.read([(inputs, targets)]).placed(EvaluationPlan(32, True, "cpu"))
    ((moved, same),) = placed.chunks
    assert moved.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moved, inputs)
    assert torch.equal(same, targets)


def test_a_mapping_is_one_split_a_name(mlp, vectors, cross_entropy):
    model = mlp()
    train, test = vectors(75), vectors(33, seed=8)
    line = Line.random(model)
    both = evaluate(model, cross_entropy, {"train": [train], "test": iter([test])}, line, GRID)
    assert both.splits == ["train", "test"]
    assert set(both.values) == {
        f"{split}/{name}"
        for split in ("train", "test")
        for name in ("loss", "accuracy", "loss_standard_error")
    }
    for name, data in (("train", train), ("test", test)):
        alone = evaluate(model, cross_entropy, [data], line, GRID)
        assert alone.splits == [""]
        for value in ("loss", "accuracy", "loss_standard_error"):
            np.testing.assert_array_equal(both.values[f"{name}/{value}"], alone.values[value])
        np.testing.assert_array_equal(both.example_losses[name], alone.example_losses[""])
    assert both.provenance["splits"]["test"] == {"examples": 33, "population": None}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "data must hold at least one example, it is empty"),
        ([(torch.zeros(0, 5), torch.zeros(0))], "data must hold at least one example"),
        ({}, "at least one split"),
        ({"train": []}, r"data\['train'\] must hold at least one example"),
        ([torch.zeros(4, 5)], r"pair \(inputs, targets\), got Tensor"),
        ([(torch.zeros(4, 5), torch.zeros(4), torch.zeros(4))], "pair"),
        ([(torch.zeros(4, 5), torch.zeros(3))], r"same length, got shapes \[\(4, 5\), \(3,\)\]"),
        ([(torch.zeros(5), torch.tensor(1))], "same length"),
        ([(torch.zeros(4, 5), np.zeros(4))], "must hold tensors, got NumPy arrays"),
    ],
)
def test_what_are_no_examples_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        read_splits(data)


def test_reading_a_loader_leaves_the_global_generator(vectors):
    loader = DataLoader(TensorDataset(*vectors(20)), batch_size=6, shuffle=True)
    before = torch.get_rng_state()
    assert len(ResidentData.read(loader)) == 20
    assert torch.equal(before, torch.get_rng_state())
