"""Sharpness-aware minimization against steps computed by hand, and driven by the training loop."""

import math

import pytest
import torch
from torch import Tensor, nn

from study.training.data import Examples
from study.training.loop import train
from study.training.schedules import Budget, Constant, Milestones
from study.training.tasks import Classification

CURVATURES = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
START = torch.tensor([3.0, -2.0, 0.5], dtype=torch.float64)
RHO, RATE = 0.7, 0.1  # relative errors of 1e-7 are left: the library takes the gradient's norm in float32


def stepped(make, *overrides: str, updates: int = 1, **settings) -> Tensor:
    """Where updates by the loss ½ Σ aᵢ wᵢ² lead from `START`."""
    weights = nn.Parameter(START.clone())
    optimizer = make(
        "sam",
        [weights],
        f"optimizer.rho={RHO}",
        f"optimizer.base.learning_rate={RATE}",
        *overrides,
        **settings,
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = (CURVATURES * weights.square()).sum() / 2
        loss.backward()
        return loss.item()

    for _ in range(updates):
        optimizer.step(closure)
    return weights.detach()


def test_a_step_follows_the_gradient_at_the_highest_point_of_the_ball(make):
    # Foret et al. 2021, equations 2 and 3: the gradient a·w is taken at w + ρ g / ‖g‖.
    gradient = CURVATURES * START
    there = START + RHO * gradient / math.sqrt(9 + 64 + 20.25)
    torch.testing.assert_close(stepped(make), START - RATE * CURVATURES * there, rtol=1e-6, atol=0)


def test_an_adaptive_step_measures_the_ball_in_units_of_the_weights(make):
    # Kwon et al. 2021, algorithm 1: at w + ρ w² g / ‖w g‖, where w g = (9, 16, 2.25).
    gradient = CURVATURES * START
    there = START + RHO * START.square() * gradient / math.sqrt(81 + 256 + 5.0625)
    found = stepped(make, adaptive=True)
    torch.testing.assert_close(found, START - RATE * CURVATURES * there, rtol=1e-6, atol=0)


def test_an_adaptive_step_does_not_see_the_scale_of_the_weights(make):
    # With w = c v and the same function of v, the ball in units of w is that in units of v: where the
    # gradient is taken is c times where it is taken for v, unlike with a ball of one radius.
    scale = torch.tensor([2.0, 0.25, 8.0], dtype=torch.float64)
    seen = {}
    for adaptive in (True, False):
        for name, factor in (("v", torch.ones_like(scale)), ("w", scale)):
            weights, places = nn.Parameter(START * factor), []
            optimizer = make("sam", [weights], f"optimizer.rho={RHO}", adaptive=adaptive)

            def closure(weights=weights, factor=factor, places=places, optimizer=optimizer) -> float:
                optimizer.zero_grad()
                places.append((weights / factor).detach().clone())
                loss = (CURVATURES * (weights / factor).square()).sum() / 2
                loss.backward()
                return loss.item()

            optimizer.step(closure)
            seen[adaptive, name] = places[1]
    torch.testing.assert_close(seen[True, "v"], seen[True, "w"], rtol=1e-12, atol=0)
    assert (seen[False, "v"] - seen[False, "w"]).abs().max() > 0.1


def test_weight_decay_is_the_base_optimiser_s(make):
    plain, decayed = stepped(make), stepped(make, "optimizer.base.weight_decay=0.5")
    torch.testing.assert_close(decayed, plain - RATE * 0.5 * START, rtol=1e-12, atol=0)


@pytest.mark.parametrize("base", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"])
def test_a_ball_of_no_radius_leaves_the_base_optimiser(make, base):
    weights = nn.Parameter(START.clone())
    alone = make(base, [weights], learning_rate=RATE, weight_decay=0.01)
    for _ in range(3):
        weights.grad = CURVATURES * weights.detach()
        alone.step()
    decay = "optimizer.base.weight_decay=0.01"
    found = stepped(make, f"optimizer@optimizer.base={base}", decay, "optimizer.rho=0", updates=3)
    assert torch.equal(found, weights.detach())


def test_a_step_needs_a_closure_and_takes_its_way_back_if_that_fails(make):
    weights = nn.Parameter(START.clone())
    optimizer = make("sam", [weights])
    with pytest.raises(ValueError, match="needs a closure"):
        optimizer.step()
    calls = []

    def closure() -> float:
        calls.append(weights.detach().clone())
        if len(calls) == 2:
            raise KeyError("second")
        weights.grad = torch.ones_like(weights)
        return 0.0

    with pytest.raises(KeyError):
        optimizer.step(closure)
    assert not torch.equal(calls[1], START)
    assert torch.equal(weights.detach(), START)
    assert not any(entries for entries in optimizer.state_dict()["state"].values())


# In the training loop


def examples(count: int) -> Examples:
    inputs = torch.randn(count, 16, generator=torch.Generator().manual_seed(1))
    return Examples(inputs, inputs[:, :3].argmax(dim=1))


class Watched(nn.Module):
    """Normalized and with dropout; notes the weights and the masks of each pass."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.inner = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        self.passes: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mask = nn.functional.dropout(torch.ones(16), 0.3)
            self.passes.append((self.inner[0].weight.detach().clone(), mask))
            x = x * mask
        return self.inner(x)


def trained(make, name: str, *overrides: str, updates: int = 4, **options):
    model = Watched()
    optimizer = make(name, model.parameters(), *overrides)
    defaults = {
        "task": Classification(3),
        "budget": Budget.steps(updates, 64, 16),
        "schedule": Constant(),
        "batch_size": 16,
        "order_seed": 0,
        "on_checkpoint": lambda _checkpoint: None,
        "on_epoch": lambda _record: None,
        "on_state": lambda _state: None,
        "progress": False,
    }
    outcome = train(model, examples(64), examples(20), optimizer, **(defaults | options))
    return model, optimizer, outcome


def test_both_passes_of_an_update_have_the_same_dropout_mask(make):
    model, _optimizer, outcome = trained(make, "sam")
    assert (outcome.updates, len(model.passes)) == (4, 8)
    masks = [mask for _weights, mask in model.passes]
    for first, second in zip(masks[::2], masks[1::2], strict=True):
        assert torch.equal(first, second)
    assert len({tuple(mask.tolist()) for mask in masks}) == 4
    weights = [weights for weights, _mask in model.passes]
    assert all(
        not torch.equal(first, second) for first, second in zip(weights[::2], weights[1::2], strict=True)
    )


def test_running_statistics_are_those_of_the_first_pass(make):
    # The first update of SAM and of its base start at the same weights: so do their first passes.
    model, _optimizer, _outcome = trained(make, "sam", "optimizer.rho=1", updates=1)
    alone, _optimizer, _outcome = trained(make, "sgd", updates=1)
    statistics, expected = dict(model.named_buffers()), dict(alone.named_buffers())
    assert statistics["inner.1.num_batches_tracked"] == 1
    assert all(torch.equal(statistics[name], tensor) for name, tensor in expected.items())
    assert not torch.equal(model.inner[0].weight, alone.inner[0].weight)


def test_the_schedule_reaches_the_base_optimiser(make):
    # No rate is left after the first epoch, so nothing moves in the second.
    ends = [
        trained(make, "sam", updates=updates, schedule=Milestones((1,), 1e-30))[0].inner[0].weight
        for updates in (4, 8)
    ]
    assert torch.equal(*ends)


def test_a_second_loss_that_is_not_finite_ends_the_training_where_it_was(make):
    model, _optimizer, outcome = trained(make, "sam", "optimizer.rho=1e38")
    assert outcome.diverged
    assert outcome.updates == 0
    assert outcome.message.startswith("mini-batch loss of the second pass not finite after update 0")
    fresh = Watched()
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in model.state_dict().items())
