"""Wrong values of every key of every choice, from the schema alone: one line that names the key and the value.

The cases are generated: for each key, values of another type, values that break each part of its rule, nothing
where something must stand, numbers that are none, and its name mistyped. Each goes the way of an override.
"""

# ruff: noqa: E501  # messages stand whole

import copy
import os
import types
import typing
from collections.abc import Iterator
from dataclasses import Field, is_dataclass
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from study.errors import ConfigError
from study.keys import LARGEST_INT, Rule, walk
from study.paths import OUTPUT_DIR_VARIABLE, root
from study.refusals import one_line
from study.resolve import composed, typed

CONF = root() / "conf"
CHOICES = sorted(
    str(file.relative_to(CONF).with_suffix("")) for file in CONF.rglob("*.yaml") if file.parent != CONF
)
GIVEN = {  # what only the user can know
    "data/custom": ["data.path=here:data"],
    "model/custom": ["model.path=here:net"],
    "tracking/server": ["tracking.uri=http://here:1"],
    "landscape/minima": ["landscape.minima.end=aa"],
    "landscape/curve": ["landscape.curve.end=aa"],
    "landscape/three_points": ["landscape.three_points.second=aa", "landscape.three_points.third=bb"],
    "training/schedule/milestones": ["training.schedule.epochs=[1.0]"],
}
SECTIONS = ("", "evaluation", "comparison", "training", "tracking")  # that stand in every configuration
EVERYTHING = "everything else"
ALIKE = {"fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn", "breast_cancer", "wine", "small_digits"}
ALIKE |= {"plain_sgd", "steps", "server"}  # the same keys as another choice of their group
FEWEST = 4000  # cases in all: were a part of the schema no longer walked, there would be fewer
COUNTED: dict[str, int] = {}


@pytest.fixture(scope="module", autouse=True)
def _no_folder_of_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OUTPUT_DIR_VARIABLE, str(tmp_path_factory.mktemp("outputs")))
        yield


def section_of(choice: str) -> str:
    group, _, _name = choice.rpartition("/")
    return (choice if group == "landscape" else group).replace("/", ".")


def composed_choice(choice: str) -> DictConfig:
    group, _, name = choice.rpartition("/")
    picked = f"landscape=[{name}]" if group == "landscape" else f"{group}={name}"
    alone = [] if group == "landscape" else ["landscape=[]"]  # a small configuration is read faster
    return composed(alone if choice == EVERYTHING else [picked, *alone, *GIVEN.get(choice, [])])


def keys_of(choice: str, config: DictConfig) -> list[tuple[str, Field[Any], Any]]:
    """The keys that a choice brings, or those that stand whatever is chosen: name, field, value."""
    found = [(name, own, value) for name, own, value in walk(typed(copy.deepcopy(config))) if own is not None]
    if choice == EVERYTHING:
        return [each for each in found if each[0].rpartition(".")[0] in SECTIONS]
    return [each for each in found if each[0].startswith(f"{section_of(choice)}.")]


def is_optional(own: Field[Any]) -> bool:
    return type(None) in typing.get_args(own.type)


def plain(own: Field[Any]) -> Any:
    """The type of a key without `| None`."""
    if isinstance(own.type, types.UnionType):
        (kind,) = [each for each in typing.get_args(own.type) if each is not type(None)]
        return kind
    return own.type


def of_another_type(own: Field[Any]) -> Iterator[str]:
    """Values, as overrides have them, that are none of a key's type."""
    kind = plain(own)
    if is_dataclass(kind):
        return
    if not is_optional(own):
        yield "null"
    if kind is int:
        yield from ("many", "1.5", "", "nan", "-inf", "true", "[1]", "{a: 1}", "0x10")
        yield str(LARGEST_INT + 1)
    elif kind is float:
        yield from ("many", "", "nan", "-inf", "1e400", "true", "[1.5]", "{a: 1}")
    elif kind is bool:
        yield from ("perhaps", "", "2", "-1", "1.5", "nan", "[true]", "{a: 1}")
    elif kind is str:
        yield from ("[a]", "{a: 1}")
    elif typing.get_origin(kind) is list:
        yield from ("many", "", "1.5", "true", "{a: 1}", "[null]", "[[1]]")
        (entry,) = typing.get_args(kind)
        yield from () if entry is str else ("[a]", "[nan]", "[inf]", "[true]", "[many,1]")
    elif typing.get_origin(kind) is dict:
        yield from ("many", "", "1.5", "[1]")


