import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain

import pytest
import torch
from torch import Tensor, nn

from study.training.checkpoints import TrainingState, snapshot
from study.training.data import Augmentation, Examples
from study.training.loop import (
    Budget,
    Checkpoint,
    EpochRecord,
    TrainingOutcome,
    mean_loss,
    train,
)
from study.training.order import Branch, derive_seed, stretches
from study.training.schedules import Constant, Cosine, Milestones, Warmup
from study.training.tasks import Classification

SETTINGS = {
    "sgd": {"momentum": 0.9, "nesterov": True},
    "adam": {},
    "adamw": {},
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


def images(count: int, seed: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 1, 4, 4, generator=generator)
    return Examples(inputs, inputs.flatten(1)[:, :3].argmax(dim=1))


TRAIN, TEST = images(60, seed=1), images(25, seed=2)
TASK = Classification(3)


def mlp() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


def noisy() -> nn.Module:
    """With buffers that training moves, and with dropout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
        )


@dataclass
class Training:
    """A training and all that it gave."""

    build: Callable[[], nn.Module] = mlp
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    settings: dict = field(default_factory=dict)
    records: list[EpochRecord] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    states: list[TrainingState] = field(default_factory=list)

    def run(self, batch_size: int = 16, epochs: int = 3, **options) -> TrainingOutcome:
        self.model = options.pop("model", None) or self.build()
        self.torch_optimizer = TORCH[self.optimizer](
            self.model.parameters(),
            lr=self.learning_rate,
            weight_decay=0.0,
            **self.settings,
        )
        train_set = options.pop("train_set", TRAIN)
        defaults = {
            "task": TASK,
            "budget": Budget.epochs(epochs, len(train_set), batch_size),
            "schedule": Constant(),
            "batch_size": batch_size,
            "order_seed": 0,
            "on_checkpoint": self.checkpoints.append,
            "on_epoch": self.records.append,
            "on_state": self.states.append,
            "progress": False,
        }
        return train(self.model, train_set, TEST, self.torch_optimizer, **(defaults | options))

    @property
    def weights(self) -> dict[str, Tensor]:
        return snapshot(self.model)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def reference_loss(model: nn.Module, examples: Examples) -> float:
    """Mean cross-entropy by its definition, in float64."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        logits = model(examples.inputs).double()
    model.train(was_training)
    return -logits.log_softmax(1)[torch.arange(len(examples)), examples.targets].sum().item() / len(examples)


# Evaluation


@pytest.mark.parametrize("batch_size", [1, 7, 59, 60, 1000])
def test_mean_loss_is_exact_whatever_the_batches(batch_size: int):
    model = noisy()
    evaluation = mean_loss(model, TRAIN, batch_size, TASK)
    assert evaluation.loss == pytest.approx(reference_loss(model, TRAIN), rel=1e-6)


def test_a_short_last_batch_has_its_own_weight_only():
    # Logits are the inputs. Four examples cost log 2, the fifth, alone in its batch, log(1 + e⁴).
    examples = Examples(torch.tensor([[0.0, 0.0]] * 4 + [[4.0, 0.0]]), torch.ones(5, dtype=torch.int64))
    evaluation = mean_loss(nn.Identity(), examples, 4, TASK)
    assert evaluation.loss == pytest.approx((4 * math.log(2) + math.log(1 + math.exp(4))) / 5, rel=1e-6)
    assert mean_loss(nn.Identity(), replace(examples, targets=1 - examples.targets), 4, TASK).score == 1
    assert evaluation.score == 0


def test_float32_sums_would_lose_what_is_summed():
    # 2²⁴ + 1 is not a float32: small losses after a large one would vanish.
    inputs = torch.tensor([[2.0**24, 0.0]] + [[0.0, 0.0]] * 100)
    examples = Examples(inputs, torch.ones(101, dtype=torch.int64))
    expected = (2.0**24 + 100 * math.log(2)) / 101
    assert mean_loss(nn.Identity(), examples, 50, TASK).loss == pytest.approx(expected, rel=1e-9)


def test_mean_loss_leaves_the_model_as_it_was():
    model = noisy().train()
    model[2].eval()
    modes, before = [module.training for module in model.modules()], snapshot(model)
    mean_loss(model, TRAIN, 16, TASK)
    assert [module.training for module in model.modules()] == modes
    assert same(snapshot(model), before)
    with pytest.raises(RuntimeError):
        mean_loss(model, Examples(torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64)), 16, TASK)
    assert [module.training for module in model.modules()] == modes


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(ValueError, match="got 0 and 16"):
        mean_loss(mlp(), Examples(torch.zeros(0, 16), torch.zeros(0, dtype=torch.int64)), 16, TASK)


