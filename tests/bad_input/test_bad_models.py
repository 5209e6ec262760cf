"""Networks that are not as they should be, by the command and by the library: one line, or the right number."""

# ruff: noqa: E501  # messages stand whole

import numpy as np
import pytest
import torch
from torch import nn

from study import Grid, Line, Plane, Status, Weights, evaluate
from study.landscape.result import Landscape
from study.landscape.weights import Layout
from study.source import load_source

OWN_MODELS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, kind="plain", dtype=None):
        super().__init__()
        dtype = getattr(torch, dtype) if dtype else None
        self.first, self.last = nn.Linear(64, 6, dtype=dtype), nn.Linear(6, num_classes, dtype=dtype)
        self.kind, self.dtype = kind, dtype

    def forward(self, x):
        hidden = torch.tanh(self.first(x.flatten(1).to(self.dtype)))
        logits = self.last(hidden)
        match self.kind:
            case "grows":
                with torch.no_grad():
                    self.first.weight.add_(0.01)
            case "grows by data":
                self.first.weight.data = self.first.weight.data + 0.01
            case "replaces":
                self.first.weight = nn.Parameter(self.first.weight + 0.01)
            case "dict":
                return {"logits": logits}
            case "tuple":
                return logits, hidden
            case "none":
                return None
            case "not a number":
                return logits * float("nan")
            case "infinite":
                return logits / 0
            case "detached":
                return logits.detach()
            case "random":
                return logits + torch.randn_like(logits)
            case "always drops":
                return self.last(nn.functional.dropout(hidden, 0.5, True))
            case "complex":
                return logits.to(torch.complex64)
            case "integers":
                return logits.long()
            case "two rows":
                return logits[:2]
            case "two examples only":
                if len(x) != 2:
                    raise RuntimeError("only two examples")
            case "writes to its inputs":
                x.zero_()
            case "half outputs":
                return logits.half()
            case "double outputs":
                return logits.double()
            case "unused":
                return self.last(hidden.detach() * 0)
        return logits


def tied(num_classes):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Linear(64, num_classes))
    network[3].weight = network[1].weight
    return network


def shared(num_classes):
    layer = nn.Linear(64, 64)
    return nn.Sequential(nn.Flatten(), layer, nn.Tanh(), layer, nn.Linear(64, num_classes))


def half_frozen(num_classes):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, num_classes))
    network[1].requires_grad_(False)
    return network


class Buffers(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.register_buffer("order", torch.arange(63, -1, -1))
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("mask", torch.tensor([True, False] * 32), persistent=False)
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x):
        self.seen += 1
        return self.linear(x.flatten(1)[:, self.order] * self.mask)


def meta(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes, device="meta"))


def meta_buffer(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes), nn.BatchNorm1d(num_classes, affine=False, device="meta"))


def dropout():
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5))


def plain(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))


def inference(num_classes):
    with torch.inference_mode():
        return plain(num_classes)


def with_weight(num_classes, kind):
    network = plain(num_classes)
    weight = network[1].weight.detach()
    made = {
        "transposed": lambda: weight.t().contiguous().t(),
        "expanded": lambda: weight[:1].expand_as(weight),
        "sparse": weight.to_sparse,
        "not a number": lambda: weight * float("nan"),
    }
    network[1].weight = nn.Parameter(made[kind]())
    return network


def empty_parameter(num_classes):
    network = plain(num_classes)
    network.register_parameter("empty", nn.Parameter(torch.zeros(0, 3)))
    return network


def weight_norm(num_classes):
    return nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(64, num_classes)))


def hooked(num_classes):
    network = plain(num_classes)
    network.register_forward_hook(lambda _layer, _inputs, outputs: outputs * 2)
    return network


def broken_hook(num_classes):
    network = plain(num_classes)
    network[1].register_forward_hook(lambda *_given: {}["hook"])
    return network


def script(num_classes):
    return torch.jit.script(plain(num_classes))


