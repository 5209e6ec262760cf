"""Training on tensors in memory, reproducible to the bit from its seeds, in one go or in pieces."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from study.bars import bar as progress_bar
from study.training.averaging import Average, Averaging
from study.training.checkpoints import TrainingState, snapshot
from study.training.data import Augmentation, Examples
from study.training.gradient import Gradient, NotFiniteError
from study.training.order import Branch, Stretch, derive_generator, derive_seed, stretches
from study.training.schedules import Budget, Schedule
from study.training.tasks import Task

EVALUATION_BATCH = 100
"""Examples at once in evaluation, whatever the training's batch size: runs that differ in it read alike."""


@dataclass(frozen=True)
class Evaluation:
    """What a model reaches on a whole set."""

    loss: float
    """Mean loss an example, in the task's unit: nats for classification."""
    score: float
    """What the task scores by: the accuracy, or R²."""


def mean_loss(model: nn.Module, examples: Examples, batch_size: int, task: Task) -> Evaluation:
    """The exact mean loss and the score over all of `examples`, in eval mode.

    Per-example losses are summed in float64 and divided once, so that a short last batch has its own weight
    only. Each submodule's train mode is put back.

    Raises:
        ValueError: If there are no examples, or `batch_size` is below 1.
    """
    if len(examples) == 0 or batch_size < 1:
        raise ValueError(f"evaluation needs examples and a batch size, got {len(examples)} and {batch_size}")
    losses = torch.empty(len(examples), dtype=torch.float64)
    given = []
    with _modes_kept(model), torch.no_grad():
        model.eval()
        for start in range(0, len(examples), batch_size):
            targets = examples.targets[start : start + batch_size]
            given.append(model(examples.inputs[start : start + batch_size].clone()))
            losses[start : start + batch_size] = task.loss(given[-1], targets)
    score = task.score(torch.cat(given), examples.targets)
    return Evaluation(losses.sum().item() / len(examples), score)


@dataclass(frozen=True)
class EpochRecord:
    """The numbers at the end of an epoch; epoch 0 is the initialisation."""

    epoch: int
    update: int
    """Updates taken so far."""
    values: dict[str, float]
    """By metric name: exact losses and scores on whole splits, L2 norms of the weights, and the learning rate
    of the last update (at epoch 0, of the first to come). May not be finite in divergence."""
    seconds: float = field(default=0.0, compare=False)
    """Wall-clock time of the epoch's updates, without evaluation. Never the same twice, so not compared."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights and buffers at one update."""

    update: int
    epoch: float
    """The same in epochs."""
    state: dict[str, Tensor]
    """Copies on the CPU, by name."""
    final: bool
    """Whether training ended here: this is the solution θ*."""


@dataclass(frozen=True)
class TrainingOutcome:
    """How a training ended."""

    updates: int
    """Updates taken."""
    epochs: float
    """The same in epochs."""
    diverged: bool
    message: str | None
    """One line that says why training ended before its budget; None if it did not."""
    stopped_early: bool
    """Whether the training loss asked for was reached before the budget was used up."""
    averaged: dict[str, Tensor] | None = field(default=None, compare=False)
    """The averaged weights with their own running statistics, copies on the CPU by name. None where none were
    asked for, training ended before the first entered the average, or it diverged."""