# What is minimised


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_an_update_is_a_gradient_step_on_the_smoothed_loss(smoothing: float):
    # Szegedy et al. 2016, equation 7: (1 − ε) of the target's −log p, ε of the mean −log p over classes.
    reference = mlp()
    minus_log_p = -reference(TRAIN.inputs).log_softmax(1)
    target = minus_log_p[torch.arange(60), TRAIN.targets]
    ((1 - smoothing) * target + smoothing * minus_log_p.mean(1)).mean().backward()
    training = Training()
    training.run(batch_size=60, epochs=1, label_smoothing=smoothing)
    for name, parameter in reference.named_parameters():
        expected = parameter.detach() - 0.1 * parameter.grad
        torch.testing.assert_close(training.weights[name], expected, rtol=1e-5, atol=1e-6)


def test_recorded_losses_are_plain_cross_entropy():
    plain, smoothed = Training(), Training()
    plain.run(), smoothed.run(label_smoothing=0.3)
    assert not same(plain.weights, smoothed.weights)
    assert plain.records[0] == smoothed.records[0]
    for split, examples in (("train", TRAIN), ("test", TEST)):
        expected = reference_loss(smoothed.model, examples)
        assert smoothed.records[-1].values[f"{split}/loss"] == pytest.approx(expected, rel=1e-6)


def test_records_hold_norms_and_rates():
    training = Training()
    training.run(epochs=4, schedule=Milestones((2,), 0.1))
    with torch.no_grad():
        for record, checkpoint in zip(training.records, training.checkpoints, strict=True):
            squares = {name: w.double().square().sum().item() for name, w in checkpoint.state.items()}
            for name, square in squares.items():
                assert record.values[f"weights/norm/{name}"] == pytest.approx(math.sqrt(square), rel=1e-12)
            assert record.values["weights/norm"] == pytest.approx(math.sqrt(sum(squares.values())), rel=1e-12)
    rates = [record.values["training/learning_rate"] for record in training.records]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01])
    assert training.torch_optimizer.param_groups[0]["lr"] == 0.1
    assert "training/seconds" not in training.records[1].values
    assert training.records[1].seconds > 0


def test_the_norm_of_known_weights():
    model = mlp()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(-2.0)
    training = Training()
    training.run(epochs=0, model=model)
    # 16 · 8 + 8 + 8 · 3 + 3 = 163 weights.
    assert training.records[0].values["weights/norm"] == pytest.approx(2 * math.sqrt(163), rel=1e-14)
    assert training.records[0].values["weights/norm/3.bias"] == pytest.approx(2 * math.sqrt(3), rel=1e-14)


def test_each_update_has_the_schedule_s_rate():
    rates = []
    training = Training(learning_rate=0.5)
    schedule = Warmup(Cosine(0.1), warmup_epochs=0.5, updates_per_epoch=4)
    training.run(
        epochs=2,
        schedule=schedule,
        checkpoint_every=1,
        on_checkpoint=lambda checkpoint: rates.append(training.torch_optimizer.param_groups[0]["lr"]),
    )
    expected = [0.5 * min(1, (u + 1) / 2) * (0.1 + 0.45 * (1 + math.cos(math.pi * u / 8))) for u in range(8)]
    assert rates == pytest.approx([expected[0], *expected])


