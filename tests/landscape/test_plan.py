"""The evaluation plan: a rule, balanced parts, the same bits."""

import json

import pytest
import torch
from torch import nn

from study.landscape.evaluate import evaluate
from study.landscape.geometry import Line
from study.landscape.grid import Grid
from study.landscape.plan import EvaluationPlan

GRID = Grid.line(points=2)


@pytest.mark.parametrize("micro_batch", [1, 7, 32, 4096])
@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 64, 65, 997])
def test_bounds_are_balanced_and_cover_all(size, micro_batch):
    bounds = list(EvaluationPlan(micro_batch, False, "cpu").bounds(size))
    assert [index for start, stop in bounds for index in range(start, stop)] == list(range(size))
    sizes = [stop - start for start, stop in bounds]
    assert max(sizes) - min(sizes) <= 1
    if micro_batch < 32:
        assert max(sizes) <= micro_batch
        assert len(sizes) == -(-size // micro_batch)
    else:  # below 32 examples the bits would depend on the size
        assert min(sizes) >= min(32, size)
        assert max(sizes) <= max(micro_batch, 63)
        assert len(sizes) <= -(-size // micro_batch)


def test_the_rule_fills_the_cache_and_stays_within_32_and_16384():
    def rule(width: int) -> int:
        return EvaluationPlan.by_rule(nn.Linear(width, width).eval(), torch.zeros(2, width)).micro_batch

    # an example takes 4 bytes a number, `width` numbers in and as many out; 16 MiB hold so many
    assert rule(4096) == 2**24 // (8 * 4096) == 512
    assert rule(3000) == 2**24 // (8 * 3000)
    assert rule(1) == 16384


def test_larger_micro_batches_pay_where_freed_memory_is_kept(monkeypatch):
    monkeypatch.setattr("study.landscape.plan.keeps_freed_memory", lambda: True)
    example = torch.zeros(2, 2**16)
    wide = nn.Sequential(*[nn.Identity() for _ in range(7)], nn.Linear(2**16, 1)).eval()
    assert EvaluationPlan.by_rule(wide, example).micro_batch == 2**29 // (4 * (8 * 2**16 + 1))


def test_the_rule_gives_at_least_32():
    class Huge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return (x * self.weight).expand(2, 2**20)

    assert EvaluationPlan.by_rule(Huge(), torch.zeros(2, 1)).micro_batch == 32


def test_images_lie_channels_last_where_the_model_convolves(convnet, images, mlp, vectors):
    assert EvaluationPlan.by_rule(convnet().eval(), images(2)[0]).channels_last
    assert not EvaluationPlan.by_rule(mlp().eval(), vectors(2)[0]).channels_last


def test_a_given_micro_batch_is_taken_and_kept_in_the_provenance(mlp, vectors, cross_entropy):
    model = mlp()
    landscape = evaluate(
        model, cross_entropy, [vectors(40)], Line.random(model), Grid.line(points=2), micro_batch=9
    )
    plan = landscape.provenance["plan"]
    assert plan == {
        "micro_batch": 9,
        "channels_last": False,
        "device": "cpu",
        "precision": "float32",
        "compile": False,
        "points_at_once": 1,
        "copies_inputs": False,
        "onednn": True,
    }
    assert json.loads(json.dumps(landscape.provenance, allow_nan=False)) == landscape.provenance
    with pytest.raises(ValueError, match="micro_batch must be at least 1, got 0"):
        evaluate(model, cross_entropy, [vectors(40)], Line.random(model), Grid.line(points=2), micro_batch=0)


def test_the_same_plan_gives_the_same_bits_and_another_the_same_value(convnet, images, cross_entropy):
    model = convnet(norm=True)
    line, grid, data = Line.random(model, seed=1), Grid.line(-0.5, 1, 4), [images(100)]

    def values(micro_batch):
        return evaluate(model, cross_entropy, data, line, grid, micro_batch=micro_batch).values["loss"]

    assert values(33).tolist() == values(33).tolist()
    assert values(None).tolist() == values(None).tolist()
    for micro_batch in (1, 7, 100, None):
        torch.testing.assert_close(
            torch.from_numpy(values(micro_batch)), torch.from_numpy(values(33)), rtol=1e-6, atol=0
        )


def test_the_rule_leaves_no_hook_and_no_trace_on_the_model(convnet, images):
    model = convnet(norm=True).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    EvaluationPlan.by_rule(model, images(2)[0])
    assert not any(layer._forward_hooks for layer in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("policy", ["frozen", "recomputed"])
@pytest.mark.parametrize("size", [32, 50, 250])
def test_the_bits_are_the_same_on_any_number_of_threads(convnet, images, cross_entropy, policy, size):
    model, other = convnet(norm=True), convnet(1, norm=True)

    def losses(threads):
        torch.set_num_threads(threads)
        found = evaluate(
            model,
            cross_entropy,
            {"train": [images(251)]},
            Line.between(model, other),
            Grid.line(0.2, 0.7, 2),
            batch_statistics=policy,
            micro_batch=size,
        )
        return found.example_losses["train"].tobytes()

    assert losses(1) == losses(2) == losses(3)


def test_a_compiled_network_gives_the_same_values_and_says_so(convnet, images, cross_entropy):
    model = convnet(norm=True)
    line, grid, data = Line.random(model, seed=1), Grid.line(-0.5, 1, 3), [images(100)]
    plain, once, again = (
        evaluate(model, cross_entropy, data, line, grid, compile=compiled) for compiled in (False, True, True)
    )
    assert once.provenance["plan"]["compile"]
    assert once.to_bytes() == again.to_bytes()
    torch.testing.assert_close(
        torch.from_numpy(once.values["loss"]), torch.from_numpy(plain.values["loss"]), rtol=1e-6, atol=0
    )


def test_images_lie_as_they_are_where_the_model_cannot_read_them_otherwise(images, cross_entropy):
    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(2, 4, 3), nn.Linear(4 * 36, 3)

        def forward(self, x):
            return self.linear(torch.relu(self.conv(x)).view(len(x), -1))

    torch.manual_seed(5)
    model = Viewing()
    inputs, targets = torch.randn(40, 2, 8, 8), torch.arange(40) % 3
    assert not EvaluationPlan.by_rule(model.eval(), inputs[:2]).channels_last
    found = evaluate(model, cross_entropy, [(inputs, targets)], Line.random(model), Grid.line(0, 1, 2))
    expected = cross_entropy(model(inputs), targets).double().mean().item()
    assert found.values["loss"][0] == pytest.approx(expected, rel=1e-6)


def test_a_model_that_writes_to_some_inputs_only_is_refused(cross_entropy):
    class Moody(nn.Linear):
        def forward(self, x):
            return super().forward(x.clamp_(-1, 1) if x.abs().max() > 1 else x)

    inputs = torch.linspace(0.0, 2.0, 200).view(40, 5)
    with pytest.raises(ValueError, match="must write to its inputs always or never"):
        evaluate(Moody(5, 3), cross_entropy, [(inputs, torch.arange(40) % 3)], Line.random(Moody(5, 3)), GRID)
