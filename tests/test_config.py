"""Every choice composes; every key is read and kept in its range; no value stands outside YAML.

The table `CASES` has another value for each key of each choice. A key that is not in it, or whose other value
changes nothing in what a run does, makes a test here fail.
"""

import copy
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import MISSING, DictConfig, OmegaConf
from safetensors.torch import save_file
from torchvision.models import shufflenet_v2_x0_5

import study.run
import study.train
from study import build
from study.between import join_all
from study.compare import compare
from study.config import NAMES, SCHEMAS, StudyConfig
from study.config_evaluation import ExecutorConfig
from study.errors import ConfigError
from study.keys import Rule, walk
from study.landscape.executors import Serial
from study.landscape.result import Landscape
from study.members import Members
from study.models import initialise
from study.models.mlp import mlp
from study.paths import root
from study.prepare import Prepared, prepare
from study.record import COMPARISONS, Record
from study.resolve import composed, prepare_hydra, typed
from study.run import run
from study.tracking.tracker import NullTracker, Tracker
from study.training import sources
from study.training.order import Branch

CONF = root() / "conf"
CHOICES = sorted(
    str(file.relative_to(CONF).with_suffix("")) for file in CONF.rglob("*.yaml") if file.parent != CONF
)
SWEEPS = sorted(file.stem for file in (root() / "sweeps").glob("*.yaml"))
OWN_CODE = """
import numpy as np
from torch import nn


def data(shift=0.0):
    rng = np.random.default_rng(0)
    halves = []
    for size in (72, 40):
        targets = np.arange(size) % 3
        inputs = rng.normal(size=(size, 1, 6, 6)) + targets[:, None, None, None] + shift
        halves.append((inputs, targets))
    return halves


def other_data(shift=0.0):
    return data(shift + 1.0)


def net(input_shape, num_classes, width=4):
    size = int(np.prod(input_shape))
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.Tanh(), nn.Linear(width, num_classes))


def other_net(input_shape, num_classes, width=5):
    return net(input_shape, num_classes, width)
"""
SMALL: dict[str, Any] = {
    "data": "digits",
    "data.image_size": 8,
    "data.train_examples": 64,
    "data.test_examples": 32,
    "model": "mlp",
    "model.widths": "[8]",
    "optimizer": "adam",
    "training": "epochs",
    "training.epochs": 2,
    "training.batch_size": 32,
    "training.threads": 1,
    "evaluation.threads": 1,
    "landscape": "[]",
    "tracking": "none",
}


digits = cache(sources.digits)


class Refused(str):
    """A value that the key's other rules refuse: it is read, then."""

    __slots__ = ()


@dataclass
class Case:
    """A choice of a group.

    Attributes:
        changes: another value for each of its keys; a dict of several where one alone is refused.
        base: what is set besides `SMALL`, so that every key matters; None takes a key of `SMALL` away.
        section: full name of the section that the choice fills.
    """

    changes: dict[str, Any]
    base: dict[str, Any] = field(default_factory=dict)
    section: str = ""


SIZES = {"train_examples": 48, "test_examples": 24}
DATA = {**SIZES, "augmentation.crop_padding": 2, "augmentation.flip": True}
NAMED = {"name": Refused("elsewhere")}
NO_IMAGE_SIZE = {"data.image_size": None}
RATE = {"learning_rate": 0.3, "weight_decay": 0.2}
DECAY = {"optimizer.weight_decay": 0.1}
BUDGET = {
    "batch_size": 16,
    "label_smoothing": 0.2,
    "warmup_epochs": 2.0,
    "scale_learning_rate": "sqrt",
    "reference_batch_size": 8,
    "stop_at_train_loss": 1000.0,
    "checkpoint_every": 1,
    "init_seed": 5,
    "order_seed": 5,
    "branch_at": 1,
    "branch_seed": {"branch_at": 1, "branch_seed": 5},
    "threads": 2,
    "device": Refused("meta"),
}
SCALED = {"training.scale_learning_rate": "linear"}
ANYWHERE = {
    "kind": Refused("elsewhere"),
    "split": "test",
    "examples": 48,
    "subset_seed": 1,
    "tolerance": 0.5,
    "points": 4,
}
DIRECTED = {
    **ANYWHERE,
    "batch_statistics": "recomputed",
    "normalization": "layer",
    "direction_seed": 1,
    "include_bias_and_norm": True,
    "alpha_range": [-1.0, 0.5],
}
ON_A_PLANE = {
    "directions": ["gaussian", "gradient"],
    "orthogonal": True,
    "beta_range": [-1.0, 0.5],
    "beta_points": 4,
}
REPLICATED = {"basin_rise": 0.001, "replicates": 2}
BOUNDED = {"margin": 0.5, "beta_points": 4}
FILES = Path(tempfile.mkdtemp())  # of weights that landscapes name: made before the first test
WEIGHTS = [str(FILES / f"{name}.safetensors") for name in ("first", "second", "third")]
CLASSIFIER = str(FILES / "classifier.pth")  # of the classes of the digits
ENDS = {
    **ANYWHERE,
    "batch_statistics": "interpolated",
    "start": WEIGHTS[1],
    "end": WEIGHTS[2],
    "align": True,
    "align_seed": {"align": True, "align_seed": 1},
}