def breaking(rule: Rule, own: Field[Any]) -> Iterator[str]:
    """Values of a key's type that break each part of its rule, by the least and by much."""
    inside: list[str] = []
    if rule.at_least is not None:
        inside.append(str(rule.at_least - 1))
    if rule.above is not None:
        inside.append(str(rule.above))
    if rule.at_most is not None:
        inside.append(str(rule.at_most + 1))
    if rule.below is not None:
        inside.append(str(rule.below))
    if rule.choices is not None:
        inside += ["no_such", "''", rule.choices[0].upper()]
    listed = typing.get_origin(plain(own)) is list
    yield from [f"[{value}]" for value in inside] if listed else inside
    if rule.length is not None:
        yield from (f"[{','.join(map(str, range(length)))}]" for length in {0, 1, 2, 3} - {rule.length})
    if rule.increasing:
        yield from ("[2,1]", "[1,1]")


def mistyped(name: str, known: set[str]) -> Iterator[str]:
    """A key's name with a letter less, more or elsewhere, or in capitals; none that is another key's."""
    section, _, last = name.rpartition(".")
    others = {last[:-1], last[1] + last[0] + last[2:], last.upper()}
    for other in sorted(others - {last, ""}):
        full = f"{section}.{other}" if section else other
        if full not in known:
            yield full


def said_of(config: DictConfig, override: str) -> str | None:
    """What is said of a configuration with one override more; None if it is taken."""
    config = copy.deepcopy(config)
    try:
        ConfigLoaderImpl._apply_overrides_to_config([PARSER.parse_override(override)], config)
        typed(config, [override])
    except Exception as error:
        return one_line(error, [override]) or f"TRACEBACK of {override}: {error}"
    return None


PARSER = OverridesParser.create()


DIFFERENT = [choice for choice in CHOICES if choice.rpartition("/")[2] not in ALIKE]


@pytest.mark.parametrize("choice", [EVERYTHING, *DIFFERENT])
def test_a_wrong_value_of_any_key_is_one_line_with_key_and_value(choice):
    config = composed_choice(choice)
    names = {name for name, _own, _value in keys_of(choice, config)}
    assert names
    for name, own, present in keys_of(choice, config):
        if is_dataclass(present):
            continue
        for value in dict.fromkeys([*of_another_type(own), *breaking(own.metadata["rule"], own)]):
            override = f"{name}={value}"
            line = said_of(config, override)
            assert line is not None, f"{override} is taken"
            assert "\n" not in line, override
            assert line.startswith(name.partition("[")[0]), f"{override}: {line}"
            assert names_the_value(line, value), f"{override}: {line}"
            COUNTED[override] = COUNTED.get(override, 0) + 1


def names_the_value(line: str, value: str) -> bool:
    """Whether a refusal shows the value: as it was written, or as it was read."""
    if value in {"", "''"}:
        return "''" in line or "got " in line or "nothing" in line
    if value == "null":
        return "null" in line or "nothing" in line
    parts = [part for part in value.strip("[]{}").replace(":", ",").split(",") if part.strip()]
    read = {"1e400": "inf", "true": "True", "null": "None"}
    spoken = line.lower()
    return all(
        any(word.lower() in spoken for word in (part.strip(), read.get(part, part), _as_number(part)))
        for part in parts
    )


def _as_number(part: str) -> str:
    try:
        return str(float(part))
    except ValueError:
        return part


@pytest.mark.parametrize("choice", DIFFERENT)
def test_a_mistyped_key_is_answered_with_the_nearest(choice):
    config = composed_choice(choice)
    known = {name for name, _own, _value in walk(typed(copy.deepcopy(config)))}
    for name, own, _value in keys_of(choice, config):
        assert own is not None
        for typo in mistyped(name, known):
            line = said_of(config, f"{typo}=1")
            assert line is not None, f"{typo} is taken"
            assert line.startswith(f"{typo} is "), line
            near = f"(did you mean {name!r}?)" in line
            assert near or "it is one of " in line or "own code" in line, line  # or another choice has it
            COUNTED[typo] = COUNTED.get(typo, 0) + 1


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("sed", "seed"),
        ("SEED", "seed"),
        ("rescal", "rescale"),
        ("checkpiont", "checkpoint"),
        ("reues", "reuse"),
        ("outputdir", "output_dir"),
        ("optimiser", "optimizer"),
        ("landscapes", "landscape"),
        ("modle", "model"),
        ("dtaa", "data"),
        ("measure", "measures"),
        ("claim", "claims"),
    ],
)
def test_a_mistyped_key_of_the_top_is_answered_with_the_nearest(typo, meant):
    with pytest.raises(Exception) as error:  # noqa: PT011 - whatever Hydra raises, one_line reads it
        composed([f"{typo}=1"])
    line = one_line(error.value, [f"{typo}=1"])
    assert line is not None
    assert line.startswith(f"{typo} is no key of the configuration (did you mean '{meant}'?)"), line