# Order and randomness


class Watching(nn.Module):
    """Notes what it is given in training: each example by its first pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()
        self.seen: list[list[float]] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.append(x[:, 0, 0, 0].tolist())
        return self.inner(x)


def seen(**options) -> list[list[float]]:
    training = Training(build=Watching)
    training.run(**options)
    return training.model.seen


def test_each_epoch_shows_each_example_once_in_its_own_order():
    batches = seen(batch_size=25, epochs=2)
    assert [len(batch) for batch in batches] == [25, 25, 10] * 2
    first, second = (list(chain(*batches[i : i + 3])) for i in (0, 3))
    assert sorted(first) == sorted(second) == sorted(TRAIN.inputs[:, 0, 0, 0].tolist())
    assert first != second


def test_a_batch_above_the_set_is_the_whole_set():
    assert [len(batch) for batch in seen(batch_size=1000, epochs=2)] == [60, 60]


def test_the_order_belongs_to_the_seed():
    assert seen(order_seed=5) == seen(order_seed=5)
    one, other = seen(order_seed=5, epochs=4), seen(order_seed=6, epochs=4)
    assert not {tuple(batch) for batch in one} & {tuple(batch) for batch in other}


class Dropping(nn.Module):
    """Notes which of 32 units dropout keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.kept = mlp(), []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.kept.append(tuple(nn.functional.dropout(torch.ones(32)).tolist()))
        return self.inner(x)


def test_dropout_belongs_to_seed_and_epoch():
    masks = {}
    for seed in (0, 1):
        training = Training(build=Dropping)
        training.run(order_seed=seed, epochs=3)
        masks[seed] = training.model.kept
    assert len({*masks[0], *masks[1]}) == 2 * 3 * 4
    # An epoch's masks do not hang on what was drawn in the epochs before it.
    later = Training(build=Dropping)
    whole = Training(build=Dropping)
    whole.run(epochs=3)
    later.run(epochs=3, resume=whole.states[1])
    assert later.model.kept == masks[0][8:]


def test_seeds_share_nothing():
    purposes = ("order", "dropout", "augmentation")
    seeds = {derive_seed(p, seed, epoch) for p in purposes for seed in range(-2, 30) for epoch in range(30)}
    assert len(seeds) == 3 * 32 * 30
    assert all(0 <= seed < 2**63 for seed in seeds)
    # torch's generator on the CPU keeps the low 32 bits only.
    assert len({seed % 2**32 for seed in seeds}) == len(seeds)


def test_same_seed_same_bits():
    one, other = Training(build=noisy), Training(build=noisy)
    options = {"augmentation": Augmentation(crop_padding=1, flip=True), "order_seed": 3}
    one.run(**options)
    torch.manual_seed(999)
    other.run(**options)
    assert one.records == other.records
    assert same(one.weights, other.weights)


def test_another_order_starts_from_the_same_weights():
    one, other = Training(build=noisy), Training(build=noisy)
    one.run(order_seed=0), other.run(order_seed=1)
    assert same(one.checkpoints[0].state, other.checkpoints[0].state)
    assert not same(one.weights, other.weights)