CURVATURE = {
    **NAMED,
    "matrices": ["gauss_newton"],
    "examples": 40,
    "subset_seed": 1,
    "eigenvalues": 2,
    "tolerance": 0.5,
    "trace_repeats": 3,
    "trace_probes": 2,
    "probe_seed": 1,
}
CURVED = {
    "curvature.matrices": "[hessian]",
    "curvature.examples": 32,
    "curvature.eigenvalues": 1,
    "curvature.trace_repeats": 2,
    "curvature.trace_probes": 1,
}


def looking(name: str, **base: Any) -> dict[str, Any]:
    """A landscape of a network with running statistics, on few points."""
    small = {"points": 5, "examples": 40, **base}
    return {
        "landscape": f"[{name}]",
        "model.norm": "batch",
        **{f"landscape.{name}.{key}": value for key, value in small.items()},
    }


CASES = {
    "data/digits": Case({**NAMED, **DATA, "image_size": 9, "test_fraction": 0.3}),
    "data/small_digits": Case({**NAMED, **DATA, "image_size": 9, "test_fraction": 0.3}),
    **{
        f"data/{name}": Case(
            {**SIZES, "name": "wine" if name != "wine" else "diabetes", "test_fraction": 0.3}, NO_IMAGE_SIZE
        )
        for name in ("diabetes", "breast_cancer", "wine")
    },
    "data/custom": Case(
        {**NAMED, **DATA, "path": "own_code_for_config:other_data", "arguments": {"shift": 2.0}},
        {"data.image_size": None, "data.path": "own_code_for_config:data"},
    ),
    **{
        f"data/{name}": Case(
            {**DATA, "name": "mnist" if name != "mnist" else "svhn", "root": "/elsewhere", "download": False},
            NO_IMAGE_SIZE,
        )
        for name in ("mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn")
    },
    "model/cnn": Case({**NAMED, "conv_dropout": 0.5, "hidden_dropout": 0.25}, {"model.widths": None}),
    "model/mlp": Case({**NAMED, "widths": [8, 7], "norm": "batch"}),
    "model/lenet": Case({**NAMED, "activation": "relu"}, {"model.widths": None, "data.image_size": 12}),
    "model/resnet": Case(
        {**NAMED, "depth": 14, "width": 2, "skip": False, "norm": "none", "shortcut": "projection"},
        {"model.widths": None, "model.depth": 8},
    ),
    "model/torchvision": Case(
        {**NAMED, "architecture": "mobilenet_v3_small", "weights": CLASSIFIER},
        {"model.widths": None, "model.architecture": "shufflenet_v2_x0_5"},
    ),
    "model/vgg": Case(
        {**NAMED, "depth": 11, "width": 0.25, "norm": "none"}, {"model.widths": None, "model.width": 0.125}
    ),
    "model/vit": Case(
        {
            **NAMED,
            "patch_size": 2,
            "width": 16,
            "depth": 2,
            "heads": 2,
            "mlp_ratio": 3.0,
            "dropout": 0.5,
        },
        {"model.widths": None, "model.width": 8, "model.depth": 1, "model.heads": 1},
    ),
    "model/custom": Case(
        {**NAMED, "path": "own_code_for_config:other_net", "arguments": {"width": 6}},
        {"model.widths": None, "model.path": "own_code_for_config:net"},
    ),
    "optimizer/sgd": Case({**NAMED, **RATE, "momentum": 0.5, "nesterov": True}, DECAY),
    "optimizer/plain_sgd": Case({**NAMED, **RATE, "momentum": 0.5, "nesterov": True}, DECAY),
    "optimizer/adam": Case({**NAMED, **RATE, "betas": [0.5, 0.9], "eps": 0.1}, DECAY),
    "optimizer/adamw": Case({**NAMED, **RATE, "betas": [0.5, 0.9], "eps": 0.1}, DECAY),
    "optimizer/rmsprop": Case({**NAMED, **RATE, "alpha": 0.5, "momentum": 0.5, "eps": 0.1}, DECAY),
    "optimizer/adagrad": Case({**NAMED, **RATE, "eps": 0.1}, DECAY),
    "optimizer/adadelta": Case({**NAMED, **RATE, "decay": 0.5, "eps": 0.1}, DECAY),
    "optimizer/sam": Case(
        {
            **NAMED,
            "rho": 0.1,
            "adaptive": True,
            **{f"base.{key}": value for key, value in {**NAMED, **RATE}.items()},
            "base.momentum": 0.5,
            "base.nesterov": True,
        },
        {"optimizer.base.weight_decay": 0.1},
    ),
    "training/epochs": Case({**BUDGET, "epochs": 1, "steps": {"steps": 3, "epochs": None}}, SCALED),
    "training/steps": Case(
        {**BUDGET, "steps": 3, "epochs": {"steps": None, "epochs": 1}},
        {**SCALED, "training.epochs": None, "training.steps": 4},
    ),
    "training/schedule/constant": Case(NAMED),
    "training/schedule/cosine": Case({**NAMED, "final_factor": 0.5}),
    "training/schedule/step": Case(
        {**NAMED, "every_epochs": 0.5, "gamma": 0.5}, {"training.schedule.every_epochs": 1.0}
    ),
    "training/schedule/milestones": Case(
        {**NAMED, "epochs": [0.5], "gamma": 0.5}, {"training.schedule.epochs": "[1.0]"}
    ),
    "training/averaging/none": Case(NAMED),
    "training/averaging/ema": Case(
        {**NAMED, "decay": 0.5, "start_epoch": 1}, {"training.averaging.start_epoch": 0}
    ),
    "training/averaging/swa": Case({**NAMED, "start_epoch": 2}, {"training.averaging.start_epoch": 1}),
    "landscape/interpolation": Case(
        {**ANYWHERE, "batch_statistics": "interpolated", "alpha_range": [-0.5, 1.0], "start_seed": 5},
        looking("interpolation"),
    ),
    "landscape/line": Case({**DIRECTED, "directions": ["gradient"], **REPLICATED}, looking("line")),
    "landscape/contour": Case({**DIRECTED, **ON_A_PLANE, **REPLICATED}, looking("contour")),
    "landscape/evolution": Case(
        {**DIRECTED, **ON_A_PLANE, "basin_rise": 0.001, "checkpoints": 3, "normalized_to": "solution"},
        looking("evolution", checkpoints=2),
    ),
    "landscape/hessian_map": Case(
        {
            **DIRECTED,
            **ON_A_PLANE,
            "batch_statistics": Refused("recomputed"),
            "tolerance": Refused("0.5"),
            "eigenvalue_tolerance": 0.5,
            "products": 3,
            "lanczos_seed": 1,
        },
        looking("hessian_map", points=2, products=16, eigenvalue_tolerance=1e-6),
    ),
    "landscape/hessian_plane": Case(
        {
            **ANYWHERE,
            "split": Refused("test"),
            "batch_statistics": Refused("recomputed"),
            "eigenvectors": "extremes",
            "alpha_range": [-1.0, 1.5],
            "beta_range": [-1.0, 0.5],
        },
        looking("hessian_plane"),
    ),
    "landscape/trajectory": Case(
        {**ANYWHERE, **BOUNDED, "batch_statistics": "recomputed", "center": "mean"}, looking("trajectory")
    ),
    "landscape/three_points": Case(
        {**ANYWHERE, **BOUNDED, "batch_statistics": "frozen", "second": WEIGHTS[2], "third": WEIGHTS[2]},
        looking("three_points", second=WEIGHTS[0], third=WEIGHTS[1]),
    ),
    "landscape/minima": Case({**ENDS, "alpha_range": [-0.5, 1.0]}, looking("minima", end=WEIGHTS[0])),
    "landscape/curve": Case(
        {
            **ENDS,
            "form": "chain",
            "steps": 3,
            "batch_size": 8,
            "learning_rate": 0.1,
            "curve_seed": 1,
            "t_range": [0.0, 0.5],
        },
        looking("curve", end=WEIGHTS[0], steps=2, batch_size=16),
    ),
    "landscape/scaling": Case(
        {
            **ANYWHERE,
            "batch_statistics": "recomputed",
            "alpha_range": [-1.0, 1.5],
            "beta_range": [-1.0, 0.5],
        },
        looking("scaling"),
    ),
    "tracking/none": Case(NAMED),
    "tracking/local": Case({
        "name": Refused("none"),
        "uri": "http://there:1",
        "experiment": "mine",
        "upload_checkpoints": "all",
    }),
    "tracking/server": Case(
        {"name": Refused("none"), "uri": "http://there:1", "experiment": "mine", "upload_checkpoints": "all"},
        {"tracking.uri": "http://here:1"},
    ),
    "curvature/off": Case(NAMED),
    "curvature/top": Case(CURVATURE, CURVED),
    "curvature/spectrum": Case(
        {**CURVATURE, "density_probes": 3, "lanczos_steps": 4, "smoothing": 0.02},
        {**CURVED, "curvature.density_probes": 2, "curvature.lanczos_steps": 3},
    ),
    "measures/off": Case(NAMED),
    "measures/flatness": Case(
        {
            **NAMED,
            "names": ["path_norm"],
            "examples": 40,
            "subset_seed": 1,
            "draw_seed": 1,
            "keskar_epsilons": [1e-2],
            "keskar_iterations": 2,
            "keskar_starts": 2,
            "sam_radius": 0.1,
            "adaptive_sam_radius": 0.1,
            "sam_steps": 2,
            "sam_starts": 2,
            "noise_sigma": 0.1,
            "scaled_noise_sigma": 0.2,
            "noise_pairs": 3,
            "pac_bayes_quantity": "loss",
            "pac_bayes_threshold": 0.2,
            "pac_bayes_tolerance": 0.01,
            "pac_bayes_pairs": 3,
            "slice_directions": 3,
            "slice_radius": 0.1,
            "slice_points": 4,
        },
        {
            "measures.examples": 32,
            "measures.keskar_epsilons": "[1e-3]",
            "measures.keskar_iterations": 1,
            "measures.keskar_starts": 1,
            "measures.sam_steps": 1,
            "measures.sam_starts": 1,
            "measures.noise_pairs": 2,
            "measures.pac_bayes_tolerance": 0.5,
            "measures.pac_bayes_pairs": 2,
            "measures.slice_directions": 2,
            "measures.slice_points": 3,
        },
    ),
    "executor/serial": Case({"name": Refused("ray")}),
    "executor/joblib": Case({"name": Refused("ray"), "workers": 3, "threads": 2}),
    "executor/ray": Case({
        "name": Refused("joblib"),
        "workers": 3,
        "threads": 2,
        "address": "auto",
        "gpus_per_worker": 0.5,
    }),
    "evaluation": Case(
        {
            "micro_batch": 32,
            "precision": "bfloat16",
            "compile": True,
            "points_at_once": 3,
            "threads": 2,
            "statistics_examples": 30,
        },
        {
            **looking("line"),
            **looking("interpolation"),
            "landscape": "[interpolation,line]",
            "evaluation.statistics_examples": 50,
        },
        section="evaluation",
    ),
    "comparison": Case(
        {"alpha_range": [0.0, 1.5], "points": 4, "examples": 20, "pairs": 0},
        {"comparison.points": 3},
        section="comparison",
    ),
}
TOP_LEVEL = {
    "seed",
    "checkpoint",
    "rescale",
    "reuse",
    "output_dir",
    "claims",
}  # each has a test of its own below
VARIANTS = {"small_digits": "digits", "plain_sgd": "sgd"}  # the same with other values
ALIKE = {"data/fashion_mnist", "data/kmnist", "data/cifar10", "data/cifar100", "data/svhn"}
ALIKE |= {"data/small_digits", "optimizer/plain_sgd"}
KEYS = [
    (choice, key)
    for choice, case in CASES.items()
    for key in case.changes
    if choice not in ALIKE or key == "name"
]


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Own code to be found, one thread, and as many threads afterwards as before."""
    folder = tmp_path_factory.mktemp("own_code")
    (folder / "own_code_for_config.py").write_text(OWN_CODE)
    for seed, file in enumerate(WEIGHTS, start=7):
        network = initialise(lambda: mlp((1, 8, 8), 10, widths=(8,), norm="batch"), seed)
        save_file(network.state_dict(), file)
    torch.save(initialise(lambda: shufflenet_v2_x0_5(num_classes=10), 7).state_dict(), CLASSIFIER)
    sys.path.insert(0, str(folder))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    sys.path.remove(str(folder))
    shutil.rmtree(FILES)


@cache
def composed_choice(choice: str) -> DictConfig:
    """The small configuration with one group's choice; not to be changed."""
    case, group = CASES[choice], choice.rpartition("/")[0]
    overrides = {**SMALL, **({} if group in {"", "landscape"} else {group: choice.rpartition("/")[2]})}
    overrides |= case.base
    return composed([f"{key}={value}" for key, value in overrides.items() if value is not None])


