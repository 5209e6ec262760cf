"""Data that are not as they should be, by the command and by the library: one line, or the right number."""

# ruff: noqa: E501  # messages stand whole

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from study import Grid, Line, Status, evaluate
from study.landscape.result import Landscape

OWN_DATA = """
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from study.training.data import DataSet, Examples
from study.training.tasks import Classification, Regression


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.zeros(1, 8, 8), 0)])


def inputs(count, seed):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def data(kind="plain"):
    x, y, u, v = inputs(64, 0), torch.arange(64) % 3, inputs(32, 1), torch.arange(32) % 3
    match kind:
        case "train not a number":
            x[5, 0, 1, 1] = float("nan")
        case "test not a number":
            u[6, 0, 1, 1] = float("nan")
        case "infinite":
            x[5, 0, 1, 1] = -float("inf")
        case "beyond float32":
            x = x.double() * 1e300
        case "negative label":
            y[3] = -1
        case "ignored label":
            y[3] = -100
        case "enormous label":
            y[3] = 10**12
        case "numbers":
            y, v = y.float(), v.float()
        case "number not a number":
            y, v = y.float(), v.float()
            y[3] = float("nan")
        case "infinite number":
            y, v = y.float(), v.float()
            v[4] = float("inf")
        case "numbers in one split":
            y = y.float()
        case "truth values":
            y, v = y > 0, v > 0
        case "no training":
            x, y = x[:0], y[:0]
        case "no test":
            u, v = u[:0], v[:0]
        case "one class":
            y, v = y * 0, v * 0
        case "one class of six":
            y, v = y * 0 + 5, v * 0 + 5
        case "classes with gaps":
            y, v = y * 5, v * 5
        case "more classes in the test":
            v = v + 4
        case "another size":
            u = torch.zeros(32, 1, 9, 9)
        case "more channels":
            u = torch.zeros(32, 3, 8, 8)
        case "fewer labels":
            y = y[:-1]
        case "more test labels":
            v = torch.cat([v, v[:1]])
        case "bytes":
            x, u = (x * 50).to(torch.uint8), (u * 50).to(torch.uint8)
        case "integers":
            x, u = x.long(), u.long()
        case "float64":
            x, u = x.double(), u.double()
        case "float16":
            x, u = x.half(), u.half()
        case "complex":
            x = x.to(torch.complex64)
        case "a column of labels":
            y, v = y[:, None], v[:, None]
        case "one hot integers":
            y, v = torch.eye(3).long()[y], torch.eye(3).long()[v]
        case "transposed":
            x = x.transpose(2, 3)
        case "with gradients":
            x = x.requires_grad_()
        case "on meta":
            x = x.to("meta")
        case "sparse":
            x = x.to_sparse()
        case "lists":
            x, y = x.tolist(), y.tolist()
        case "words":
            y = ["a"] * 64
        case "objects":
            x = np.array([None] * 64)
        case "no labels":
            y = None
        case "loaders":
            return DataLoader(TensorDataset(x, y), 32), DataLoader(TensorDataset(u, v), 32)
        case "datasets":
            return TensorDataset(x, y), TensorDataset(u, v)
        case "streams":
            return Stream(), Stream()
        case "a dict":
            return {"train": (x, y), "test": (u, v)}
        case "three parts":
            return (x, y, y), (u, v, v)
        case "three splits":
            return (x, y), (u, v), (u, v)
        case "text":
            return "data"
        case "vectors without width":
            return (x[:, 0, 0, 0], y), (u[:, 0, 0, 0], v)
        case "without channels":
            return (x[:, :0], y), (u[:, :0], v)
        case "two and three numbers":
            return (x, torch.ones(64, 2)), (u, torch.ones(32, 3))
        case "matrices of numbers":
            return (x, torch.ones(64, 2, 2)), (u, torch.ones(32, 2, 2))
        case "a constant":
            return (x, torch.ones(64)), (u, torch.ones(32))
        case "own nan":
            x[0] = float("nan")
            return DataSet("own", Examples(x, y), Examples(u, v), Classification(3))
        case "own with too few classes":
            return DataSet("own", Examples(x, y), Examples(u, v), Classification(2))
        case "own without classes":
            return DataSet("own", Examples(x, y), Examples(u, v), Classification(0))
        case "own in float64":
            return DataSet("own", Examples(x.double(), y), Examples(u, v), Classification(3))
        case "own without a task":
            return DataSet("own", Examples(x, y), Examples(u, v), None)
        case "own lists":
            return DataSet("own", Examples([1.0], [2]), Examples(u, v), Classification(3))
        case "own on meta":
            return DataSet("own", Examples(x.to("meta"), y), Examples(u, v), Classification(3))
        case "own without a name":
            return DataSet(3, Examples(x, y), Examples(u, v), Classification(3))
        case "own numbers for classes":
            return DataSet("own", Examples(x, y), Examples(u, v), Regression(1))
        case "one of each":
            return (x[:1], y[1:2]), (u[:1], v[:1])
        case "three to train on":
            return (x[:3], y[:3]), (u[:2], v[:2])
        case "raises":
            return 1 / 0
    return (x, y), (u, v)
"""
CUSTOM = ("data=custom", "data.path=own_for_bad_input:data")
OF = "own_for_bad_input:data"
NO_DATA = f"data.path '{OF}' must return a DataSet or ((train_inputs, train_targets), (test_inputs, test_targets)), got "