def test_the_caller_s_random_state_is_untouched():
    torch.manual_seed(5)
    training = Training(build=noisy)
    before = torch.get_rng_state()
    training.run(augmentation=Augmentation(crop_padding=1, flip=True), checkpoint_every=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_callback_draws_changes_nothing():
    quiet, drawing = Training(build=noisy), Training(build=noisy)
    quiet.run(checkpoint_every=1)
    drawing.run(checkpoint_every=1, on_checkpoint=lambda checkpoint: torch.rand(7))
    assert same(quiet.weights, drawing.weights)


def test_augmentation_is_for_training_only():
    plain, augmented = Training(), Training()
    plain.run(), augmented.run(augmentation=Augmentation(flip=True))
    assert plain.records[0] == augmented.records[0]
    assert not same(plain.weights, augmented.weights)
    expected = reference_loss(augmented.model, TRAIN)
    assert augmented.records[-1].values["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_the_model_s_modes_come_back():
    model = noisy().eval()
    model[4].train()
    modes = [module.training for module in model.modules()]
    Training().run(model=model)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())


# Branches

NOISY = {
    "batch_size": 25,
    "epochs": 3,
    "augmentation": Augmentation(crop_padding=1, flip=True),
    "order_seed": 3,
    "checkpoint_every": 1,
}
"""Three updates an epoch, the last of 10 examples, with every kind of randomness there is."""


@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_siblings_share_a_training_up_to_the_branch_and_part_there(at: int):
    plain, one, other = (Training(build=noisy) for _ in range(3))
    plain.run(**NOISY)
    one.run(**NOISY, branch=Branch(at, 7))
    other.run(**NOISY, branch=Branch(at, 8))
    for update in range(10):
        states = [training.checkpoints[update].state for training in (plain, one, other)]
        pairs = [same(states[i], states[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
        assert pairs == [update <= at] * 3, update


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4])
def test_an_epoch_with_a_branch_inside_shows_each_example_once(at: int):
    plain, branched = (seen(batch_size=25, epochs=2, branch=branch) for branch in (None, Branch(at, seed=9)))
    assert [len(batch) for batch in branched] == [25, 25, 10] * 2
    every = sorted(TRAIN.inputs[:, 0, 0, 0].tolist())
    assert all(sorted(chain(*branched[first : first + 3])) == every for first in (0, 3))
    assert branched[:at] == plain[:at]
    assert not {tuple(batch) for batch in branched[at:]} & {tuple(batch) for batch in plain}


def test_after_the_branch_an_epoch_has_the_order_of_its_seed():
    assert seen(epochs=4, branch=Branch(5, seed=9))[8:] == seen(epochs=4, order_seed=9)[8:]
    assert seen(epochs=4, branch=Branch(0, seed=9)) == seen(epochs=4, order_seed=9)


def test_what_is_left_at_a_branch_is_in_every_order_alike():
    # Six examples in batches of two, parted after the first: four are left, in one of 24 orders.
    found: dict[tuple[int, ...], int] = {}
    for seed in range(2400):
        shared, rest = stretches(1, 6, 2, order_seed=0, branch=Branch(1, seed + 1))
        assert sorted([*shared.examples.tolist(), *rest.examples.tolist()]) == list(range(6))
        found[tuple(rest.examples.tolist())] = found.get(tuple(rest.examples.tolist()), 0) + 1
    assert len(found) == 24
    assert sum((count - 100) ** 2 / 100 for count in found.values()) < 49.7  # χ², 23 degrees, p = 0.001


def test_a_branch_with_the_training_s_own_seed_changes_no_update():
    plain, branched = Training(build=noisy), Training(build=noisy)
    options = {**NOISY, "checkpoint_every": None}
    plain.run(**options), branched.run(**options, branch=Branch(4, seed=3))
    assert branched.records == plain.records
    assert same(branched.weights, plain.weights)
    assert [c.update for c in branched.checkpoints] == [0, 3, 4, 6, 9]


@pytest.mark.parametrize(
    ("at", "every", "updates"), [(4, None, [0, 3, 4, 6, 9]), (6, 4, [0, 4, 6, 8, 9]), (9, 4, [0, 4, 8, 9])]
)
def test_the_branch_has_a_checkpoint(at: int, every: int | None, updates: list[int]):
    training = Training()
    training.run(batch_size=25, branch=Branch(at, 7), checkpoint_every=every)
    assert [c.update for c in training.checkpoints] == updates


@pytest.mark.parametrize("after", [0, 1])
def test_a_branched_training_goes_on_bit_for_bit(after: int):
    whole, rest = Training(build=noisy, optimizer="adam"), Training(build=noisy, optimizer="adam")
    branch = Branch(4, 7)  # inside the second epoch
    outcome = whole.run(**NOISY, branch=branch)
    assert rest.run(**NOISY, branch=branch, resume=whole.states[after]) == outcome
    assert rest.records == whole.records[after + 2 :]
    assert same(rest.weights, whole.weights)


def test_a_branch_beyond_the_budget_is_refused():
    with pytest.raises(ValueError, match="the branch must be within 12 updates, got 13"):
        Training().run(branch=Branch(13, 0))
    with pytest.raises(ValueError, match="update of at least 0, got -1"):
        Branch(-1, 0)


# When training ends, and what it gives


def test_records_checkpoints_and_states_of_whole_epochs():
    training = Training(build=noisy)
    outcome = training.run(epochs=3)
    assert outcome == TrainingOutcome(12, 3.0, diverged=False, message=None, stopped_early=False)
    assert [(r.epoch, r.update) for r in training.records] == [(0, 0), (1, 4), (2, 8), (3, 12)]
    given = [(c.update, c.epoch, c.final) for c in training.checkpoints]
    assert given == [(0, 0.0, False), (4, 1.0, False), (8, 2.0, False), (12, 3.0, True)]
    assert [(s.epoch, s.update) for s in training.states] == [(1, 4), (2, 8), (3, 12)]
    assert same(training.checkpoints[-1].state, training.weights)
    assert same(training.checkpoints[0].state, snapshot(noisy()))
    assert training.checkpoints[-1].state["2.num_batches_tracked"] == 12


def test_events_of_an_epoch_come_in_order():
    events = []
    Training().run(
        epochs=1,
        on_epoch=lambda record: events.append(("epoch", record.update)),
        on_checkpoint=lambda checkpoint: events.append(("checkpoint", checkpoint.update)),
        on_state=lambda state: events.append(("state", state.update)),
    )
    assert events == [("epoch", 0), ("checkpoint", 0), ("epoch", 4), ("checkpoint", 4), ("state", 4)]


def test_a_budget_in_steps_may_end_inside_an_epoch():
    training = Training()
    outcome = training.run(budget=Budget.steps(10, 60, 16))
    assert (outcome.updates, outcome.epochs) == (10, 2.5)
    assert [(r.epoch, r.update) for r in training.records] == [(0, 0), (1, 4), (2, 8), (3, 10)]
    assert [(c.update, c.final) for c in training.checkpoints] == [
        (0, False),
        (4, False),
        (8, False),
        (10, True),
    ]
    assert [s.update for s in training.states] == [4, 8]


@pytest.mark.parametrize(
    ("every", "updates"), [(1, list(range(9))), (2, [0, 2, 4, 6, 8]), (3, [0, 3, 6, 8]), (100, [0, 8])]
)
def test_checkpoints_every_so_many_updates(every: int, updates: list[int]):
    training, by_epoch = Training(), Training()
    training.run(epochs=2, checkpoint_every=every), by_epoch.run(epochs=2)
    assert [c.update for c in training.checkpoints] == updates
    assert [c.final for c in training.checkpoints] == [False] * (len(updates) - 1) + [True]
    assert all(c.epoch == c.update / 4 for c in training.checkpoints)
    assert same(training.weights, by_epoch.weights)


def test_no_updates_give_the_initialisation():
    training = Training()
    outcome = training.run(epochs=0)
    assert (outcome.updates, outcome.diverged) == (0, False)
    assert [(c.update, c.final) for c in training.checkpoints] == [(0, True)]
    assert [r.epoch for r in training.records] == [0]
    assert same(training.weights, snapshot(mlp()))


def test_training_stops_at_the_loss_asked_for():
    whole = Training(learning_rate=0.5)
    whole.run(epochs=8)
    losses = [record.values["train/loss"] for record in whole.records]
    wanted = losses[4]
    assert min(losses[:4]) > wanted
    training = Training(learning_rate=0.5)
    outcome = training.run(epochs=8, stop_at_train_loss=wanted, checkpoint_every=3)
    assert (outcome.updates, outcome.epochs, outcome.stopped_early, outcome.diverged) == (
        16,
        4.0,
        True,
        False,
    )
    assert "after epoch 4" in outcome.message
    assert [(c.update, c.final) for c in training.checkpoints][-2:] == [(15, False), (16, True)]
    assert training.records == whole.records[:5]


def test_the_initialisation_never_stops_training():
    assert Training().run(epochs=2, stop_at_train_loss=100.0).updates == 4


def test_an_enormous_rate_diverges():
    training = Training(learning_rate=1e10)
    outcome = training.run(epochs=50)
    assert outcome.diverged
    assert not outcome.stopped_early
    assert outcome.updates < 200
    assert "\n" not in outcome.message
    for part in (f"update {outcome.updates} ", "epoch ", "loss ", "learning rate 1e+10"):
        assert part in outcome.message
    assert training.records[-1].update == outcome.updates
    assert [c.final for c in training.checkpoints].count(True) == 1
    assert training.checkpoints[-1].final
    assert training.checkpoints[-1].update == outcome.updates


class Poisoned(nn.Module):
    """Gives NaN from its `healthy`-th mini-batch on, in training only."""

    def __init__(self, healthy: int) -> None:
        super().__init__()
        self.inner, self.healthy, self.batches = noisy(), healthy, 0

    def forward(self, x: Tensor) -> Tensor:
        self.batches += self.training
        return self.inner(x * math.nan if self.batches > self.healthy and self.training else x)


@pytest.mark.parametrize(("healthy", "epoch"), [(0, 1), (6, 2), (8, 3)])
def test_a_mini_batch_that_diverges_leaves_the_last_good_state(healthy: int, epoch: int):
    good, training = Training(), Training()
    good.run(budget=Budget.steps(healthy, 60, 16), model=Poisoned(healthy=10**6))
    outcome = training.run(epochs=5, model=Poisoned(healthy))
    assert outcome.message == (
        f"mini-batch loss not finite after update {healthy} (epoch {epoch}, loss nan, learning rate 0.1)"
    )
    assert (outcome.updates, outcome.diverged) == (healthy, True)
    assert (training.records[-1].epoch, training.records[-1].update) == (epoch, healthy)
    assert training.records[-1].values["train/loss"] == good.records[-1].values["train/loss"]
    assert training.checkpoints[-1].final
    # Batch statistics too: the forward pass that failed had made them NaN.
    assert same(training.checkpoints[-1].state, good.weights)
    assert same(training.weights, good.weights)
    for earlier in training.checkpoints[:-1]:
        if earlier.update == healthy:
            assert same(earlier.state, training.checkpoints[-1].state)


def test_weights_that_are_not_finite_at_the_start_are_a_divergence():
    model = mlp()
    with torch.no_grad():
        model[1].weight[0, 0] = math.inf
    training = Training()
    outcome = training.run(model=model)
    assert (outcome.diverged, outcome.updates) == (True, 0)
    assert [(c.update, c.final) for c in training.checkpoints] == [(0, True)]
    assert len(training.records) == 1
    assert training.states == []


def test_a_weight_that_does_not_show_in_the_loss_is_a_divergence():
    model = mlp()
    model.register_parameter("unused", nn.Parameter(torch.tensor([math.nan])))
    outcome = Training().run(model=model)
    assert "norm of the weights not finite after update 0" in outcome.message


# Resume


class InterruptionError(Exception):
    pass


@pytest.mark.parametrize("name", SETTINGS)
def test_in_pieces_as_in_one_go(name: str):
    options = {
        "epochs": 5,
        "augmentation": Augmentation(crop_padding=1, flip=True),
        "schedule": Warmup(Cosine(0.01), 1.5, 4),
        "label_smoothing": 0.1,
        "order_seed": 11,
        "checkpoint_every": 3,
    }
    build = {"build": noisy, "optimizer": name, "learning_rate": 0.05, "settings": SETTINGS[name]}
    whole = Training(**build)
    outcome = whole.run(**options)

    first = Training(**build)
    kept: list[tuple[bytes, str]] = []

    def interrupt_in_epoch_3(checkpoint: Checkpoint) -> None:
        if checkpoint.update == 9:
            raise InterruptionError
        first.checkpoints.append(checkpoint)

    def keep(state: TrainingState) -> None:
        data, rest = state.encode()
        kept.append((data, json.dumps(rest)))

    with pytest.raises(InterruptionError):
        first.run(**options, on_checkpoint=interrupt_in_epoch_3, on_state=keep)
    assert len(kept) == 2

    second = Training(**build)
    data, rest = kept[-1]
    resumed = second.run(**options, resume=TrainingState.decode(data, json.loads(rest)))
    assert resumed == outcome
    assert same(second.weights, whole.weights)
    assert first.records + second.records == whole.records
    given = first.checkpoints + second.checkpoints
    assert [(c.update, c.final) for c in given] == [(c.update, c.final) for c in whole.checkpoints]
    assert all(same(a.state, b.state) for a, b in zip(given, whole.checkpoints, strict=True))
    for key, slot in whole.torch_optimizer.state_dict()["state"].items():
        assert same(second.torch_optimizer.state_dict()["state"][key], slot)


def test_a_state_can_be_resumed_twice():
    whole = Training(build=noisy, optimizer="adam")
    whole.run(epochs=3)
    for _ in range(2):
        again = Training(build=noisy, optimizer="adam")
        again.run(epochs=3, resume=whole.states[0])
        assert same(again.weights, whole.weights)


def test_a_finished_training_is_not_trained_again():
    whole = Training(learning_rate=0.5)
    whole.run(epochs=8)
    budget_used = Training()
    outcome = budget_used.run(epochs=8, resume=whole.states[-1])
    assert outcome == TrainingOutcome(32, 8.0, diverged=False, message=None, stopped_early=False)
    stopped = Training()
    outcome = stopped.run(epochs=8, resume=whole.states[3], stop_at_train_loss=whole.states[3].train_loss)
    assert (outcome.updates, outcome.stopped_early) == (16, True)
    for training in (budget_used, stopped):
        assert training.records == training.checkpoints == training.states == []
    assert same(stopped.weights, whole.states[3].model)


def test_what_does_not_fit_is_refused():
    training = Training()
    training.run(epochs=2)
    state = training.states[-1]
    with pytest.raises(ValueError, match="8 updates after 2 epochs, the budget 8 an epoch"):
        Training().run(batch_size=8, epochs=2, resume=state)
    with pytest.raises(ValueError, match="and 4 in all"):
        Training().run(epochs=1, resume=state)
    with pytest.raises(ValueError, match="the budget has 3 updates an epoch, the data 4"):
        Training().run(budget=Budget(12, 3))
    with pytest.raises(ValueError, match="another architecture"):
        Training(build=noisy).run(epochs=3, resume=state)
    with pytest.raises(ValueError, match="checkpoint_every must be at least 1, got 0"):
        Training().run(checkpoint_every=0)


# InterruptionError and progress


def test_ctrl_c_passes_through_and_leaves_things_as_they_were():
    def interrupt(checkpoint: Checkpoint) -> None:
        if checkpoint.update == 5:
            raise KeyboardInterrupt

    model = noisy().eval()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    training = Training()
    with pytest.raises(KeyboardInterrupt):
        training.run(model=model, checkpoint_every=1, schedule=Cosine(), on_checkpoint=interrupt)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in model.modules())
    assert training.torch_optimizer.param_groups[0]["lr"] == 0.1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "progress", "shown"),
    [(Terminal, True, True), (Terminal, False, False), (io.StringIO, True, False)],
)
def test_a_bar_is_for_terminals_and_leaves_nothing(monkeypatch, stream: type, progress: bool, shown: bool):
    screen = stream()
    monkeypatch.setattr("sys.stderr", screen)
    Training().run(epochs=3, progress=progress)
    text = screen.getvalue()
    assert ("/12" in text) == shown
    assert "\n" not in text
    if shown:
        assert text.split("\r")[-1] == ""
        assert text.split("\r")[-2].strip() == ""