@pytest.mark.parametrize("group", sorted({choice.rpartition("/")[0] for choice in CHOICES}))
def test_a_mistyped_choice_is_answered_with_the_nearest(group):
    for choice in CHOICES:
        own, _, name = choice.rpartition("/")
        if own != group:
            continue
        wrong = f"{name}x"
        override = f"landscape=[{wrong}]" if group == "landscape" else f"{group}={wrong}"
        with pytest.raises(Exception) as error:  # noqa: PT011 - as above
            composed([override])
        line = one_line(error.value, [override])
        assert line is not None
        assert line.startswith(f"{group} must be one of "), line
        assert line.endswith(f"got {wrong!r} (did you mean {name!r}?)"), line


CONTRADICTIONS = {
    "optimizer=sgd optimizer.momentum=0 optimizer.nesterov=true": "optimizer.momentum must be above 0 with nesterov=true, got 0.0",
    "optimizer=sam optimizer.base.momentum=0 optimizer.base.nesterov=true": "optimizer.base.momentum must be above 0 with nesterov=true, got 0.0",
    "training.epochs=3 training.steps=3": "training.epochs and training.steps: exactly one must be given, got (3, 3)",
    "training=steps training.steps=null": "training.epochs and training.steps: exactly one must be given, got (None, None)",
    "training.branch_seed=1": "training.branch_seed must be null where training.branch_at is, got 1",
    "landscape=[minima] landscape.minima.end=aa landscape.minima.start=aa": "landscape.minima.end must be other weights than landscape.minima.start, got 'aa'",
    "landscape=[curve] landscape.curve.end=aa landscape.curve.start=aa": "landscape.curve.end must be other weights than landscape.curve.start, got 'aa'",
    "landscape=[line] landscape.line.directions=[gaussian,gaussian]": "landscape.line.directions must have 1 entry on a line, got ['gaussian', 'gaussian']",
    "landscape=[contour] landscape.contour.directions=[gradient]": "landscape.contour.directions must have 2 entries on a plane, got ['gradient']",
    "landscape=[contour] landscape.contour.directions=[gradient,gradient]": "landscape.contour.directions must be different, got ['gradient', 'gradient']",
    "landscape=[line] landscape.line.directions=[gausian]": "landscape.line.directions must be gaussian, difference, gradient, ",
    "landscape=[line] landscape.line.directions=[eigenvector:0]": "landscape.line.directions must be gaussian, difference, gradient, ",
    "landscape=[line] landscape.line.directions=[gradient] landscape.line.replicates=3": "landscape.line.replicates must be 1 ",
    "landscape=[line] landscape.line.batch_statistics=interpolated": "landscape.line.batch_statistics must be frozen or recomputed about one solution, got 'interpolated'",
    "landscape=[hessian_map] landscape.hessian_map.tolerance=0.1": "landscape.hessian_map.tolerance must be ",
    "landscape=[hessian_map] landscape.hessian_map.batch_statistics=recomputed": "landscape.hessian_map.batch_statistics must be ",
    "landscape=[line] landscape.line.replicates=3 landscape.line.direction_seed=9223372036854775807": "landscape.line.replicates must leave direction_seed + replicates − 1 at most 9223372036854775807, got 3",
    "curvature=top curvature.matrices=[hessian,hessian]": "curvature.matrices must name at least one matrix, each once, got ['hessian', 'hessian']",
    "measures=flatness measures.names=[path_norm,path_norm]": "measures.names must have at least one entry, each once, got ['path_norm', 'path_norm']",
    "measures=flatness measures.keskar_epsilons=[0.1,0.1]": "measures.keskar_epsilons must have at least one entry, each once, got [0.1, 0.1]",
    "tracking.uri=file:///tmp": "tracking.uri must start with http:// or https://, got 'file:///tmp'",
    "tracking.experiment=": "tracking.experiment must be a name, got ''",
    "+landscape@landscape.train=line": "landscape names must not be train, test, ",
    "model=custom model.path=a:b +model.arguments.width=nan": "model.arguments must hold finite numbers, got {'width': nan}",
    "data=custom data.path=a:b +data.arguments.shift=inf": "data.arguments must hold finite numbers, got {'shift': inf}",
    "output_dir=/tmp/a%20b": "output_dir must have none of % ? # in its path, which the address of the MLflow store cannot hold, got '/tmp/a%20b'",
    "model=custom model.path=a:b model.arguments={width: 3}": "model.arguments are those of your own code: each must be given as +model.arguments.KEY=VALUE",
    "landscape={line: 3}": "landscape has the wrong type: its keys must be given as landscape.NAME.KEY=VALUE",
    "claims={mine: 3}": "claims has the wrong type: its keys must be given as claims.NAME.KEY=VALUE",
}


