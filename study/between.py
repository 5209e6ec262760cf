"""From one minimum to another: θ(α) = θˢ + α (θˡ − θˢ) between the solutions of two runs (Listing 8)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from typing import Any

import pandas as pd
import torch

from study import build
from study.bars import progress
from study.config import ComparisonConfig
from study.config_evaluation import EvaluationConfig
from study.keys import hashed
from study.landscape.evaluate import evaluate
from study.landscape.executors import Executor
from study.landscape.geometry import Line
from study.landscape.grid import Grid
from study.landscape.result import Landscape
from study.landscape.weights import Weights
from study.left_out import MOST_LEFT_OUT, LeftOut
from study.look import point_store
from study.members import Member, Members, choice_key
from study.reading import Reading
from study.record import Record
from study.rescaled import FILE as RESCALED
from study.saved import saved_data, saved_model
from study.source import TRAINING, checkpoint_name
from study.training.checkpoints import decode_weights
from study.training.data import DataSet

SPLITS = ("train", "test")
FOLDER = "comparison/between"  # of a record
TABLE = f"{FOLDER}.csv"  # of the barriers

BRANCH_AT, BRANCH_SEED = "training.branch_at", "training.branch_seed"


@dataclass(frozen=True)
class Pair:
    """Two runs whose minima are joined.

    Attributes:
        start: at α = 0, the smaller value of the setting in which they differ.
        end: at α = 1.
    """

    start: Member
    end: Member

    @property
    def name(self) -> str:
        """Of its file: both hashes."""
        return f"{self.start.record.config_hash}_{self.end.record.config_hash}"

    def told_apart(self, members: Members) -> dict[str, Any]:
        """Both runs, by hash and by every setting in which the members differ: pairs may share a minimum."""
        both = {"start": self.start, "end": self.end}
        hashes = {f"{name}_run": run.record.config_hash for name, run in both.items()}
        settings = {name: members.differing(run) for name, run in both.items()}
        return hashes | {
            f"{name} {key}": value for name, own in settings.items() for key, value in own.items()
        }


def choose_pairs(members: Members, most: int) -> tuple[list[Pair], list[Pair]]:
    """The pairs that are joined, and those left out because there are more than `most`.

    Runs are paired that differ in one setting, seed by seed; where runs differ in their seeds alone, each
    with the next. A run that branched off (`training.branch_at`) is paired with its siblings, which differ in
    `training.branch_seed` alone, and with no other: what parts there is what the branch did (Frankle et al.
    2020, section 2). The two ends of a setting's values come first, then neighbours, then the rest; each for
    all seeds before the next. Two runs of one training are no pair.
    """
    keys = (*members.keys, *members.seeds)
    settings = [[_setting(run, key) for key in keys] for run in members.runs]  # read once, not once a pair
    trainings = [run.training_hash for run in members.runs]
    branched = [run.settings.get(BRANCH_AT) is not None for run in members.runs]
    places = {key: _places(members, key) for key in keys}
    ranked = []
    for (i, start), (j, end) in combinations(enumerate(members.runs), 2):
        if trainings[i] == trainings[j]:
            continue
        both = zip(keys, settings[i], settings[j], strict=True)
        differing = [key for key, own, other in both if _differ(own, other)]
        if branched[i] or branched[j]:
            apart = differing == [BRANCH_SEED]
        elif members.keys:
            apart = len(differing) == 1 and differing[0] in members.keys
        else:
            apart = j == i + 1
        if apart:
            ranked.append((_rank(*places[differing[0]], i, j), Pair(start, end)))
    pairs = [pair for _place, pair in sorted(ranked, key=lambda entry: entry[0])]
    return pairs[:most], pairs[most:]


def why_not(pair: Pair) -> str | None:
    """Why two minima cannot be joined, or None if they can."""
    for run in (pair.start, pair.end):
        if run.diverged:
            return "a training diverged"
        if not run.record.holds(TRAINING):
            return "a run has no training of its own"
    if pair.start.data_digest != pair.end.data_digest:
        return "other data"
    networks = [
        {key: value for key, value in run.settings.items() if key.startswith("model.")}
        for run in (pair.start, pair.end)
    ]
    return "other architecture" if networks[0] != networks[1] else None


def join(
    pair: Pair,
    config: ComparisonConfig,
    evaluation: EvaluationConfig,
    executor: Executor,
    record: Record,
    data: DataSet,
    on_point: Callable[[int, int], None] | None = None,
) -> Landscape:
    """The loss and accuracy of both splits along the line between two minima; read back if it is there.

    Running statistics are recomputed at every point, from training examples.

    Args:
        pair: of the same data and architecture.
        config: range, points and examples.
        evaluation: how points are evaluated.
        executor: who computes them.
        record: where the result is kept.
        data: of both runs.
        on_point: called with (points done, points in all).
    """
    file, about = f"{FOLDER}/{pair.name}.npz", f"{FOLDER}/{pair.name}.json"
    runs = (pair.start, pair.end)
    key = {
        "alpha_range": config.alpha_range,
        "points": config.points,
        "examples": config.examples,
        "evaluation": hashed(evaluation),
        "weights": [run.record.files()[solution_file(run)] for run in runs],
    }
    if record.holds(file) and record.holds(about) and record.read_json(about) == key:
        return Landscape.from_bytes(record.read(file))
    torch.set_num_threads(evaluation.threads)
    device = pair.start.settings["training.device"]
    data = data.to(device)
    network = saved_model(pair.start.record)
    model = build.model(network, data, 0, device)
    states = [decode_weights(run.record.read(solution_file(run)))[0] for run in runs]
    start, end = (Weights.from_state(model, state) for state in states)
    low, high = config.alpha_range
    reading = Reading.of(data, SPLITS, config.examples, 0, evaluation)
    landscape = evaluate(
        model,
        data.task.loss,
        reading.batches,
        Line.between(start, end),
        Grid.line(low, high, config.points),
        loss_unit=data.task.loss_unit,
        executor=executor,
        store=point_store(str(record.output_dir), network, pair.start.code_digests, data.task),
        on_point=on_point,
        **reading.settings,
    )
    record.write(file, landscape.to_bytes())
    record.write_json(about, key)
    return landscape


@dataclass(frozen=True)
class Joined:
    """Pairs of minima with what lies between them.

    Attributes:
        pairs: each with the landscape of its line.
        left_out: the pairs that are not among them, and why.
    """

    pairs: Sequence[tuple[Pair, Landscape]]
    left_out: Sequence[LeftOut] = ()


def join_all(
    members: Members,
    config: ComparisonConfig,
    evaluation: EvaluationConfig,
    executor: Executor,
    kept: Record,
) -> Joined:
    """The pairs of minima of finished runs, evaluated where they are not kept.

    Args:
        members: the runs.
        config: how many pairs, and how they are joined.
        evaluation: how points are evaluated.
        executor: who computes them.
        kept: where the results are kept.
    """
    joined: list[tuple[Pair, Landscape]] = []
    loaded: dict[str, DataSet] = {}
    chosen, beyond = choose_pairs(members, config.pairs)
    reason = f"comparison.pairs is {config.pairs}"
    left_out = [LeftOut("between", _named(pair, members), reason) for pair in beyond[:MOST_LEFT_OUT]]
    if more := len(beyond[MOST_LEFT_OUT:]):
        left_out.append(LeftOut("between", f"{more:,} more pairs", reason))
    for pair in chosen:
        words, hindrance = _named(pair, members), why_not(pair)
        if hindrance is None and pair.start.data_digest not in loaded:
            try:
                loaded = {pair.start.data_digest: build.data_set(saved_data(pair.start.record))}
            except (ValueError, OSError) as error:
                hindrance = f"its data cannot be had: {error}"
        if hindrance is not None:
            left_out.append(LeftOut("between", words, hindrance))
            continue
        with progress(f"between {words}") as on_point:
            data = loaded[pair.start.data_digest]
            joined.append((pair, join(pair, config, evaluation, executor, kept, data, on_point)))
    return Joined(joined, left_out)


def kept_pairs(members: Members, record: Record) -> Joined:
    """The pairs of a comparison's table of barriers, in its order; nothing is evaluated.

    Raises:
        DamagedFileError: if the record has not all that the table names.
    """
    if TABLE not in record.files():
        return Joined([])
    rows = pd.read_csv(BytesIO(record.read(TABLE)), dtype=str)[["start_run", "end_run"]].drop_duplicates()
    runs = {run.record.config_hash: run for run in members.runs}
    pairs = [Pair(runs[start], runs[end]) for start, end in rows.itertuples(index=False)]
    return Joined([(pair, Landscape.from_bytes(record.read(f"{FOLDER}/{pair.name}.npz"))) for pair in pairs])


def solution_file(run: Member) -> str:
    """Name of the weights that a run looked at: its last checkpoint, or that one rescaled."""
    if RESCALED in run.record.files():
        return RESCALED
    return checkpoint_name(run.record.read_json(TRAINING)["checkpoints"][-1])


def _named(pair: Pair, members: Members) -> str:
    return f"{members.label(pair.start)} and {members.label(pair.end)}"


def _setting(run: Member, key: str) -> tuple[Any, Any] | None:
    """The choice that a setting came with, and its value; None where the run has no such setting."""
    if key not in run.settings:
        return None
    choice = choice_key(key, run.settings)
    return choice and (choice, run.settings[choice]), run.settings[key]


def _differ(own: tuple[Any, Any] | None, other: tuple[Any, Any] | None) -> bool:
    """Whether two settings have different values, and not by another choice for their section."""
    return own is not None and other is not None and own[0] == other[0] and own[1] != other[1]


def _places(members: Members, key: str) -> tuple[list[int], int]:
    """Of each run, where its value of a setting comes among all of them; and where the last one comes."""
    values: dict[str, int] = {}
    places = [values.setdefault(repr(run.settings.get(key)), len(values)) for run in members.runs]
    return places, len(values) - 1


def _rank(places: Sequence[int], end: int, one: int, other: int) -> tuple[int, int]:
    """How early a pair is chosen: ends of the setting's values, neighbours, others; then by their place."""
    first, last = places[one], places[other]
    apart = abs(last - first)
    return (0 if apart == end else 1 if apart == 1 else 2), min(first, last)