def parallel(num_classes):
    return nn.DataParallel(plain(num_classes))


ONE = plain(10)


def same():
    return ONE


def own_draws(num_classes):
    import random

    network = plain(num_classes)
    nn.init.constant_(network[1].bias, random.random())
    return network


class Extra(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x):
        return self.linear(x.flatten(1))

    def get_extra_state(self):
        return {"epoch": 3}

    def set_extra_state(self, state):
        pass


class Uncopyable(Extra):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.stream = (number for number in range(3))

    get_extra_state = set_extra_state = nn.Module.get_extra_state


def module_class():
    return nn.Linear


def state(num_classes):
    return plain(num_classes).state_dict()
"""

CUSTOM = ("model=custom", "model.path=own_for_bad_input:Net")


def network_of(kind: str) -> dict[str, object]:
    """The keys of a network by the name of its function, or of a kind of `Net`."""
    name, _, argument = kind.partition(": ")
    arguments = {} if not argument else {"dtype" if name == "dtype" else "kind": argument}
    path = "Net" if name in {"Net", "dtype"} else name
    return {"model__path": f"own_for_bad_input:{path}", "model__arguments": arguments}


REFUSED = {
    "Net: grows": "model must leave its weights as they are when it is called, got 'custom'",
    "Net: grows by data": "model must leave its weights as they are when it is called, got 'custom'",
    "Net: replaces": "model must leave its weights as they are when it is called, got 'custom'",
    "Net: dict": "model must give 10 outputs an example, got 'dict'",
    "Net: tuple": "model must give 10 outputs an example, got 'tuple'",
    "Net: none": "model must give 10 outputs an example, got 'NoneType'",
    "Net: not a number": "model must give finite outputs with its first weights, got nan",
    "Net: infinite": "model must give finite outputs with its first weights, got ",
    "Net: detached": "model must give outputs that depend on weights to train, got 'custom'",
    "Net: random": "model must give the same outputs for the same inputs, but in training, got 'custom'",
    "Net: always drops": "model must give the same outputs for the same inputs, but in training, got 'custom'",
    "Net: complex": "model must give floating-point outputs, got 'torch.complex64'",
    "Net: integers": "model must give floating-point outputs, got 'torch.int64'",
    "Net: two rows": "model must give 10 outputs an example, got (2, 10)",
    "Net: two examples only": "model.path 'own_for_bad_input:Net' raised RuntimeError: only two examples on torch.float32 inputs of shape (3, 1, 8, 8) (",
    "Net: writes to its inputs": "model.path 'own_for_bad_input:Net' raised RuntimeError: one of the variables needed for gradient computation has been modified by an inplace operation",
    "dtype: complex64": "model must have weights to look at (every parameter must be real, 'first.weight' is torch.complex64), got 'custom'",
    "meta": "model must hold its weights, not be on the device meta, got 'custom'",
    "meta_buffer": "model must hold its weights, not be on the device meta, got 'custom'",
    "dropout": "model must have at least one parameter to train, got 'custom'",
    "inference": "model must have weights that can be trained ('1.weight' was made in inference mode), got 'custom'",
    "with_weight: expanded": "model must have weights that can be trained ('1.weight' is one entry repeated, as by expand), got 'custom'",
    "with_weight: sparse": "model must have weights to look at (every parameter must be dense, '1.weight' is torch.sparse_coo), got 'custom'",
    "with_weight: not a number": "model must give finite outputs with its first weights, got nan",
    "with_weight: no such": "model.path 'own_for_bad_input:with_weight' raised KeyError: 'no such' (",
    "broken_hook": "model.path 'own_for_bad_input:broken_hook' raised KeyError: 'hook' on torch.float32 inputs of shape (2, 1, 8, 8) (",
    "script": "model must have weights to look at (the model must be the network itself, not TorchScript made from it), got 'custom'",
    "parallel": "model must have weights to look at (the model must be the network itself, the .module of nn.DataParallel), got 'custom'",
    "same": "model.path must make a new network each time it is called, got 'own_for_bad_input:same'",
    "own_draws": "model.path must draw its weights from torch's generator alone: one seed gave two networks, got 'own_for_bad_input:own_draws'",
    "Extra": "model must have a state that can be kept (a checkpoint holds tensors only, got dict for '_extra_state'), got 'custom'",
    "Uncopyable": "model must be one that can be copied (cannot pickle 'generator' object), got 'custom'",
    "module_class": "model.path 'own_for_bad_input:module_class' must make a torch.nn.Module, got type",
    "state": "model.path 'own_for_bad_input:state' must make a torch.nn.Module, got OrderedDict",
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning", "ignore:Sparse")
@pytest.mark.parametrize("kind", REFUSED)
def test_a_network_that_cannot_be_trained_or_looked_at_is_one_line(kind, own_code, refusal):
    own_code(OWN_MODELS)
    assert refusal(*CUSTOM, **network_of(kind)).startswith(REFUSED[kind])


@pytest.mark.parametrize("kind", ["Net: grows", "Net: random", "same", "meta", "Extra"])
def test_the_command_says_the_same_line_and_exits(kind, own_code, refused):
    own_code(OWN_MODELS)
    path = network_of(kind)["model__path"]
    argument = kind.partition(": ")[2]
    given = [f"+model.arguments.kind={argument}"] if argument else []
    from_here = ["data=small_digits", "landscape=[]", "tracking=none", "model=custom", f"model.path={path}"]
    assert refused(*from_here, *given) == REFUSED[kind]


TAKEN = {
    "Net: plain": 64 * 6 + 6 + 60 + 10,
    "Net: half outputs": 64 * 6 + 6 + 60 + 10,
    "Net: double outputs": 64 * 6 + 6 + 60 + 10,
    "Net: unused": 64 * 6 + 6 + 60 + 10,
    "dtype: bfloat16": 64 * 6 + 6 + 60 + 10,
    "dtype: float64": 64 * 6 + 6 + 60 + 10,
    "tied": 64 * 64 + 64 + 64 + 640 + 10,
    "shared": 64 * 64 + 64 + 640 + 10,
    "half_frozen": 64 * 6 + 6 + 60 + 10,
    "Buffers": 640 + 10,
    "with_weight: transposed": 640 + 10,
    "empty_parameter": 640 + 10,
    "weight_norm": 10 + 640 + 10,
    "hooked": 640 + 10,
}


@pytest.mark.parametrize("kind", TAKEN)
def test_an_unusual_network_is_trained_and_its_landscape_holds(kind, own_code, landscape_of, preparing):
    """The loss at the solution is that of a network built anew with the weights of the last checkpoint."""
    own_code(OWN_MODELS)
    record = landscape_of(*CUSTOM, "optimizer=sgd", "optimizer.learning_rate=0.01", **network_of(kind))
    tags = record.read_json("state.json")["tags"]
    assert "self_check_failed" not in tags
    assert "diverged" not in tags
    line = Landscape.from_bytes(record.read("landscapes/line.npz"))
    prepared = preparing(*CUSTOM, **network_of(kind))
    assert Layout.of(prepared.model).size == TAKEN[kind]
    prepared.model.load_state_dict(load_source(record.config_hash, record.output_dir).solution)
    examples = prepared.data.train
    with torch.no_grad():
        logits = prepared.model.eval()(examples.inputs).double()
    expected = nn.functional.cross_entropy(logits, examples.targets).item()
    tolerance = 2e-2 if "bfloat16" in kind or "half" in kind.partition(": ")[2] else 1e-5
    assert line.points["solution"].values["train/loss"] == pytest.approx(expected, rel=tolerance)


def test_half_precision_that_overflows_in_training_is_said_to_diverge(own_code, landscape_of):
    own_code(OWN_MODELS)
    record = landscape_of(*CUSTOM, **network_of("dtype: float16"))  # by Adam, whose ε is zero in 16 bits
    assert record.read_json("state.json")["tags"]["diverged"].startswith(
        "mini-batch loss not finite after update "
    )


# By the library


def cross_entropy(outputs, labels):
    return nn.functional.cross_entropy(outputs, labels, reduction="none")


INPUTS = torch.randn(40, 5, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(40) % 3
GRID = Grid.line(-1, 1, 3)


def small(*, dtype=None) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 4, dtype=dtype), nn.Tanh(), nn.Linear(4, 3, dtype=dtype))


class Calling(nn.Module):
    """A small network whose call is a function of it and its inputs."""

    def __init__(self, call, network=None):
        super().__init__()
        self.net, self.call = network or small(), call

    def forward(self, x):
        return self.call(self, x)


def grows(own, x):
    with torch.no_grad():
        own.net[0].weight.add_(1)
    return own.net(x)


def grows_by_data(own, x):
    own.net[2].bias.data = own.net[2].bias.data + 1
    return own.net(x)


def with_tensor(change):
    network = small()
    network[0].weight = nn.Parameter(change(network[0].weight.detach()))
    return network


def inferred():
    with torch.inference_mode():
        return small()


def one_of_eight_bits():
    network = small()
    small_float = torch.zeros(3).to(torch.float8_e4m3fn)
    network.register_parameter("scale", nn.Parameter(small_float, requires_grad=False))
    return network


def only_empty():
    network = nn.Flatten()
    network.register_parameter("empty", nn.Parameter(torch.zeros(0, 3)))
    return network


REFUSED_BY_LIBRARY = {
    "no parameters": (
        lambda: nn.Tanh(),
        "the model must have at least one floating-point parameter, it has none",
    ),
    "dropout alone": (
        lambda: nn.Dropout(0.5),
        "the model must have at least one floating-point parameter, it has none",
    ),
    "an empty parameter alone": (
        only_empty,
        "the model must have at least one floating-point parameter, it has none",
    ),
    "complex": (
        lambda: small(dtype=torch.complex64),
        "every parameter must be real, '0.weight' is torch.complex64",
    ),
    "on meta": (
        lambda: small().to("meta"),
        "every parameter must hold data, '0.weight' is on the device meta",
    ),
    "a layer on meta": (
        lambda: nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3, device="meta")),
        "every parameter must hold data, '1.weight' is on the device meta",
    ),
    "a buffer on meta": (
        lambda: nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3, affine=False, device="meta")),
        "every buffer must hold data, '1.running_mean' is on the device meta",
    ),
    "sparse": (
        lambda: with_tensor(torch.Tensor.to_sparse),
        "every parameter must be dense, '0.weight' is torch.sparse_coo",
    ),
    "eight bits": (
        one_of_eight_bits,
        "every parameter must have 16 bits or more, 'scale' is torch.float8_e4m3fn",
    ),
    "lazy": (
        lambda: nn.Sequential(nn.LazyLinear(3)),
        "every parameter must be initialised, '0.weight' is not: run one batch first",
    ),
    "TorchScript": (
        lambda: torch.jit.script(small()),
        "the model must be the network itself, not TorchScript made from it",
    ),
    "a trace": (
        lambda: torch.jit.trace(small(), INPUTS),
        "the model must be the network itself, not TorchScript made from it",
    ),
    "nn.DataParallel": (
        lambda: nn.DataParallel(small()),
        "the model must be the network itself, the .module of nn.DataParallel",
    ),
    "compiled": (
        lambda: torch.compile(small()),
        "the model must be the network itself, not compiled: compile=True compiles it",
    ),
    "a function": (lambda: lambda x: x, "the model must be a torch.nn.Module, got function"),
    "a class": (lambda: nn.Linear, "the model must be a torch.nn.Module, got type"),
    "a state": (lambda: small().state_dict(), "the model must be a torch.nn.Module, got OrderedDict"),
    "weights that grow": (
        lambda: Calling(grows),
        "the model must leave its parameters as they are when called, 'net.0.weight' changes",
    ),
    "weights that grow unseen": (
        lambda: Calling(grows_by_data),
        "the model must leave its parameters as they are when called, 'net.2.bias' changes",
    ),
    "random outputs": (
        lambda: Calling(lambda own, x: own.net(x) + torch.randn(len(x), 3)),
        "the model must give the same outputs for the same inputs, it draws them anew",
    ),
    "dropout that is never off": (
        lambda: Calling(lambda own, x: nn.functional.dropout(own.net(x), 0.5, True)),
        "the model must give the same outputs for the same inputs, it draws them anew",
    ),
    "a dict": (
        lambda: Calling(lambda own, x: {"logits": own.net(x)}),
        "cross_entropy_loss(): argument 'input' (position 1) must be Tensor, not dict",
    ),
    "a tuple": (
        lambda: Calling(lambda own, x: (own.net(x), x)),
        "cross_entropy_loss(): argument 'input' (position 1) must be Tensor, not tuple",
    ),
    "nothing": (
        lambda: Calling(lambda own, x: None),
        "cross_entropy_loss(): argument 'input' (position 1) must be Tensor, not NoneType",
    ),
    "a row too few": (
        lambda: Calling(lambda own, x: own.net(x)[1:]),
        "Expected input batch_size (39) to match target batch_size (40).",
    ),
}


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning", "ignore:Sparse"
)
@pytest.mark.parametrize("name", REFUSED_BY_LIBRARY)
def test_the_library_refuses_in_one_line_and_leaves_the_model(name):
    make, message = REFUSED_BY_LIBRARY[name]
    model = make()
    drawn = torch.get_rng_state()
    with pytest.raises((ValueError, TypeError)) as error:
        evaluate(model, cross_entropy, [(INPUTS, LABELS)], Line.random(model), GRID)
    assert str(error.value) == message
    assert torch.equal(torch.get_rng_state(), drawn)
    if isinstance(model, Calling):
        assert all(
            torch.equal(one, other)
            for one, other in zip(model.net.parameters(), small().parameters(), strict=True)
        )


def tied():
    network = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.Linear(5, 3))
    network[2].weight = network[0].weight
    return network


def shared():
    layer, norm = nn.Linear(5, 5), nn.BatchNorm1d(5)
    return nn.Sequential(layer, norm, nn.Tanh(), layer, norm, nn.Linear(5, 3))


def hooked():
    network = small()
    network.register_forward_hook(lambda _layer, _inputs, outputs: outputs * 2)
    return network


def hidden_in_a_list():
    more = [nn.Linear(3, 3)]
    return Calling(lambda own, x: more[0](own.net(x)))


def recurrent():
    lstm = nn.LSTM(5, 3, batch_first=True)
    return Calling(lambda own, x: own.net(x[:, None])[0][:, 0], lstm)


TAKEN_BY_LIBRARY = {
    "tied": tied,
    "a layer in two places": shared,
    "frozen": lambda: small().requires_grad_(False),
    "inference mode": inferred,
    "transposed": lambda: with_tensor(lambda own: own.t().contiguous().t()),
    "expanded": lambda: with_tensor(lambda own: own[:1].expand_as(own)),
    "weight normalization": lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(5, 3))),
    "old weight normalization": lambda: nn.Sequential(nn.utils.weight_norm(nn.Linear(5, 3))),
    "spectral normalization": lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(5, 3))),
    "orthogonal": lambda: nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(5, 3))),
    "hooks": hooked,
    "recurrent": recurrent,
    "dropout in training mode": lambda: nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5)).train(),
    "unused parameters": lambda: Calling(lambda own, x: own.net[0](x)[:, :3]),
    "no parameter is used": lambda: Calling(lambda own, x: x[:, :3]),
    "weights hidden in a list": hidden_in_a_list,
    "switches itself to training": lambda: Calling(lambda own, x: own.train() and own.net(x)),
    "an empty parameter beside others": lambda: nn.Sequential(small(), nn.PReLU(1)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning", "ignore:`torch.nn.utils.weight_norm`")
@pytest.mark.parametrize("name", TAKEN_BY_LIBRARY)
def test_an_unusual_network_has_the_loss_that_it_has_by_itself(name):
    """At every point: a copy of the network with the point's weights put in, called as anybody calls it."""
    torch.manual_seed(3)
    model = TAKEN_BY_LIBRARY[name]()
    kept = {key: id(own) for key, own in [*model.named_parameters(), *model.named_buffers()]}
    line = Line.random(model, seed=1)
    found = evaluate(model, cross_entropy, [(INPUTS, LABELS)], line, GRID)
    assert {key: id(own) for key, own in [*model.named_parameters(), *model.named_buffers()]} == kept
    own = dict(model.named_parameters())
    model.eval()
    for alpha, loss in zip((-1.0, 0.0, 1.0), found.values["loss"], strict=True):
        values = line.at(alpha).named
        with torch.inference_mode():
            for key, parameter in own.items():
                parameter.data = values[key].clone()
            expected = cross_entropy(model(INPUTS), LABELS).double().mean().item()
        assert loss == pytest.approx(expected, rel=1e-6)