@pytest.mark.parametrize("overrides", CONTRADICTIONS)
def test_keys_that_contradict_each_other_are_one_line(overrides):
    words = overrides.replace(": ", ":").split()
    words = [word.replace(":3", ": 3") if "={" in word else word for word in words]
    try:
        typed(composed(words), words)
    except Exception as error:
        line = one_line(error, words)
    else:
        line = None
    assert line is not None
    assert line.startswith(CONTRADICTIONS[overrides]), line
    assert "\n" not in line


# Contradictions with the data and the network, which are built to see them.
BUILT = {
    "data.train_examples=1438": "data.train_examples must be from 1 to 1437, the size of that split of digits, got 1438",
    "data.test_examples=361": "data.test_examples must be from 1 to 360, the size of that split of digits, got 361",
    "data.test_fraction=0.001": "test_fraction must leave each split at least 10 of 1797 examples, got 0.001",
    "data.augmentation.crop_padding=8": "crop_padding must be smaller than the image, 8 x 8 pixels, got 8",
    "training.branch_at=3": "training.branch_at must be at most 2, the updates of the budget, got 3",
    "training/averaging=swa training.averaging.start_epoch=2": "training.averaging.start_epoch must be at most 1, the whole epochs of the budget, got 2",
    "training/averaging=ema training.averaging.start_epoch=2": "training.averaging.start_epoch must be at most 1, the whole epochs of the budget, got 2",
    "training.checkpoint_every=2 landscape=[trajectory]": "training.checkpoint_every must leave at least 3 checkpoints for landscape.trajectory, got 2",
    "training.epochs=1000000000000 training.checkpoint_every=null landscape=[trajectory] training.device=nowhere": "training.device must be a device of this machine, as cpu or cuda:0, got 'nowhere'",
    "training.device=": "training.device must be a device of this machine, as cpu or cuda:0, got ''",
    "training.device=meta": "training.device must be a device of this machine, as cpu or cuda:0, got 'meta'",
    "training.device=cuda:99": "training.device must be a device of this machine, as cpu or cuda:0, got 'cuda:99'",
    "model.norm=batch training.batch_size=63": "training.batch_size must not leave a batch of one of 64 examples to this network (",
    "model.norm=batch training.batch_size=1": "training.batch_size must not leave a batch of one of 64 examples to this network (",
    "landscape.line.directions=[eigenvector:99999]": "landscape.line.directions must name one of 310 eigenvectors, got 'eigenvector:99999'",
    "landscape.line.directions=[difference] checkpoint=nothing": "checkpoint must name one run in output_dir, ",
}


@pytest.mark.parametrize("overrides", BUILT)
def test_keys_that_contradict_data_or_network_are_one_line(overrides, refusal):
    assert refusal(*overrides.split()).startswith(BUILT[overrides])


def test_a_huge_budget_takes_no_memory_before_it_begins(preparing):
    """The checkpoints to come are counted for a plane of them, and were listed once."""
    assert (
        preparing(
            "training.epochs=1000000000000", "training.checkpoint_every=1", "landscape=[trajectory]"
        ).config.training.epochs
        == 10**12
    )


def test_there_are_as_many_cases_as_the_schema_has_mistakes():
    """Only where the whole file was run: a part of it counts less."""
    if len(COUNTED) < FEWEST / 2:
        pytest.skip("a part of the cases was run")
    assert sum(COUNTED.values()) >= FEWEST
    assert os.environ[OUTPUT_DIR_VARIABLE]


def test_the_generator_reaches_every_type_of_key():
    seen = {
        str(plain(own))
        for choice in CHOICES
        for _n, own, value in keys_of(choice, composed_choice(choice))
        if not is_dataclass(value)
    }
    assert {"<class 'int'>", "<class 'float'>", "<class 'bool'>", "<class 'str'>"} <= seen
    assert {"list[float]", "list[int]", "list[str]"} <= seen


def test_a_refusal_is_a_config_error():
    with pytest.raises(ConfigError, match=r"^model\.widths must be a list of single values, got \[\[1\]\]$"):
        typed(composed(["model=mlp", "model.widths=[[1]]"]))
