"""Averaged weights against their closed forms, in one go and in pieces, with statistics of their own."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from study.training.averaging import Average, Averaging, Ema, Swa, gather_statistics
from study.training.checkpoints import TrainingState, snapshot
from study.training.data import Examples
from study.training.loop import Checkpoint, EpochRecord, TrainingOutcome, mean_loss, train
from study.training.schedules import Budget, Constant
from study.training.tasks import Classification

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(60, 5, generator=GENERATOR) * 3.0 + 1.0
TRAIN = Examples(INPUTS, INPUTS[:, :3].argmax(dim=1))
TEST = Examples(INPUTS[:20] + 0.5, INPUTS[:20, :3].argmax(dim=1))
TASK = Classification(3)
PER_EPOCH = 4


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3))


class Training:
    """A training of three epochs with a checkpoint after every update, and all that it gave."""

    def __init__(self, averaging: Averaging | None, resume: TrainingState | None = None, **options) -> None:
        self.checkpoints: list[Checkpoint] = []
        self.records: list[EpochRecord] = []
        self.states: list[TrainingState] = []
        self.model = network()
        self.outcome: TrainingOutcome = train(
            self.model,
            TRAIN,
            TEST,
            torch.optim.SGD(self.model.parameters(), lr=0.3, momentum=0.9),
            task=TASK,
            budget=Budget.epochs(3, len(TRAIN), 16),
            schedule=Constant(),
            batch_size=16,
            order_seed=0,
            averaging=averaging,
            checkpoint_every=1,
            on_checkpoint=self.checkpoints.append,
            on_epoch=self.records.append,
            on_state=self.states.append,
            resume=resume,
            progress=False,
            **options,
        )

    def path(self, name: str) -> list[Tensor]:
        """One parameter after each update, the initialisation first, in float64."""
        return [checkpoint.state[name].double() for checkpoint in self.checkpoints]


def names() -> list[str]:
    return [name for name, _parameter in network().named_parameters()]


@pytest.mark.parametrize("start", [0, 1])
def test_ema_is_its_closed_form(start: int):
    """θ̄_T = d^(T−s) θ_s + (1 − d) Σ_{t>s} d^(T−t) θ_t."""
    training, decay = Training(Ema(0.8, start)), 0.8
    first, last = start * PER_EPOCH, 3 * PER_EPOCH
    for name in names():
        path = training.path(name)
        expected = decay ** (last - first) * path[first]
        for update in range(first + 1, last + 1):
            expected = expected + (1 - decay) * decay ** (last - update) * path[update]
        torch.testing.assert_close(training.outcome.averaged[name].double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start", [1, 2, 3])
def test_swa_is_the_mean_of_the_ends_of_epochs(start: int):
    training = Training(Swa(start))
    for name in names():
        ends = training.path(name)[start * PER_EPOCH :: PER_EPOCH]
        assert len(ends) == 4 - start
        expected = torch.stack(ends).mean(dim=0)
        torch.testing.assert_close(training.outcome.averaged[name].double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("averaging", [Ema(0.9, 1), Swa(1)])
def test_an_average_changes_no_training_and_is_the_same_in_pieces(averaging: Averaging):
    plain, whole = Training(None), Training(averaging)
    assert plain.outcome.averaged is None
    for one, other in zip(plain.checkpoints, whole.checkpoints, strict=True):
        assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    for state in whole.states:
        kept = TrainingState.decode(*state.encode())
        rest = Training(averaging, resume=kept)
        assert rest.outcome.averaged.keys() == whole.outcome.averaged.keys()
        assert all(
            torch.equal(rest.outcome.averaged[name], own) for name, own in whole.outcome.averaged.items()
        )
        assert [record.values for record in rest.records] == [
            record.values for record in whole.records[state.epoch + 1 :]
        ]


def test_an_average_is_recorded_from_the_first_weights_on():
    training = Training(Swa(2))
    has = ["train/averaged_loss" in record.values for record in training.records]
    assert has == [False, False, True, True]
    model = network()
    model.load_state_dict(training.outcome.averaged)
    for split, examples in (("train", TRAIN), ("test", TEST)):
        found = mean_loss(model, examples, 7, TASK)
        assert training.records[-1].values[f"{split}/averaged_loss"] == pytest.approx(found.loss, rel=1e-6)
        assert training.records[-1].values[f"{split}/averaged_accuracy"] == found.score


def test_no_average_is_left_of_a_training_that_ends_before_it_or_diverges():
    assert Training(Swa(3), stop_at_train_loss=1000.0).outcome.averaged is None
    lost = replace(TRAIN, inputs=TRAIN.inputs * torch.where(torch.arange(60) == 59, 1e38, 1.0)[:, None])
    model = nn.Sequential(nn.Linear(5, 3))
    ended = train(
        model,
        lost,
        TEST,
        torch.optim.SGD(model.parameters(), lr=1e30),
        task=TASK,
        budget=Budget.epochs(2, 60, 16),
        schedule=Constant(),
        batch_size=16,
        order_seed=0,
        averaging=Ema(0.5, 0),
        on_checkpoint=lambda _checkpoint: None,
        on_epoch=lambda _record: None,
        on_state=lambda _state: None,
        progress=False,
    )
    assert ended.diverged
    assert ended.averaged is None


def test_statistics_are_those_of_the_training_set():
    """Of one batch exactly; of several, the mean exactly, and nothing is drawn, moved or left switched on."""
    model = network().eval()
    before, drawn = snapshot(model), torch.random.get_rng_state()
    gather_statistics(model, INPUTS)
    hidden = model[0](INPUTS).detach()
    torch.testing.assert_close(model[1].running_mean, hidden.mean(0))
    torch.testing.assert_close(model[1].running_var, hidden.var(0))
    many = torch.cat([INPUTS, INPUTS * 2, INPUTS - 3])[:147]
    gather_statistics(model, many)
    torch.testing.assert_close(model[1].running_mean, model[0](many).detach().mean(0))
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert model[1].momentum == 0.1
    assert not any(module.training for module in model.modules())
    after = snapshot(model)
    assert all(torch.equal(after[name], before[name]) for name in names())


def test_an_average_of_nothing_is_no_network():
    average = Average(Swa(1), network(), PER_EPOCH, INPUTS)
    average.take(network(), 3)
    assert average.network() is None
    average.take(network(), 4)
    assert average.network() is not None


@pytest.mark.parametrize(("averaging", "epochs"), [(Ema(0.9, 0), [0, 1, 2, 3]), (Swa(2), [2, 3])])
def test_statistics_are_gathered_once_for_each_average(averaging: Averaging, epochs: list[int], monkeypatch):
    gathered: list[nn.Module] = []

    def counted(model: nn.Module, inputs: Tensor) -> None:
        gathered.append(model)
        gather_statistics(model, inputs)

    monkeypatch.setattr("study.training.averaging.gather_statistics", counted)
    training = Training(averaging)
    assert len(gathered) == len(epochs)
    gathered.clear()
    resumed = Training(
        averaging, resume=training.states[-1]
    )  # its training had ended before it was concluded
    assert len(gathered) == 1
    assert torch.equal(
        resumed.outcome.averaged["1.running_mean"], training.outcome.averaged["1.running_mean"]
    )
