import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

from study.training.checkpoints import TrainingState, decode_weights, encode_weights, load_weights, snapshot

SETTINGS = {
    "sgd": {"momentum": 0.9, "nesterov": True},
    "adam": {"betas": (0.8, 0.99)},
    "adamw": {"betas": (0.8, 0.99)},
    "rmsprop": {"momentum": 0.9},
    "adagrad": {},
}
TORCH = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


def small_network(hidden: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 2))


def take_steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    inputs = torch.randn(count, 6, 3, generator=torch.Generator().manual_seed(1))
    for batch in inputs:
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert torch.equal(a[name], b[name]), name


def test_weights_survive_with_names_in_order():
    state = {
        "zeta": torch.tensor([1.5, -0.0, float("nan"), float("inf")]),
        "alpha": torch.tensor(7),
        "mid": torch.zeros(0, 3, dtype=torch.float64),
        "half": torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16),
        "a.ü/名": torch.tensor([True]),
    }
    decoded, metadata = decode_weights(encode_weights(state, update=12, epoch=1.5))
    assert list(decoded) == list(state)
    for name, tensor in state.items():
        assert decoded[name].dtype == tensor.dtype
        assert torch.equal(decoded[name].isnan(), tensor.isnan())
        assert torch.equal(decoded[name].nan_to_num(), tensor.nan_to_num())
    assert metadata == {"update": "12", "epoch": "1.5"}


def test_the_bytes_are_a_safetensors_file():
    state = snapshot(small_network())
    read = load(encode_weights(state, update=0, epoch=0))
    assert_same({name: read[name] for name in state}, state)


def test_equal_tensors_have_equal_bytes_in_every_process():
    code = (
        "import torch, hashlib; from study.training.checkpoints import encode_weights\n"
        "state = {n: torch.arange(5.0) for n in 'qwertz'}\n"
        "print(hashlib.sha256(encode_weights(state, update=3, epoch=0.25)).hexdigest())"
    )
    digests = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(3)}
    assert len(digests) == 1


def test_tied_and_strided_tensors_are_written_whole():
    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "a": shared,
        "b": shared,
        "row": shared[1],
        "transposed": shared.T,
        "one": torch.ones(1).expand(4),
    }
    decoded, _ = decode_weights(encode_weights(state, update=0, epoch=0))
    assert_same(decoded, state)


def test_tied_parameters_go_through_a_model():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    state, _ = decode_weights(encode_weights(snapshot(model), update=0, epoch=0))
    assert {"0.weight", "1.weight"} <= state.keys()
    other = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    other[1].weight = other[0].weight
    load_weights(other, state)
    assert_same(snapshot(other), snapshot(model))
    assert other[1].weight is other[0].weight


def test_a_snapshot_is_a_copy():
    model = small_network()
    state = snapshot(model)
    before = state["0.weight"].clone()
    take_steps(model, TORCH["sgd"](model.parameters(), lr=0.1, weight_decay=0.0), 2)
    assert torch.equal(state["0.weight"], before)
    assert not torch.equal(model[0].weight, before)


def test_damaged_bytes_are_refused():
    data = encode_weights(snapshot(small_network()), update=0, epoch=0)
    for damaged in (b"", b"PK\x03\x04", data[:-1], data[:40]):
        with pytest.raises(ValueError, match="not a safetensors file"):
            decode_weights(damaged)


def test_another_architecture_is_refused_by_its_first_difference():
    model = small_network(hidden=4)
    before = snapshot(model)
    with pytest.raises(
        ValueError, match=r"'0.weight' is \(5, 3\) in the checkpoint, \(4, 3\) in the model"
    ) as caught:
        load_weights(model, snapshot(small_network(hidden=5)))
    assert "\n" not in str(caught.value)
    assert_same(snapshot(model), before)


def test_missing_and_foreign_names_are_refused():
    model, state = small_network(), snapshot(small_network())
    without = {name: tensor for name, tensor in state.items() if name != "3.bias"}
    with pytest.raises(ValueError, match=r"'3.bias' is absent in the checkpoint, \(2,\) in the model"):
        load_weights(model, without)
    with pytest.raises(ValueError, match=r"'extra' is \(1,\) in the checkpoint, absent in the model"):
        load_weights(model, state | {"extra": torch.zeros(1)})


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_state_survives_bytes_and_json(name: str):
    model = small_network()
    optimizer = TORCH[name](model.parameters(), lr=0.1 / 3, weight_decay=1e-3, **SETTINGS[name])
    take_steps(model, optimizer, 3)
    state = TrainingState.capture(model, optimizer, epoch=2, update=6, train_loss=1 / 3)
    data, rest = state.encode()
    decoded = TrainingState.decode(data, json.loads(json.dumps(rest)))
    assert (decoded.epoch, decoded.update, decoded.train_loss) == (2, 6, 1 / 3)
    assert_same(decoded.model, state.model)
    assert decoded.optimizer["param_groups"] == state.optimizer["param_groups"]
    assert list(decoded.optimizer["state"]) == list(state.optimizer["state"])
    for key, slot in state.optimizer["state"].items():
        assert_same(decoded.optimizer["state"][key], slot)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_restored_state_goes_on_and_stays_as_it_was(name: str):
    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = small_network()
        settings = SETTINGS[name]
        return model, TORCH[name](model.parameters(), lr=0.05, weight_decay=1e-3, **settings)

    model, optimizer = build()
    take_steps(model, optimizer, 3)
    state = TrainingState.capture(model, optimizer, epoch=1, update=3, train_loss=0.0)
    encoded = state.encode()
    take_steps(model, optimizer, 3)
    for source in (state, TrainingState.decode(*encoded)):
        other, other_optimizer = build()
        source.restore(other, other_optimizer)
        take_steps(other, other_optimizer, 3)
        assert_same(snapshot(other), snapshot(model))
        assert source.encode() == encoded


def test_parts_that_were_not_written_together_are_refused():
    model = small_network()
    optimizer = TORCH["sgd"](model.parameters(), lr=0.1, weight_decay=0.0, momentum=0.9)
    parts = []
    for epoch in (1, 2):
        take_steps(model, optimizer, 1)
        parts.append(
            TrainingState.capture(model, optimizer, epoch=epoch, update=epoch, train_loss=0.0).encode()
        )
    with pytest.raises(ValueError, match="are not those it was written with"):
        TrainingState.decode(parts[0][0], parts[1][1])
    with pytest.raises(ValueError, match="must have format 1, got 99"):
        TrainingState.decode(parts[0][0], parts[0][1] | {"format": 99})


def test_a_state_of_another_optimizer_is_refused():
    model = small_network()
    sgd = TORCH["sgd"](model.parameters(), lr=0.1, weight_decay=0.0)
    adam = TORCH["adam"](model.parameters(), lr=0.1, weight_decay=0.0)
    state = TrainingState.capture(model, sgd, epoch=1, update=1, train_loss=0.0)
    with pytest.raises(ValueError, match="not of this optimizer, Adam"):
        state.restore(model, adam)


def test_no_pickle_in_the_bytes():
    model = small_network()
    optimizer = TORCH["adam"](model.parameters(), lr=0.1, weight_decay=0.0)
    take_steps(model, optimizer, 1)
    data, rest = TrainingState.capture(model, optimizer, epoch=1, update=1, train_loss=0.0).encode()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert set(header) > {"model/0.weight", "optimizer/state/0/exp_avg"}
    assert json.loads(json.dumps(rest)) == rest