def test_a_layer_in_two_places_stays_a_layer_with_parameters():
    """`torch.func.functional_call` leaves the tensors of the last point in such a layer."""
    model = shared()
    before = dict(model.named_parameters())
    for geometry in (Line.random(model), Line.between(model, shared()), Plane.random(model)):
        grid = GRID if len(geometry.axes) == 1 else Grid.square(1.0, 3)
        evaluate(model, cross_entropy, {"train": [(INPUTS, LABELS)]}, geometry, grid)
        after = dict(model.named_parameters())
        assert after.keys() == before.keys()
        assert all(after[name] is own for name, own in before.items())
        assert all(isinstance(own, nn.Parameter) for own in model[3]._parameters.values())
    model(INPUTS).sum().backward()
    assert model[0].weight.grad is not None


def test_half_precision_is_within_its_rounding():
    for dtype, tolerance in ((torch.float16, 2e-3), (torch.bfloat16, 2e-2)):
        model = small(dtype=dtype)
        found = evaluate(model, cross_entropy, [(INPUTS.to(dtype), LABELS)], Line.random(model), GRID)
        exact = small()
        exact.load_state_dict({name: own.float() for name, own in model.state_dict().items()})
        expected = cross_entropy(exact(INPUTS), LABELS).mean().item()
        assert found.points["centre"].values["loss"] == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_diverge_where_they_count(value):
    model = small()
    model[2].bias.data[0] = value
    found = evaluate(model, cross_entropy, [(INPUTS, LABELS)], Line.random(model), GRID)
    assert (found.status == Status.DIVERGED).all()
    assert not np.isfinite(found.values["loss"]).any()


def test_a_width_that_does_not_fit_is_said_in_torchs_own_words():
    model = small()
    data = [(INPUTS, LABELS), (INPUTS[:, :4], LABELS)]
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2 shapes cannot be multiplied \(40x4 and 5x4\)$"):
        evaluate(model, cross_entropy, data, Line.random(model), GRID)


def test_weights_of_another_sort_are_refused():
    model = small()
    state = model.state_dict()
    for change, message in [
        (torch.Tensor.long, "'2.bias' must be floating-point, got torch.int64"),
        (lambda own: own.to(torch.complex64), "'2.bias' must be floating-point, got torch.complex64"),
    ]:
        with pytest.raises(ValueError, match=message):
            Weights.from_state(model, {**state, "2.bias": change(state["2.bias"])})