def train(
    model: nn.Module,
    train_set: Examples,
    test_set: Examples,
    optimizer: Optimizer,
    *,
    task: Task,
    budget: Budget,
    schedule: Schedule,
    batch_size: int,
    order_seed: int,
    branch: Branch | None = None,
    label_smoothing: float = 0.0,
    augmentation: Augmentation | None = None,
    averaging: Averaging | None = None,
    stop_at_train_loss: float | None = None,
    checkpoint_every: int | None = None,
    on_checkpoint: Callable[[Checkpoint], None],
    on_epoch: Callable[[EpochRecord], None],
    on_state: Callable[[TrainingState], None],
    resume: TrainingState | None = None,
    progress: bool = True,
) -> TrainingOutcome:
    """Trains `model` on mini-batches, in place.

    Data order, augmentation and dropout follow from (`order_seed`, epoch) alone, and from the update of
    `branch` on from (its seed, epoch). The caller's random state, the modules' train modes and the
    optimizer's learning rates are afterwards what they were, also after an exception, which passes through.

    At the end of an epoch come `on_epoch`, `on_checkpoint` if one is due, and `on_state`. No update has two
    checkpoints, except where the first mini-batch after one diverges: the same tensors come again as final.

    Args:
        model: Gives what the task asks for, shape (B, outputs).
        train_set: What is minimised.
        test_set: Evaluated beside it.
        optimizer: Over the model's parameters. Its learning rates are those that the schedule multiplies. Its
            `step` is given a closure, and may call it twice or oftener: see `Gradient`.
        task: What is asked for, and so the loss that is minimised.
        budget: When to end.
        schedule: The learning rate's factor before each update.
        batch_size: Examples an update; the last batch of an epoch may be shorter.
        order_seed: Seed of all that is drawn during training.
        branch: From which update on another seed takes its place. Updates before it have the bits of a
            training without it; one with the same seed changes no update.
        label_smoothing: In the loss that is minimised, never in what is recorded (Szegedy et al. 2016).
        augmentation: Applied to each training batch, never in evaluation.
        averaging: Which weights are averaged beside training, which it does not change; from the first that
            enters, loss and score of the average stand in each record.
        stop_at_train_loss: Ends training after the first epoch whose mean training loss is at or below it.
        checkpoint_every: Updates between checkpoints; None for one after each epoch. The initialisation, the
            branch and the end always have one.
        on_checkpoint: Given each checkpoint.
        on_epoch: Given a record of the initialisation and of each epoch, also of one that ends short.
        on_state: Given what `resume` takes, after each whole epoch but a diverged one.
        resume: Where to go on, bit for bit, with model and optimizer built as the first ones were. What was
            given to the callbacks before is not given again.
        progress: Whether to show a bar on a terminal.

    Raises:
        ValueError: If the budget or the state to resume is of another batch size, set or length, the state is
            of another architecture or optimizer, `checkpoint_every` is below 1, or the branch lies beyond the
            budget.
    """
    per_epoch = Budget.epochs(0, len(train_set), batch_size).updates_per_epoch
    if budget.updates_per_epoch != per_epoch:
        raise ValueError(f"the budget has {budget.updates_per_epoch} updates an epoch, the data {per_epoch}")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"checkpoint_every must be at least 1, got {checkpoint_every}")
    if branch is not None and branch.update > budget.total_updates:
        raise ValueError(f"the branch must be within {budget.total_updates} updates, got {branch.update}")
    if resume is not None and not resume.update == resume.epoch * per_epoch <= budget.total_updates:
        raise ValueError(
            f"the training state has {resume.update} updates after {resume.epoch} epochs, "
            f"the budget {per_epoch} an epoch and {budget.total_updates} in all"
        )

    average = Average(averaging, model, per_epoch, train_set.inputs) if averaging is not None else None
    rates = [group["lr"] for group in optimizer.param_groups]
    update = 0 if resume is None else resume.update

    def set_rates(factor: float) -> float:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        return optimizer.param_groups[0]["lr"]

    def checkpoint_asked_for() -> bool:
        at_branch = branch is not None and update == branch.update
        return at_branch or (checkpoint_every is not None and update % checkpoint_every == 0)

    def give_checkpoint(final: bool) -> None:
        on_checkpoint(Checkpoint(update, update / per_epoch, snapshot(model), final))

    def minimised_loss(inputs: Tensor, targets: Tensor) -> Tensor:
        return task.minimised(model(inputs), targets, label_smoothing)

    def run_epoch(epoch: int) -> str | None:
        """Trains for an epoch, or to the end of the budget. What went wrong, if anything did."""
        model.train()
        for stretch in stretches(epoch, len(train_set), batch_size, order_seed, branch):
            failure = run_stretch(epoch, stretch)
            if failure is not None:
                return failure
        return None

    def run_stretch(epoch: int, stretch: Stretch) -> str | None:
        """Trains for a part of an epoch. What went wrong, if anything did."""
        nonlocal update
        augmenting = derive_generator("augmentation", stretch.seed, epoch)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("dropout", stretch.seed, epoch))
            for chosen in stretch.examples.split(batch_size)[: budget.total_updates - update]:
                rate = set_rates(schedule.factor(update / per_epoch, budget.total_epochs))
                inputs, targets = train_set.inputs[chosen], train_set.targets[chosen]
                if augmentation is not None:
                    inputs = augmentation(inputs, augmenting)
                gradient = Gradient(model, optimizer, partial(minimised_loss, inputs, targets))
                try:
                    optimizer.step(gradient)
                except NotFiniteError as error:
                    return _divergence(error.what, update, epoch, error.value, rate)
                update += 1
                if average is not None:
                    average.take(model, update)
                bar.set_postfix_str(f"loss {gradient.loss:.4f}", refresh=False)
                bar.update()
                inside = update % per_epoch != 0 and update < budget.total_updates
                if inside and checkpoint_asked_for():
                    with torch.random.fork_rng(devices=[]):  # what the callback draws is not ours
                        give_checkpoint(final=False)
        return None

    def end_epoch(epoch: int, failure: str | None, seconds: float) -> TrainingOutcome | None:
        """Evaluates and reports. The outcome, if training ends here."""
        rate = set_rates(schedule.factor(max(update - 1, 0) / per_epoch, budget.total_epochs))
        on_train = mean_loss(model, train_set, EVALUATION_BATCH, task)
        on_test = mean_loss(model, test_set, EVALUATION_BATCH, task)
        norms = _weight_norms(model)
        values = {
            "train/loss": on_train.loss,
            f"train/{task.score_name}": on_train.score,
            "test/loss": on_test.loss,
            f"test/{task.score_name}": on_test.score,
            "training/learning_rate": rate,
        }
        on_epoch(EpochRecord(epoch, update, values | norms | of_average(), seconds))
        loss = on_train.loss
        if failure is None and not math.isfinite(loss):
            failure = _divergence("training loss", update, epoch, loss, rate)
        if failure is None and not math.isfinite(norms["weights/norm"]):
            failure = _divergence("norm of the weights", update, epoch, loss, rate)
        outcome = ending(epoch, loss) if failure is None else conclude(failure, diverged=True)
        if outcome is not None or checkpoint_every is None or checkpoint_asked_for():
            give_checkpoint(final=outcome is not None)
        if failure is None and epoch > 0 and update == epoch * per_epoch:
            kept = average.state() if average is not None else {}
            about = {"epoch": epoch, "update": update}
            on_state(TrainingState.capture(model, optimizer, **about, train_loss=loss, average=kept))
        return outcome

    def of_average() -> dict[str, float]:
        """Loss and score of the averaged weights, where there are any."""
        network = average.network() if average is not None else None
        if network is None:
            return {}
        on_train = mean_loss(network, train_set, EVALUATION_BATCH, task)
        on_test = mean_loss(network, test_set, EVALUATION_BATCH, task)
        return {
            "train/averaged_loss": on_train.loss,
            f"train/averaged_{task.score_name}": on_train.score,
            "test/averaged_loss": on_test.loss,
            f"test/averaged_{task.score_name}": on_test.score,
        }

    def ending(epoch: int, loss: float) -> TrainingOutcome | None:
        """The outcome of a training that goes well, if it ends here."""
        if update == budget.total_updates:
            return conclude(None)
        if epoch > 0 and stop_at_train_loss is not None and loss <= stop_at_train_loss:
            return conclude(f"training loss {loss:.6g} after epoch {epoch}, asked for {stop_at_train_loss:g}")
        return None

    def conclude(message: str | None, diverged: bool = False) -> TrainingOutcome:
        stopped = message is not None and not diverged
        network = average.network() if average is not None and not diverged else None
        averaged = snapshot(network) if network is not None else None
        return TrainingOutcome(update, update / per_epoch, diverged, message, stopped, averaged)

    with (
        _modes_kept(model),
        progress_bar(
            "training", "updates", total=budget.total_updates, done=update, hidden=not progress
        ) as bar,
    ):
        try:
            if resume is None:
                if average is not None:
                    average.take(model, 0)
                epoch, outcome = 0, end_epoch(0, None, 0.0)
            else:
                resume.restore(model, optimizer)
                if average is not None:
                    average.restore(resume.average)
                epoch, outcome = resume.epoch, ending(resume.epoch, resume.train_loss)
            while outcome is None:
                epoch += 1
                started = time.perf_counter()
                failure = run_epoch(epoch)
                outcome = end_epoch(epoch, failure, time.perf_counter() - started)
            return outcome
        finally:
            optimizer.zero_grad()
            set_rates(1.0)


def _weight_norms(model: nn.Module) -> dict[str, float]:
    """L2 norms in float64, of each parameter and of all together; tied parameters count once."""
    norms = {
        name: torch.linalg.vector_norm(parameter.detach(), dtype=torch.float64).item()
        for name, parameter in model.named_parameters()
    }
    total = math.hypot(*norms.values())
    return {"weights/norm": total} | {f"weights/norm/{name}": norm for name, norm in norms.items()}


def _divergence(what: str, update: int, epoch: int, loss: float, rate: float) -> str:
    return f"{what} not finite after update {update} (epoch {epoch}, loss {loss:g}, learning rate {rate:g})"


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    """Puts back the train mode of each submodule, which a model may have set one by one."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
