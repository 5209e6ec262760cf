"""Every optimiser of the registry trains, twice alike, in one go and in pieces."""

import json
from collections.abc import Iterator

import pytest
import torch
from joblib import Parallel, delayed
from torch import Tensor, nn

from study.optimizers import OPTIMIZERS
from study.training.checkpoints import TrainingState, snapshot
from study.training.data import Examples
from study.training.loop import EpochRecord, TrainingOutcome, train
from study.training.schedules import Budget, Cosine
from study.training.sources import digits

CHOICES = [
    *((name, ()) for name in OPTIMIZERS),
    ("sam", ("optimizer@optimizer.base=adam", "optimizer.adaptive=true")),
]


class Training:
    """A training on 64 small digits, with dropout and running statistics, and what it gave."""

    def __init__(
        self, make, name: str, overrides: tuple[str, ...], resume: TrainingState | None = None
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = nn.Sequential(
                nn.Flatten(),
                nn.Linear(64, 16),
                nn.BatchNorm1d(16),
                nn.ReLU(),
                nn.Dropout(0.2),
                nn.Linear(16, 10),
            )
        data = digits(8, 0.2)
        train_set, test_set = (Examples(own.inputs[:64], own.targets[:64]) for own in (data.train, data.test))
        self.records: list[EpochRecord] = []
        self.states: list[TrainingState] = []
        self.outcome: TrainingOutcome = train(
            self.model,
            train_set,
            test_set,
            make(name, self.model.parameters(), *overrides),
            task=data.task,
            budget=Budget.epochs(12, 64, 16),
            schedule=Cosine(0.1),
            batch_size=16,
            order_seed=0,
            on_checkpoint=lambda _checkpoint: None,
            on_epoch=self.records.append,
            on_state=self.states.append,
            resume=resume,
            progress=False,
        )

    @property
    def weights(self) -> dict[str, Tensor]:
        return snapshot(self.model)


def trained(make, name: str, overrides: tuple[str, ...], resume: TrainingState | None = None):
    """Records and final weights of a training by one thread, in whatever process."""
    torch.set_num_threads(1)
    training = Training(make, name, overrides, resume)
    return training.records, training.weights


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """As many threads afterwards as before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("name", "overrides"), CHOICES)
def test_it_lowers_the_loss_and_gives_the_same_bits_in_pieces_and_in_other_processes(make, name, overrides):
    torch.set_num_threads(1)
    whole = Training(make, name, overrides)
    losses = [record.values["train/loss"] for record in whole.records]
    assert losses[-1] < 0.9 * losses[0]
    tensors, rest = whole.states[5].encode()
    state = TrainingState.decode(tensors, json.loads(json.dumps(rest)))
    again, rest_of_it = Parallel(n_jobs=2)(
        delayed(trained)(make, name, overrides, own) for own in (None, state)
    )
    assert again[0] == whole.records
    assert rest_of_it[0] == whole.records[7:]
    for _records, weights in (again, rest_of_it):
        assert all(torch.equal(tensor, weights[key]) for key, tensor in whole.weights.items())


def test_the_base_s_state_is_kept_with_sam(make):
    states = Training(make, "sam", ("optimizer@optimizer.base=adam",)).states
    kept = states[0].optimizer["state"]
    assert {"exp_avg", "exp_avg_sq", "step"} == set(kept[0])