REFUSED = {
    "train not a number": f"{OF}: train inputs must be finite, got nan in example 5",
    "test not a number": f"{OF}: test inputs must be finite, got nan in example 6",
    "infinite": f"{OF}: train inputs must be finite, got -inf in example 5",
    "beyond float32": f"{OF}: train inputs must be finite, got ",
    "negative label": f"{OF}: targets must be classes counted from 0, got -1 as the smallest and 2 as the largest",
    "ignored label": f"{OF}: targets must be classes counted from 0, got -100 as the smallest and 2 as the largest",
    "enormous label": "model must be a network of 1000000000001 outputs that this machine can hold, got ",
    "number not a number": f"{OF}: train targets must be finite, got nan in example 3",
    "infinite number": f"{OF}: test targets must be finite, got inf in example 4",
    "numbers in one split": f"{OF}: targets of both splits must be integers or floating-point, got torch.float32 and torch.int64",
    "truth values": f"{OF}: train targets must be integers or floating-point, got torch.bool",
    "no training": f"{OF}: train inputs must not be empty, got shape (0, 1, 8, 8)",
    "no test": f"{OF}: test inputs must not be empty, got shape (0, 1, 8, 8)",
    "one class": f"{OF}: there must be at least two classes, got 1",
    "another size": f"{OF}: both splits must have one input shape, got (1, 8, 8) and (1, 9, 9)",
    "more channels": f"{OF}: both splits must have one input shape, got (1, 8, 8) and (3, 8, 8)",
    "fewer labels": f"{OF}: train inputs and targets must be as many, got 64 and 63",
    "more test labels": f"{OF}: test inputs and targets must be as many, got 32 and 33",
    "bytes": f"{OF}: train inputs must be floating-point, got torch.uint8",
    "integers": f"{OF}: train inputs must be floating-point, got torch.int64",
    "complex": f"{OF}: train inputs must be floating-point, got torch.complex64",
    "a column of labels": f"{OF}: train targets must be int64 of shape (N,), got torch.int64 (64, 1)",
    "one hot integers": f"{OF}: train targets must be int64 of shape (N,), got torch.int64 (64, 3)",
    "on meta": f"{OF}: train inputs must be dense and hold data, got a tensor of the device meta",
    "sparse": f"{OF}: train inputs must be dense and hold data, got a tensor of torch.sparse_coo",
    "words": f"{OF}: train targets must be a tensor or an array of numbers: ",
    "objects": f"{OF}: train inputs must be a tensor or an array of numbers: ",
    "no labels": f"{OF}: train targets must be a tensor or an array of numbers: ",
    "loaders": f"{NO_DATA}tuple",
    "datasets": f"{NO_DATA}tuple",
    "streams": f"{NO_DATA}tuple",
    "a dict": f"{NO_DATA}dict",
    "three parts": f"{NO_DATA}tuple",
    "three splits": f"{NO_DATA}tuple",
    "text": f"{NO_DATA}str",
    "vectors without width": f"{OF}: train inputs must be float32 of shape (N, ...), got torch.float32 (64,)",
    "without channels": f"{OF}: train inputs must not be empty, got shape (64, 0, 8, 8)",
    "two and three numbers": f"{OF}: test targets must be float32 of shape (N, 2), got torch.float32 (32, 3)",
    "matrices of numbers": f"{OF}: train targets must be float32 of shape (N,) or (N, 1), got torch.float32 (64, 2, 2)",
    "own nan": "own: train inputs must be finite, got nan in example 0",
    "own with too few classes": "own: train targets must be from 0 to 1, got 2 in example 2",
    "own without classes": "own: train targets must be from 0 to -1, got 0 in example 0",
    "own in float64": "own: train inputs must be float32 of shape (N, ...), got torch.float64 (64, 1, 8, 8)",
    "own without a task": "a DataSet must have a name and a task, got 'own' and None",
    "own lists": "own: train inputs must be a dense tensor that holds data, got list",
    "own on meta": "own: train inputs must be a dense tensor that holds data, got Tensor",
    "own without a name": "a DataSet must have a name and a task, got 3 and Classification(num_classes=3)",
    "own numbers for classes": "own: train targets must be float32 of shape (N,) or (N, 1), got torch.int64 (64,)",
    "raises": f"data.path '{OF}' raised ZeroDivisionError: division by zero (",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_data_that_cannot_be_learnt_are_one_line(kind, own_code, refusal):
    own_code(OWN_DATA)
    assert refusal(*CUSTOM, data__arguments={"kind": kind}).startswith(REFUSED[kind])


@pytest.mark.parametrize("kind", ["train not a number", "no test", "one class", "streams", "sparse"])
def test_the_command_says_the_same_line_and_exits(kind, own_code, refused):
    own_code(OWN_DATA)
    given = f"+data.arguments.kind={kind}"
    assert refused(*CUSTOM, "model=mlp", "landscape=[]", "tracking=none", given) == REFUSED[kind]


# Of other sizes than a network takes: the model's own name and the shape that it got.
SHAPES = {
    ("model=cnn", "data=wine"): "cnn needs inputs of shape (channels, height, width), got (13,)",
    ("model=resnet", "data=diabetes"): "resnet needs inputs of shape (channels, height, width), got (10,)",
    ("model=lenet", "data=small_digits"): "lenet needs images of at least ",
    ("model=vit", "data=small_digits", "model.patch_size=5"): "",
}


@pytest.mark.parametrize("words", SHAPES)
def test_images_of_another_size_than_the_network_takes_are_one_line(words, refusal):
    sizes = ["data.train_examples=64", "data.test_examples=32"]
    assert refusal(*words, *sizes).startswith(SHAPES[words])


TAKEN = [
    "plain",
    "float64",
    "float16",
    "transposed",
    "with gradients",
    "lists",
    "one class of six",
    "classes with gaps",
    "more classes in the test",
    "one of each",
    "three to train on",
    "numbers",
    "a constant",
]


@pytest.mark.parametrize("kind", TAKEN)
def test_unusual_data_have_the_loss_that_numpy_finds(kind, own_code, landscape_of, preparing):
    """At a network of one linear layer, of which a landscape is read: logits, softmax and mean by NumPy."""
    own_code(OWN_DATA)
    given = {"data__arguments": {"kind": kind}, "model__widths": []}
    record = landscape_of(
        *CUSTOM, "landscape=[line]", "landscape.line.points=2", "landscape.line.split=both", **given
    )
    line = Landscape.from_bytes(record.read("landscapes/line.npz"))
    prepared = preparing(*CUSTOM, **given)
    from study.source import load_source

    state = load_source(record.config_hash, record.output_dir).solution
    weight, bias = (state[f"output.{name}"].double().numpy() for name in ("weight", "bias"))
    for name in ("train", "test"):
        split = getattr(prepared.data, name)
        outputs = split.inputs.flatten(1).double().numpy() @ weight.T + bias
        targets = split.targets.numpy()
        if split.targets.is_floating_point():
            losses = (outputs[:, 0] - targets) ** 2
        else:
            highest = outputs.max(axis=1, keepdims=True)
            losses = (
                np.log(np.exp(outputs - highest).sum(axis=1))
                + highest[:, 0]
                - outputs[range(len(targets)), targets]
            )
        assert line.points["solution"].values[f"{name}/loss"] == pytest.approx(
            losses.mean(), rel=1e-4, abs=1e-6
        )
    assert "self_check_failed" not in record.read_json("state.json")["tags"]


# By the library


INPUTS = torch.randn(40, 5, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(40) % 3
GRID = Grid.line(-1, 1, 3)
ROWS = torch.arange(40)[:, None]


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def cross_entropy(outputs, labels):
    return nn.functional.cross_entropy(outputs, labels, reduction="none")


def squared(outputs, targets):
    return (outputs - targets).square().mean(dim=1)


def read(data, loss=cross_entropy, model=None, **settings) -> Landscape:
    model = model or network()
    return evaluate(model, loss, data, Line.random(model), GRID, **settings)


def batches(size: int):
    return list(zip(INPUTS.split(size), LABELS.split(size), strict=True))


class Loader:
    """Gives other batches from pass to pass, and says how many there are."""

    def __init__(self, *passes, length=None):
        self.passes, self.length, self.read = passes, length, 0

    def __iter__(self):
        self.read += 1
        return iter(self.passes[min(self.read, len(self.passes)) - 1])


class Sized(Loader):
    def __len__(self):
        return self.length


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(INPUTS, LABELS, strict=True))


REFUSED_BY_LIBRARY = {
    "an empty loader": (
        lambda: DataLoader(TensorDataset(INPUTS[:0], LABELS[:0]), 7),
        "data must hold at least one example, it is empty",
    ),
    "a loader used up": (lambda: iter([]), "data must hold at least one example, it is empty"),
    "empty batches alone": (
        lambda: [(INPUTS[:0], LABELS[:0])] * 3,
        "data must hold at least one example, it is empty",
    ),
    "one iterator for two splits": (
        lambda: dict.fromkeys(["train", "test"], iter(batches(7))),
        "data['test'] must hold at least one example, it is empty",
    ),
    "no split": (dict, "data must hold at least one split, the mapping is empty"),
    "a loader that ends early": (
        lambda: Sized(batches(8), length=9),
        "data must give the 9 batches that its length says, it ended after 5",
    ),
    "a split that ends early": (
        lambda: {"train": Sized(batches(8)[:3], length=5)},
        "data['train'] must give the 5 batches that its length says, it ended after 3",
    ),
    "a data set": (
        lambda: TensorDataset(INPUTS, LABELS),
        "all tensors of a batch of data must have the same length, got shapes [(5,), ()]",
    ),
    "a stream without batches": (
        lambda: DataLoader(Stream(), batch_size=None),
        "all tensors of a batch of data must have the same length, got shapes [(5,), ()]",
    ),
    "a pair of tensors": (
        lambda: (INPUTS, LABELS),
        "each batch of data must be a pair (inputs, targets), got Tensor",
    ),
    "a tensor": (lambda: INPUTS, "each batch of data must be a pair (inputs, targets), got Tensor"),
    "dicts": (
        lambda: [{"x": INPUTS, "y": LABELS}],
        "each batch of data must be a pair (inputs, targets), got dict",
    ),
    "words": (lambda: ["ab"], "each batch of data must be a pair (inputs, targets), got str"),
    "arrays": (
        lambda: [(INPUTS.numpy(), LABELS.numpy())],
        "each batch of data must hold tensors, got NumPy arrays: torch.from_numpy makes them",
    ),
    "numbers": (lambda: [(1, 2)], "all tensors of a batch of data must have the same length, got shapes []"),
    "fewer labels": (
        lambda: [(INPUTS, LABELS[1:])],
        "all tensors of a batch of data must have the same length, got shapes [(40, 5), (39,)]",
    ),
    "on meta": (
        lambda: [(INPUTS.to("meta"), LABELS)],
        "each batch of data must hold data, got tensors on the device meta",
    ),
    "an ignored label": (
        lambda: [(INPUTS, torch.where(ROWS[:, 0] == 33, -100, LABELS))],
        "labels must be classes, got -100 in example 33: cross-entropy ignores such examples, so leave them out",
    ),
    "labels too high": (lambda: [(INPUTS, LABELS + 3)], "Target 3 is out of bounds."),
    "labels too low": (lambda: [(INPUTS, LABELS - 1)], "Target -1 is out of bounds."),
    "labels as numbers": (
        lambda: [(INPUTS, LABELS.float())],
        "expected target dtype to be Long or Byte, but got Float",
    ),
    "labels in a column": (
        lambda: [(INPUTS, LABELS[:, None])],
        "0D or 1D target tensor expected, multi-target not supported",
    ),
    "bytes": (
        lambda: [(INPUTS.to(torch.uint8), LABELS)],
        "mat1 and mat2 must have the same dtype, but got Byte and Float",
    ),
    "float64": (
        lambda: [(INPUTS.double(), LABELS)],
        "mat1 and mat2 must have the same dtype, but got Double and Float",
    ),
    "another width": (
        lambda: [(INPUTS[:, :4], LABELS)],
        "mat1 and mat2 shapes cannot be multiplied (2x4 and 5x4)",
    ),
    "another width later": (
        lambda: [(INPUTS, LABELS), (INPUTS[:, :4], LABELS)],
        "mat1 and mat2 shapes cannot be multiplied (40x4 and 5x4)",
    ),
}


@pytest.mark.parametrize("name", REFUSED_BY_LIBRARY)
def test_the_library_refuses_in_one_line(name):
    make, message = REFUSED_BY_LIBRARY[name]
    with pytest.raises((ValueError, RuntimeError, IndexError)) as error:
        read(make())
    assert str(error.value) == message


def test_an_error_within_a_loader_is_the_callers():
    with pytest.raises(ZeroDivisionError):
        read(1 / 0 for _ in range(3))


TAKEN_BY_LIBRARY = {
    "a loader": lambda: DataLoader(TensorDataset(INPUTS, LABELS), 7),
    "a loader that shuffles": lambda: DataLoader(TensorDataset(INPUTS, LABELS), 7, shuffle=True),
    "a last batch of one": lambda: DataLoader(TensorDataset(INPUTS, LABELS), 39),
    "batches of one": lambda: DataLoader(TensorDataset(INPUTS, LABELS), 1),
    "a stream in batches": lambda: DataLoader(Stream(), 7),
    "a second pass that is shorter": lambda: Loader(batches(8), batches(8)[:1]),
    "a second pass that is empty": lambda: Loader(batches(8), []),
    "another order at each pass": lambda: Loader(batches(8), batches(8)[::-1]),
    "a length of examples": lambda: Sized(batches(8), length=40),
    "a length too short": lambda: Sized(batches(8), length=2),
    "a generator": lambda: (batch for batch in batches(3)),
    "empty batches between": lambda: [(INPUTS[:0], LABELS[:0]), *batches(16), (INPUTS[:0], LABELS[:0])],
    "labels of a byte": lambda: [(INPUTS, LABELS.to(torch.uint8))],
    "inputs with gradients": lambda: [(INPUTS.clone().requires_grad_(), LABELS)],
    "transposed inputs": lambda: [(INPUTS.t().contiguous().t(), LABELS)],
}


@pytest.mark.parametrize("name", TAKEN_BY_LIBRARY)
def test_an_unusual_loader_is_read_once_and_every_example_counts_once(name):
    torch.manual_seed(5)
    drawn = torch.get_rng_state()
    found = read(TAKEN_BY_LIBRARY[name]())
    expected = cross_entropy(network()(INPUTS), LABELS).double().mean().item()
    assert found.points["centre"].values["loss"] == pytest.approx(expected, rel=1e-6)
    assert found.provenance["splits"][""]["examples"] == 40
    assert torch.equal(torch.get_rng_state(), drawn)


def test_examples_that_a_loader_drops_are_not_counted():
    found = read(DataLoader(TensorDataset(INPUTS, LABELS), 7, drop_last=True))
    expected = cross_entropy(network()(INPUTS[:35]), LABELS[:35]).double().mean().item()
    assert found.points["centre"].values["loss"] == pytest.approx(expected, rel=1e-6)
    assert found.provenance["splits"][""]["examples"] == 35


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["inputs", "targets"])
def test_numbers_that_are_none_diverge_and_are_never_left_out(value, where):
    broken = torch.where(ROWS == 3, value, INPUTS)
    data = [(broken, INPUTS[:, :3])] if where == "inputs" else [(INPUTS, broken[:, :3])]
    found = read(data, squared)
    assert not np.isfinite(found.values["loss"]).any()
    assert (found.status == Status.DIVERGED).all()


def test_one_class_is_a_landscape_like_any_other():
    found = read([(INPUTS, LABELS * 0)])
    logits = network()(INPUTS).detach().double().numpy()
    expected = np.log(np.exp(logits - logits[:, :1]).sum(axis=1)).mean()
    assert found.points["centre"].values["loss"] == pytest.approx(expected, rel=1e-6)


STATISTICS = {
    "none given": ({}, "batch_statistics 'recomputed' needs statistics_data, batches of training examples"),
    "empty": ({"statistics_data": []}, "statistics_data must hold at least one example, it is empty"),
    "no pairs": (
        {"statistics_data": [INPUTS]},
        "each batch of statistics_data must be a pair (inputs, targets), got Tensor",
    ),
    "one example": (
        {"statistics_data": [(INPUTS[:1], LABELS[:1])]},
        "Expected more than 1 value per channel when training, got input size torch.Size([1, 3])",
    ),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_examples_that_give_no_statistics_are_refused(name):
    settings, message = STATISTICS[name]
    model = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared whole below
        read([(INPUTS, LABELS)], model=model, batch_statistics="recomputed", **settings)
    assert str(error.value) == message
    assert model.training
