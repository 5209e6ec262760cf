"""Models against published sizes, the published example and forward passes written out here."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from study.models import count_parameters, initialise
from study.models.cnn import cnn
from study.models.custom import custom
from study.models.mlp import mlp


class PyTorchMnistExample(nn.Module):
    """github.com/pytorch/examples, mnist/main.py, written as there."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = self.conv1(x)
        x = functional.relu(x)
        x = self.conv2(x)
        x = functional.relu(x)
        x = functional.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = functional.relu(x)
        x = self.dropout2(x)
        x = self.fc2(x)
        return functional.log_softmax(x, dim=1)


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_cnn_is_the_published_network():
    model = initialise(lambda: cnn((1, 28, 28), 10), seed=1)
    published = initialise(PyTorchMnistExample, seed=1)
    assert count_parameters(model) == 1_199_882
    assert list(model.state_dict()) == list(published.state_dict())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in published.state_dict().items())
    batch = images(3, 1, 28, 28)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = published.train()(batch)
        torch.manual_seed(5)
        logits = model.train()(batch)  # the same dropout masks, so the same places and probabilities
    assert torch.equal(functional.log_softmax(logits, dim=1), expected)
    targets = torch.tensor([3, 0, 9])
    torch.testing.assert_close(
        functional.cross_entropy(logits, targets), functional.nll_loss(expected, targets), rtol=1e-6, atol=0
    )


def test_cnn_forward_written_out():
    model = initialise(lambda: cnn((3, 9, 12), 4), seed=0).eval()
    weights = dict(model.named_parameters())
    batch = images(2, 3, 9, 12)

    def convolve(inputs, name):  # a convolution as a matrix product over its 3 x 3 patches
        height, width = inputs.shape[2] - 2, inputs.shape[3] - 2
        patches = functional.unfold(inputs, 3)
        outputs = weights[f"{name}.weight"].flatten(1) @ patches + weights[f"{name}.bias"][:, None]
        return outputs.clamp(min=0).reshape(len(inputs), -1, height, width)

    maps = convolve(convolve(batch, "conv1"), "conv2")[:, :, :4, :8]  # (5, 8): the odd row is pooled away
    pooled = maps.reshape(2, 64, 2, 2, 4, 2).amax((3, 5)).reshape(2, -1)
    hidden = (pooled @ weights["fc1.weight"].T + weights["fc1.bias"]).clamp(min=0)
    expected = hidden @ weights["fc2.weight"].T + weights["fc2.bias"]
    torch.testing.assert_close(model(batch), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("input_shape", "features"), [((3, 32, 32), 12_544), ((1, 6, 6), 64), ((2, 7, 10), 192), ((1, 8, 8), 256)]
)
def test_cnn_takes_other_sizes_and_channels(input_shape, features):
    model = cnn(input_shape, 5)
    assert model.fc1.in_features == features
    assert model(images(2, *input_shape)).shape == (2, 5)


def test_cnn_dropout_is_what_it_is_told():
    model = cnn((1, 8, 8), 10, conv_dropout=0.1, hidden_dropout=0.0)
    assert (model.dropout1.p, model.dropout2.p) == (0.1, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (1, 5, 28)}, "cnn needs images of at least 6 x 6 pixels, got 5 x 28"),
        ({"input_shape": (64,)}, r"cnn needs inputs of shape \(channels, height, width\), got \(64,\)"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"conv_dropout": 1.0}, r"conv_dropout must be at least 0 and below 1, got 1\.0"),
        ({"hidden_dropout": -0.1}, r"hidden_dropout must be at least 0 and below 1, got -0\.1"),
    ],
)
def test_cnn_refuses(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        cnn(**{"input_shape": (1, 28, 28), "num_classes": 10} | arguments)


def test_mlp_sizes_and_forward_by_hand():
    model = initialise(lambda: mlp((2, 3, 4), 5, [7, 6]), seed=0)
    assert count_parameters(model) == (24 * 7 + 7) + (7 * 6 + 6) + (6 * 5 + 5)
    weights = dict(model.named_parameters())
    batch = images(3, 2, 3, 4)
    hidden = batch.reshape(3, 24)
    for name in ("linear1", "linear2"):
        hidden = (hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]).clamp(min=0)
    expected = hidden @ weights["output.weight"].T + weights["output.bias"]
    torch.testing.assert_close(model(batch), expected)


