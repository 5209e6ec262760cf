import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, StepLR

from study.training.schedules import (
    Budget,
    Constant,
    Cosine,
    Milestones,
    Schedule,
    Step,
    Warmup,
    scaled_learning_rate,
)


def torch_rates(make, base: float, epochs: int) -> list[float]:
    """Learning rates of a torch scheduler stepped once an epoch, one for each epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler: LRScheduler = make(optimizer)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (Cosine(0.0), lambda optimizer: CosineAnnealingLR(optimizer, T_max=12)),
        (Cosine(0.1), lambda optimizer: CosineAnnealingLR(optimizer, T_max=12, eta_min=0.03)),
        (Step(5, 0.2), lambda optimizer: StepLR(optimizer, step_size=5, gamma=0.2)),
        (
            Milestones((3, 4, 9), 0.1),
            lambda optimizer: MultiStepLR(optimizer, milestones=[3, 4, 9], gamma=0.1),
        ),
        (Milestones((), 0.1), lambda optimizer: MultiStepLR(optimizer, milestones=[], gamma=0.1)),
    ],
)
def test_whole_epochs_agree_with_torch(schedule: Schedule, make):
    ours = [0.3 * schedule.factor(epoch, 12) for epoch in range(12)]
    assert ours == pytest.approx(torch_rates(make, base=0.3, epochs=12), abs=1e-12)


def test_cosine_ends_at_its_final_factor_and_stays():
    assert Cosine(0.25).factor(8, 8) == Cosine(0.25).factor(9, 8) == 0.25
    assert Cosine(0.0).factor(4, 8) == pytest.approx(0.5)


def test_a_training_without_updates_has_a_rate():
    assert Cosine(0.0).factor(0, 0) == 1


def test_step_and_milestones_fall_on_their_update():
    # 10 updates an epoch; 0.3 and 3 · 0.1 differ in floating point, and mean the same update.
    step = [Step(0.3, 0.5).factor(update / 10, 1) for update in range(10)]
    assert step == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    milestones = [Milestones((3 * 0.1, 0.7), 0.5).factor(update / 10, 1) for update in range(10)]
    assert milestones == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_constant_is_one():
    assert Constant().factor(3.7, 10) == 1


def test_warmup_starts_at_one_part_and_ends_whole():
    warm = Warmup(Constant(), warmup_epochs=1.25, updates_per_epoch=4)
    factors = [warm.factor(update / 4, 3) for update in range(8)]
    assert factors == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5, 1, 1, 1, 1])


def test_warmup_multiplies_its_schedule():
    cosine, warm = Cosine(0.0), Warmup(Cosine(0.0), warmup_epochs=2, updates_per_epoch=3)
    for update in range(12):
        share = min(1, (update + 1) / 6)
        assert warm.factor(update / 3, 4) == pytest.approx(share * cosine.factor(update / 3, 4))


@pytest.mark.parametrize("updates_per_epoch", [1, 7, 49])
def test_no_warmup_changes_nothing(updates_per_epoch: int):
    warm = Warmup(Step(1, 0.5), warmup_epochs=0, updates_per_epoch=updates_per_epoch)
    for update in range(3 * updates_per_epoch):
        epoch = update / updates_per_epoch
        assert warm.factor(epoch, 3) == Step(1, 0.5).factor(epoch, 3)


def test_impossible_schedules_are_refused():
    with pytest.raises(ValueError, match="every_epochs must be positive, got 0"):
        Step(0, 0.1)
    with pytest.raises(ValueError, match=r"milestones must increase, got \[3, 2\]"):
        Milestones((3, 2), 0.1)
    with pytest.raises(ValueError, match="warmup_epochs must be at least 0, got -1"):
        Warmup(Constant(), -1, 3)


def test_budget_counts_short_batches():
    assert Budget.epochs(3, examples=60, batch_size=16) == Budget(total_updates=12, updates_per_epoch=4)
    assert Budget.steps(10, examples=60, batch_size=16) == Budget(total_updates=10, updates_per_epoch=4)
    assert Budget.steps(10, examples=60, batch_size=16).total_epochs == 2.5


def test_a_batch_above_the_set_is_one_an_epoch():
    assert Budget.epochs(3, examples=60, batch_size=100) == Budget(total_updates=3, updates_per_epoch=1)


def test_impossible_budgets_are_refused():
    with pytest.raises(ValueError, match="got 60 and 0"):
        Budget.epochs(3, examples=60, batch_size=0)
    with pytest.raises(ValueError, match="total_updates of at least 0"):
        Budget.steps(-1, examples=60, batch_size=5)


def test_published_learning_rates():
    # Goyal et al. 2017: 0.1 at 256 images becomes 3.2 at 8,192.
    assert scaled_learning_rate(0.1, 8192, 256, "linear") == pytest.approx(3.2)
    # Krizhevsky 2014: √k for k times the batch.
    assert scaled_learning_rate(0.01, 1024, 128, "sqrt") == pytest.approx(0.01 * 2.8284271)
    assert scaled_learning_rate(0.01, 1024, 128, "none") == 0.01


@pytest.mark.parametrize("rule", ["none", "linear", "sqrt"])
def test_the_reference_batch_size_has_the_rate_itself(rule: str):
    assert scaled_learning_rate(0.3, 7, 7, rule) == pytest.approx(0.3)


def test_bad_scaling_is_refused():
    with pytest.raises(ValueError, match="none, linear, sqrt, got 'cubic'"):
        scaled_learning_rate(0.1, 8, 8, "cubic")
    with pytest.raises(ValueError, match="reference_batch_size must be at least 1, got 0"):
        scaled_learning_rate(0.1, 8, 0, "linear")