def section_of(choice: str) -> str:
    """Full name of the section that a choice fills."""
    group = choice.rpartition("/")[0]
    return CASES[choice].section or (choice if group == "landscape" else group).replace("/", ".")


def changed(choice: str, key: str, value: Any) -> DictConfig:
    """The configuration of a choice with another value of one key, or of several."""
    config = copy.deepcopy(composed_choice(choice))
    for name, other in (value if isinstance(value, dict) and key in value else {key: value}).items():
        OmegaConf.update(config, f"{section_of(choice)}.{name}", other, force_add=isinstance(other, dict))
    return config


def leaves(config: StudyConfig, section: str) -> set[str]:
    """Names within a section of all its keys but sections."""
    inside = f"{section}."
    return {
        name.removeprefix(inside)
        for name, _own, value in walk(config)
        if name.startswith(inside) and not is_dataclass(value)
    }


@dataclass
class Observed:
    """What a run did: which files it asked for, where it put what, and every number it gave."""

    prepared: Prepared
    done: dict[str, Any]


@pytest.fixture
def observe(monkeypatch, tmp_path) -> Callable[[StudyConfig], Observed]:
    """Run a configuration, pictures and stores left out, and gather all that it does."""
    calls: dict[str, Any] = {}

    def files(*asked: Any) -> Any:
        calls["files"] = asked
        return digits(8 if asked[0] == "mnist" else 9, 0.2)

    def watch(module: ModuleType, name: str) -> None:
        original = getattr(module, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            calls[f"threads in {name}"] = torch.get_num_threads()
            return original(*arguments, **named)

        monkeypatch.setattr(module, name, watched)

    make_tracker = study.run.make_tracker

    def no_store(*arguments: Any) -> Tracker:
        made = vars(make_tracker(*arguments))
        calls["tracker"] = {
            key: made[key] for key in ("uri", "experiment", "upload_checkpoints") if key in made
        }
        return NullTracker()

    def executor(config: ExecutorConfig) -> Serial:
        calls["executor"] = make_executor(config)
        return Serial()

    make_executor = study.run.build.executor
    monkeypatch.setattr(study.run.build, "executor", executor)
    monkeypatch.setattr(torch, "compile", lambda function, **_settings: function)  # tested with the plan
    monkeypatch.setattr(sources, "from_torchvision", files)
    monkeypatch.setattr(sources, "digits", digits)
    monkeypatch.setattr(study.run, "make_tracker", no_store)
    monkeypatch.setattr(study.run.report, "pictures", lambda *_arguments: {})
    monkeypatch.setattr(study.run.curvature, "pictures", lambda *_arguments: {})
    watch(study.train, "train")
    watch(study.run, "look")

    def observed(config: StudyConfig) -> Observed:
        calls.clear()
        config.output_dir = str(tmp_path)
        prepared = prepare(config, {})
        record = run(prepared).record
        done = dict(calls)
        for name in record.files():
            if name.startswith("checkpoints/"):
                done[name] = hashlib.sha256(record.read(name)).hexdigest()
            if name in {"curvature.csv", "measures.csv"}:
                done[name] = record.read(name)
            if name.startswith("landscapes/") and name.endswith(".npz"):
                landscape = Landscape.from_bytes(record.read(name))
                for beside, own in {"": landscape, **landscape.companions}.items():
                    arrays = {**own.axes, **own.values}
                    done[name + beside] = {key: array.tolist() for key, array in arrays.items()}
                done[f"plan of {name}"] = landscape.provenance["plan"]
        done["metrics"] = [(point.key, point.step, point.value) for point in record.metrics()]
        return Observed(prepared, done)

    return observed


@pytest.fixture
def observe_comparison(observe, monkeypatch, tmp_path) -> Callable[[StudyConfig], Observed]:
    """Compare two seeds of a configuration, pictures left out, and gather every number that it gives."""
    lines: dict[str, Landscape] = {}

    def keep(found: dict[str, Landscape], _groups: dict[str, str], **_words: str) -> None:
        lines.update(found)

    monkeypatch.setattr("study.figures.comparison.between_figure", keep)
    monkeypatch.setattr("study.figures.training.training_figure", lambda *_curves, **_words: None)
    for figure in ("measures_figure", "against_test_error"):
        monkeypatch.setattr(f"study.figures.measures.{figure}", lambda *_table, **_words: None)

    def observed(config: StudyConfig) -> Observed:
        lines.clear()
        runs = [observe(replace(config, seed=seed)).prepared for seed in (0, 1)]
        members = Members.of([own.record for own in runs])
        kept = Record.at(tmp_path, "comparison", COMPARISONS)
        joined = join_all(members, config.comparison, config.evaluation, Serial(), kept)
        found = compare(members, joined)
        done: dict[str, Any] = {"between": found.between.to_dict(), "left out": found.left_out}
        for name, line in lines.items():
            done[name] = {key: array.tolist() for key, array in {**line.axes, **line.values}.items()}
        return Observed(runs[0], done)

    return observed


@pytest.fixture(scope="module")
def baselines() -> dict[str, Observed]:
    return {}


# Composition


def test_every_file_of_the_configuration_has_a_case_here():
    assert set(CHOICES) == set(CASES) - {"evaluation", "comparison"}


@pytest.mark.parametrize("choice", CASES)
def test_every_choice_composes_and_keeps_its_rules(choice):
    config = typed(copy.deepcopy(composed_choice(choice)))
    section: Any = config
    for name in section_of(choice).split("."):
        section = section[name] if isinstance(section, dict) else getattr(section, name)
    if choice.startswith("landscape/"):
        assert choice == f"landscape/{section.kind}"
    elif hasattr(section, "name"):
        name = choice.rpartition("/")[2]
        assert section.name == VARIANTS.get(name, name)


def test_the_default_configuration_needs_nothing_given():
    config = composed([])
    assert not OmegaConf.missing_keys(config)
    assert list(typed(config).landscape) == ["interpolation", "contour"]


@pytest.mark.parametrize("choice", CASES)
def test_every_key_is_in_the_table(choice):
    config = typed(copy.deepcopy(composed_choice(choice)))
    own = {
        name
        for name in leaves(config, section_of(choice))
        if not name.startswith(("schedule.", "averaging."))
    }
    assert own == set(CASES[choice].changes)


def test_every_top_level_key_is_a_section_or_tested_by_itself():
    sections = {choice.partition("/")[0] for choice in CASES}
    assert {entry.name for entry in fields(StudyConfig)} == sections | TOP_LEVEL


def test_every_value_stands_in_yaml():
    for schema in (*SCHEMAS.values(), *(type(value) for _, _, value in walk(typed(composed([]))))):
        if is_dataclass(schema):
            assert {entry.name for entry in fields(schema) if entry.default != MISSING} == set(), schema


def test_only_what_nobody_can_know_is_left_to_be_given():
    assert {
        f"{choice}: {line.partition(':')[0]}"
        for choice in CHOICES
        for line in (CONF / f"{choice}.yaml").read_text().splitlines()
        if line.endswith(MISSING)
    } == {
        "data/custom: path",
        "model/custom: path",
        "tracking/server: uri",
        "landscape/minima: end",
        "landscape/curve: end",
        "landscape/three_points: second",
        "landscape/three_points: third",
    }


def test_every_schema_is_used_by_a_choice():
    used = set()
    for choice in CHOICES:
        used |= {type(value) for _, _, value in walk(typed(copy.deepcopy(composed_choice(choice))))}
    assert set(SCHEMAS.values()) <= used
    assert set(NAMES) <= used


def test_every_choice_says_what_it_is():
    for choice in CHOICES:
        lines = (CONF / f"{choice}.yaml").read_text().splitlines()
        assert any(line.startswith("# ") and "@package" not in line for line in lines[:2]), choice


# Sweeps


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_composes_and_every_key_that_it_sweeps_exists(name):
    with initialize_config_dir(version_base="1.3", config_dir=str(prepare_hydra())):
        config = compose("config", overrides=[f"+sweeps={name}"], return_hydra_config=True)
    assert config.hydra.mode.name == "MULTIRUN"
    swept = {key: str(value) for key, value in config.hydra.sweeper.params.items()}
    assert swept
    jobs = 1
    for key, values in swept.items():
        override = OverridesParser.create().parse_override(f"{key}={values}")
        singles = list(override.sweep_string_iterator())
        assert len(set(singles)) == len(singles) > 1, f"{key} is swept over one value"
        jobs *= len(singles)
        for value in singles if key != "seed" else (singles[0], singles[-1]):
            typed(composed([f"+sweeps={name}", f"{key}={value}"]))
    opening = (root() / "sweeps" / f"{name}.yaml").read_text().split("defaults:")[0]
    assert all(f"# {word}: " in opening for word in ("Question", "Source", "Cost"))
    assert f"# Cost: {jobs} runs" in opening


# Every key is read


@pytest.mark.parametrize(("choice", "key"), KEYS)
def test_another_value_of_a_key_makes_another_run(choice, key, observe, observe_comparison, baselines):
    value, full = CASES[choice].changes[key], f"{section_of(choice)}.{key}"
    if isinstance(value, Refused):
        with pytest.raises(ConfigError) as refused:
            prepare(typed(changed(choice, key, str(value))), {})
        assert str(refused.value).startswith(f"{full} ")
        assert str(refused.value).rpartition("got ")[2] in {repr(str(value)), str(value)}
        return
    if choice == "comparison":
        observe = observe_comparison
    if choice not in baselines:
        baselines[choice] = observe(typed(copy.deepcopy(composed_choice(choice))))
    before, after = baselines[choice], observe(typed(changed(choice, key, value)))
    assert before.done != after.done, f"nothing reads {full}"
    own = {name: entry for name, entry, _value in walk(before.prepared.config)}[full]
    hashed = own.metadata["hashed"] and not full.startswith(("tracking.", "comparison.", "executor."))
    of_training = hashed and full.startswith(("data.", "model.", "optimizer.", "training."))
    one, other = before.prepared.identity, after.prepared.identity
    assert (one.config_hash != other.config_hash) == hashed
    assert (one.training_hash != other.training_hash) == of_training


def test_the_same_configuration_makes_the_same_run(observe, tmp_path):
    first = observe(typed(copy.deepcopy(composed_choice("landscape/contour"))))
    config = typed(copy.deepcopy(composed_choice("landscape/contour")))
    config.reuse = False
    again = observe(config)
    assert first.prepared.identity == again.prepared.identity
    assert first.done == again.done


def small(**changes: Any) -> StudyConfig:
    config = typed(copy.deepcopy(composed_choice("landscape/line")))
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def test_seed_is_the_seed_of_weights_and_order_unless_they_are_given(observe):
    before, after = observe(small()), observe(small(seed=5))
    assert before.prepared.identity.training_hash != after.prepared.identity.training_hash
    assert before.done["metrics"] != after.done["metrics"]
    given = small()
    given.training.init_seed = given.training.order_seed = 5
    assert observe(given).prepared.identity == after.prepared.identity


def test_checkpoint_takes_the_weights_of_another_run(observe, tmp_path):
    trained = observe(small())
    looked = observe(small(checkpoint=trained.prepared.identity.config_hash))
    assert "threads in train" in trained.done
    assert "threads in train" not in looked.done
    assert looked.done["landscapes/line.npz"] == trained.done["landscapes/line.npz"]
    assert looked.prepared.identity.config_hash != trained.prepared.identity.config_hash
    earlier = observe(small(checkpoint=f"{trained.prepared.identity.config_hash}@2"))
    assert earlier.done["landscapes/line.npz"] != trained.done["landscapes/line.npz"]
    assert earlier.prepared.identity.config_hash != looked.prepared.identity.config_hash


def test_rescale_looks_at_another_point_with_the_same_function(observe):
    before, after = observe(small()), observe(small(rescale=5.0))
    assert "threads in train" not in after.done  # the same training
    assert after.prepared.identity.training_hash == before.prepared.identity.training_hash
    assert after.prepared.identity.config_hash != before.prepared.identity.config_hash
    assert after.done["landscapes/line.npz"] != before.done["landscapes/line.npz"]


def test_reuse_takes_what_is_finished(observe):
    assert "threads in train" in observe(small()).done
    assert "threads in train" not in observe(small()).done
    again = observe(small(reuse=False))
    assert "threads in train" in again.done


def test_output_dir_is_where_records_go_and_no_part_of_a_run(tmp_path):
    paths = []
    for folder in ("here", "there"):
        config = copy.deepcopy(composed_choice("landscape/line"))
        config.output_dir = str(tmp_path / folder)
        paths.append(prepare(typed(config), {}).record.path)
    assert paths[0] != paths[1]
    assert paths[0] == tmp_path / "here" / "runs" / paths[1].name


def test_output_dir_becomes_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = copy.deepcopy(composed_choice("landscape/line"))
    config.output_dir = "below/.."
    assert Path(typed(config).output_dir) == tmp_path


# Ranges


def broken_values(rule: Rule) -> Iterator[tuple[Any, str]]:
    """Values that break each part of a rule by the least, with the words of the refusal."""
    if rule.at_least is not None:
        yield rule.at_least - 1, f"must be at least {rule.at_least}"
    if rule.above is not None:
        yield float(rule.above), f"must be above {rule.above}"
    if rule.at_most is not None:
        yield rule.at_most + 1, f"must be at most {rule.at_most}"
    if rule.below is not None:
        yield float(rule.below), f"must be below {rule.below}"
    if rule.choices is not None:
        yield "no such", f"must be one of {', '.join(rule.choices)}"
    if rule.length is not None:
        for length in (rule.length - 1, rule.length + 1):
            yield [float(entry) for entry in range(length)], f"must have {rule.length} entries"
    if rule.increasing:
        yield [2.0, 1.0], "must increase from entry to entry"


@pytest.mark.parametrize("choice", CASES)
def test_a_value_outside_its_range_is_refused_by_name_rule_and_value(choice):
    for name, own, present in walk(typed(copy.deepcopy(composed_choice(choice)))):
        if own is None or not name.startswith(f"{section_of(choice)}."):
            continue
        if present is None and name in {"training.epochs", "training.steps"}:
            continue  # the other of the two is given: refused by another rule
        for value, words in broken_values(own.metadata["rule"]):
            if isinstance(present, list) and not isinstance(value, list):  # each entry is held to the rule
                value = [*present[:-1], type(present[0])(value)]
            config = copy.deepcopy(composed_choice(choice))
            OmegaConf.update(config, name, value)
            with pytest.raises(ConfigError) as refused:
                typed(config)
            said = [value, float(value)] if isinstance(value, int) else [value]
            assert str(refused.value) in {f"{name} {words}, got {each!r}" for each in said}


def test_every_part_of_a_rule_is_broken_above():
    parts = {"at_least", "above", "at_most", "below", "choices", "length", "increasing"}
    assert {entry.name for entry in fields(Rule)} == parts


@pytest.mark.parametrize("value", [-1, 2**63])
def test_seed_has_a_range(value):
    config = copy.deepcopy(composed_choice("landscape/line"))
    config.seed = value
    with pytest.raises(ConfigError, match=rf"^seed must be at (least 0|most {2**63 - 1}), got {value}$"):
        typed(config)


@pytest.mark.parametrize("choice", ["training/epochs", "training/steps"])
def test_a_branch_lies_within_the_budget(choice: str):
    config = typed(copy.deepcopy(composed_choice(choice)))  # 64 examples, 32 an update, four updates in all
    config.training.branch_at = 4
    assert build.branch(config, 64) == Branch(4, config.seed)
    config.training.branch_at, config.training.branch_seed = 5, 7
    with pytest.raises(ConfigError, match=r"^training\.branch_at must be at most 4, .* got 5$"):
        build.branch(config, 64)


def test_rules_between_keys():
    for overrides, message in [
        (
            ["optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=true"],
            "optimizer.momentum must be above 0",
        ),
        (
            ["curvature=top", "curvature.matrices=[]"],
            "curvature.matrices must name at least",
        ),
        (
            ["curvature=top", "curvature.matrices=[hessian,hessian]"],
            "curvature.matrices must name at least one matrix, each once, got",
        ),
        (
            ["measures=flatness", "measures.names=[]"],
            "measures.names must have at least one entry, each once, got []",
        ),
        (
            ["measures=flatness", "measures.keskar_epsilons=[0.1,0.1]"],
            "measures.keskar_epsilons must have at least one entry, each once, got [0.1, 0.1]",
        ),
        (
            ["training.branch_seed=3"],
            "training.branch_seed must be null where training.branch_at is, got 3",
        ),
        (["tracking.uri=sqlite:///x.db"], "tracking.uri must start with http:// or https://, got"),
        (
            ["landscape.contour.batch_statistics=interpolated"],
            "landscape.contour.batch_statistics must be frozen or",
        ),
        (
            ["landscape=[line]", "landscape.line.batch_statistics=interpolated"],
            "landscape.line.batch_statistics",
        ),
        (
            ["landscape=[scaling]", "landscape.scaling.batch_statistics=interpolated"],
            "landscape.scaling.batch_statistics must be frozen or",
        ),
        (["training.steps=3"], "training.epochs and training.steps: exactly one must be given, got (10, 3)"),
        (
            ["training.epochs=null"],
            "training.epochs and training.steps: exactly one must be given, got (None, None)",
        ),
    ]:
        with pytest.raises(ConfigError) as refused:
            typed(composed(overrides))
        assert str(refused.value).startswith(message)


def test_one_kind_can_be_looked_at_twice():
    overrides = ["landscape=[contour]", "+landscape@landscape.wide=contour", "landscape.wide.points=3"]
    config = typed(composed(overrides))
    assert {name: own.points for name, own in config.landscape.items()} == {"contour": 21, "wide": 3}


def test_curvature_without_its_extra_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr("study.errors.find_spec", lambda _name: None)
    typed(composed([]))  # off needs nothing
    with pytest.raises(ConfigError) as refused:
        typed(composed(["curvature=top"]))
    words = "needs curvlinops: pip install 'landscape-study[hessian]', got"
    assert str(refused.value) == f"curvature {words} 'top'"
    with pytest.raises(ConfigError) as refused:
        typed(composed(["measures=flatness"]))
    assert str(refused.value) == f"measures.names {words} 'slice_curvature'"
    typed(composed(["measures=flatness", "measures.names=[path_norm]"]))