def test_mlp_with_batch_normalization_by_hand():
    model = initialise(lambda: mlp((6,), 3, [4], norm="batch"), seed=0).train()
    assert count_parameters(model) == 6 * 4 + 2 * 4 + 4 * 3 + 3
    weights = dict(model.named_parameters())
    batch = images(10, 6)
    hidden = batch @ weights["linear1.weight"].T
    hidden = (hidden - hidden.mean(0)) / (
        hidden.var(0, correction=0) + 1e-5
    ).sqrt()  # scale 1, shift 0 at first
    expected = hidden.clamp(min=0) @ weights["output.weight"].T + weights["output.bias"]
    torch.testing.assert_close(model(batch), expected, rtol=1e-5, atol=1e-6)


def test_mlp_without_hidden_layers_is_softmax_regression():
    model = mlp((1, 28, 28), 10, [])
    assert count_parameters(model) == 7_850
    assert [type(layer) for layer in model] == [nn.Flatten, nn.Linear]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": [10, 0]}, r"widths must be at least 1, got \[10, 0\]"),
        ({"norm": "layer"}, "norm must be 'none' or 'batch', got 'layer'"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"input_shape": ()}, r"mlp needs inputs of at least one entry, got shape \(\)"),
    ],
)
def test_mlp_refuses(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        mlp(**{"input_shape": (4,), "num_classes": 2, "widths": [3]} | arguments)


def test_initialise_depends_on_the_seed_alone_and_leaves_the_callers_generator():
    def build():
        return mlp((5,), 2, [4])

    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = initialise(build, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(7)
    again, other = initialise(build, seed=3), initialise(build, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.linear1.weight, other.linear1.weight)
    torch.manual_seed(3)
    assert torch.equal(first.linear1.weight, build().linear1.weight)  # what torch itself draws at that seed


def test_initialise_gives_the_generator_back_after_an_error():
    def fail():
        torch.rand(3)
        raise KeyError("no model")

    before = torch.get_rng_state()
    with pytest.raises(KeyError):
        initialise(fail, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_count_parameters_counts_shared_and_frozen_ones_once_and_no_buffers():
    shared = nn.Linear(3, 3, bias=False)
    model = nn.Sequential(shared, nn.BatchNorm1d(3), shared)
    shared.weight.requires_grad_(False)
    assert count_parameters(model) == 9 + 6


MODELS = """
from torch import nn

def plain(hidden, bias=True):
    return nn.Linear(hidden, 2, bias=bias)

def shaped(num_classes, *, input_shape, width=3):
    model = nn.Linear(width, num_classes)
    model.told = input_shape
    return model

def forwards(**kwargs):
    return nn.Linear(**kwargs)

def text():
    return "no model"

def lazy(num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyBatchNorm1d(), nn.LazyLinear(num_classes))
"""


@pytest.fixture
def users_models(tmp_path, monkeypatch):
    (tmp_path / "users_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "users_models"
    sys.modules.pop("users_models", None)


def test_custom_models_get_the_shapes_that_they_ask_for(users_models):
    def build(name, **arguments):
        return custom(f"{users_models}:{name}", arguments, (1, 2, 4), 6)

    assert build("plain", hidden=8, bias=False).bias is None
    assert build("shaped").out_features == 6
    assert build("shaped").told == (1, 2, 4)
    assert build("shaped", num_classes=9).out_features == 9
    assert build("forwards", in_features=3, out_features=4).out_features == 4
    assert isinstance(custom("torch.nn:Identity", {}, (1,), 2), nn.Identity)


def test_custom_models_leave_no_weight_to_their_first_batch(users_models):
    def build():
        return custom(f"{users_models}:lazy", {}, (1, 2, 4), 6)

    first, again = (initialise(build, seed=3) for _ in range(2))
    assert count_parameters(first) == 2 * 8 + 8 * 6 + 6
    assert all(torch.equal(one, two) for one, two in zip(first.parameters(), again.parameters(), strict=True))
    assert first.training
    assert not first[1].running_mean.any()
    assert first[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("text", {}, "must make a torch.nn.Module, got str"),
        ("plain", {}, "arguments [] do not fit: missing a required argument: 'hidden'"),
        ("plain", {"hiden": 3}, "do not fit"),
        ("nothing", {}, "attribute 'nothing' not found"),
    ],
)
def test_custom_models_that_do_not_fit_are_refused_in_one_line(users_models, name, arguments, message):
    with pytest.raises(ValueError, match=f"users_models:{name}") as error:
        custom(f"{users_models}:{name}", arguments, (1, 2, 4), 6)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
