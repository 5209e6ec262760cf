"""Trained weights that are not as they should be: what `checkpoint=`, landscapes and directions may name."""

# ruff: noqa: E501  # messages stand whole

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from study.landscape.result import Landscape
from study.paths import OUTPUT_DIR_VARIABLE
from study.prepare import prepare
from study.record import Record, State
from study.resolve import composed, typed
from study.run import run
from study.source import checkpoint_name
from tests.bad_input.small import SMALL

LINE = ("landscape=[line]", "landscape.line.points=3", "tracking=none")
LAST = 2  # the update of the solution
ONE_RUN = "must name one run in output_dir, by its hash or its MLflow id, or a .safetensors file"


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("trained")
        patch.setenv(OUTPUT_DIR_VARIABLE, str(folder))
        yield run(prepare(copy.deepcopy(typed(composed([*SMALL, "landscape=[]"]))), {})).record.path


@pytest.fixture
def record(_trained: Path, output_dir: Path) -> Record:
    """A run that is finished, of a network of one hidden layer; not to be shared between tests."""
    shutil.copytree(_trained, output_dir / "runs" / _trained.name)
    found = Record.at(output_dir, _trained.name)
    found.write_json(
        "run.json", {**found.read_json("run.json"), "choices": {"data": "small_digits", "model": "mlp"}}
    )
    return found


@pytest.fixture
def tampered(record: Record) -> Callable[..., Record]:
    """A copy of the run under another hash, one of its files changed together with its checksum."""

    def make(file: str, change: Callable[[str], str], name: str = "a1" * 8) -> Record:
        path = Path(shutil.copytree(record.path, record.path.parent / name))
        copied = Record.at(record.output_dir, name)
        copied.write(file, change((path / file).read_text()))
        return copied

    return make


def state_of(record: Record) -> dict[str, torch.Tensor]:
    return load_file(record.path / checkpoint_name(LAST))


def bytes_of(record: Record) -> bytes:
    return (record.path / checkpoint_name(LAST)).read_bytes()


ARCHITECTURE = "must be weights of this network, not of another architecture"
UNREADABLE = "must be readable (not a safetensors file: Error while deserializing: "

# By name: from the solution's tensors to a file's, and what is said of it.
TENSORS = {
    "a wider layer": (lambda own: {**own, "linear1.weight": torch.zeros(5, 64)}, f"{ARCHITECTURE} ('linear1.weight' must have shape (4, 64), got (5, 64))"),
    "another input size": (lambda own: {**own, "linear1.weight": torch.zeros(4, 784)}, f"{ARCHITECTURE} ('linear1.weight' must have shape (4, 64), got (4, 784))"),
    "fewer classes": (lambda own: {**own, "output.bias": torch.zeros(3)}, f"{ARCHITECTURE} ('output.bias' must have shape (10,), got (3,))"),
    "a layer more": (lambda own: {**own, "linear2.weight": torch.zeros(4, 4)}, f"{ARCHITECTURE} (it has no 'linear2.weight')"),
    "a tensor less": (lambda own: {key: value for key, value in own.items() if key != "output.bias"}, f"{ARCHITECTURE} (the weights must hold 'output.bias' of shape (10,): missing)"),
    "no tensor": (lambda own: {}, f"{ARCHITECTURE} (the weights must hold 'linear1.weight' of shape (4, 64): missing)"),
    "names with a prefix": (lambda own: {f"module.{key}": value for key, value in own.items()}, f"{ARCHITECTURE} (the weights must hold 'linear1.weight' of shape (4, 64): missing)"),
    "integers": (lambda own: {**own, "output.bias": own["output.bias"].long()}, f"{ARCHITECTURE} ('output.bias' must be floating-point, got torch.int64)"),
    "complex": (lambda own: {**own, "output.bias": own["output.bias"].to(torch.complex64)}, f"{ARCHITECTURE} ('output.bias' must be floating-point, got torch.complex64)"),
    "not a number": (lambda own: {**own, "output.bias": own["output.bias"] * float("nan")}, "must hold finite weights, 'output.bias' has others"),
    "infinite": (lambda own: {**own, "linear1.weight": own["linear1.weight"] / 0}, "must hold finite weights, 'linear1.weight' has others"),
}  # fmt: skip

# By name: from the bytes of a file to others, and what is said of it.
BYTES = {
    "empty": (lambda own: b"", f"{UNREADABLE}header too small)"),
    "cut short": (lambda own: own[:-7], f"{UNREADABLE}incomplete metadata, file not fully covered)"),
    "cut in its header": (lambda own: own[:20], f"{UNREADABLE}invalid header length)"),
    "garbage": (lambda own: bytes(range(256)) * 9, f"{UNREADABLE}header too large)"),
    "a header beyond all": (lambda own: b"\xff" * 8 + own[8:], f"{UNREADABLE}header too large)"),
    "a header that is no JSON": (lambda own: own[:8] + b"x" + own[9:], f"{UNREADABLE}invalid JSON in header: "),
    "longer than it says": (lambda own: own + b"more", f"{UNREADABLE}"),
    "text": (lambda own: b"weights: none\n", f"{UNREADABLE}header too large)"),
}  # fmt: skip


@pytest.fixture
def file_of(record: Record, tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """Writes the file of a name above; gives its path, and what is said of it."""

    def write(name: str) -> tuple[str, str]:
        path = tmp_path / "weights.safetensors"
        if name in TENSORS:
            change, message = TENSORS[name]
            save_file(change(state_of(record)), path)
        else:
            change, message = BYTES[name]
            path.write_bytes(change(bytes_of(record)))
        return str(path), message

    return write


@pytest.mark.parametrize("name", [*TENSORS, *BYTES])
def test_a_file_that_holds_no_such_weights_is_one_line(name, file_of, refusal):
    path, message = file_of(name)
    said = refusal(checkpoint=path)
    assert said.startswith(f"checkpoint {message}"), said
    assert said.endswith(f", got {path!r}")


@pytest.mark.parametrize("name", [*TENSORS, *BYTES])
def test_a_file_named_by_a_landscape_is_held_to_the_same(name, file_of, refusal):
    path, message = file_of(name)
    minima = ("landscape=[minima]", "landscape.minima.end=aa")
    said = refusal(*minima, landscape__minima__end=path)
    assert said.startswith(f"landscape.minima.end {message}"), said
    assert said.endswith(f", got {path!r}")


DIRECTIONS = {
    "a wider layer": "'linear1.weight' must have shape (4, 64), got (5, 64)",
    "a layer more": "must hold one tensor for each parameter, 'linear2.weight' is of none",
    "a tensor less": "must hold 'output.bias' of shape (10,): missing",
    "no tensor": "must hold 'linear1.weight' of shape (4, 64): missing",
    "integers": "'output.bias' must be floating-point, got torch.int64",
    "complex": "'output.bias' must be floating-point, got torch.complex64",
    "not a number": "'output.bias' must be finite, it is not everywhere",
    "infinite": "'linear1.weight' must be finite, it is not everywhere",
    "empty": "must hold a direction as safetensors: Error while deserializing: header too small",
    "cut short": "must hold a direction as safetensors: Error while deserializing: incomplete metadata",
    "garbage": "must hold a direction as safetensors: Error while deserializing: header too large",
    "text": "must hold a direction as safetensors: Error while deserializing: header too large",
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_file_that_holds_no_direction_is_one_line(name, file_of, refusal):
    path, _message = file_of(name)
    said = refusal(landscape__line__directions=[path])
    assert said.startswith("landscape.line.directions must be a direction for this network ("), said
    assert DIRECTIONS[name] in said
    assert said.endswith(f", got {path!r}")


def test_a_direction_of_no_length_is_one_line(record, tmp_path, refusal):
    path = tmp_path / "zero.safetensors"
    save_file({name: torch.zeros_like(own) for name, own in state_of(record).items()}, path)
    assert f"{path} must hold a direction, every entry is zero" in refusal(
        landscape__line__directions=[str(path)]
    )


# By name: what is named, with RUN for the run's hash and HERE for the folder of the test.
NAMED = {
    "no run": ("deadbeef", f"{ONE_RUN} (0 match)"),
    "nothing": (" ", f"{ONE_RUN} (0 match)"),
    "a folder": ("HERE", f"{ONE_RUN} (0 match)"),
    "a pickle": ("HERE/weights.pt", f"{ONE_RUN} (0 match)"),
    "a hash in capitals": ("RUN_IN_CAPITALS", f"{ONE_RUN} (0 match)"),
    "two runs": ("RUN_BEGINS", f"{ONE_RUN} (2 match)"),
    "no file": ("/nowhere/weights.safetensors", "must be a file that exists"),
    "a folder with that ending": ("HERE/folder.safetensors", "must be a file that exists"),
    "a pickle with that ending": ("HERE/pickle.safetensors", f"{UNREADABLE}header too large)"),
    "averaged weights of none": ("RUN@averaged", "must name a run that has averaged weights (training/averaging)"),
    "an update without": ("RUN@1", "must name a run's checkpoint by its update (0, 2)"),
    "a negative update": ("RUN@-1", "must name a run's checkpoint by its update (0, 2)"),
    "an update in words": ("RUN@last", "must name a run's checkpoint by its update (0, 2)"),
    "two updates": ("RUN@0@2", "must name a run's checkpoint by its update (0, 2)"),
}  # fmt: skip


@pytest.fixture
def named(record: Record, tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """What is written for a name above, and what is said of it."""

    def make(name: str) -> tuple[str, str]:
        words, message = NAMED[name]
        run_hash = record.config_hash
        (tmp_path / "folder.safetensors").mkdir()
        torch.save(state_of(record), tmp_path / "weights.pt")
        torch.save(state_of(record), tmp_path / "pickle.safetensors")
        if name == "two runs":
            shutil.copytree(record.path, record.path.with_name(f"{run_hash[:6]}{'0' * 10}"))
        for short, meant in [
            ("RUN_IN_CAPITALS", run_hash.upper() if not run_hash.isdecimal() else "X"),
            ("RUN_BEGINS", run_hash[:6]),
            ("RUN", run_hash),
            ("HERE", str(tmp_path)),
        ]:
            words = words.replace(short, meant)
        return words, message

    return make


@pytest.mark.parametrize("name", NAMED)
def test_a_name_that_means_no_weights_is_one_line(name, named, refusal):
    words, message = named(name)
    assert refusal(checkpoint=words) == f"checkpoint {message}, got {words!r}"


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("key", ["minima.end", "curve.end", "three_points.second"])
def test_a_landscape_between_weights_is_held_to_the_same(key, name, named, refusal):
    words, message = named(name)
    kind, entry = key.split(".")
    given = {"minima": ["end"], "curve": ["end"], "three_points": ["second", "third"]}[kind]
    overrides = [f"landscape=[{kind}]", *(f"landscape.{kind}.{own}=aa{own}" for own in given)]
    assert (
        refusal(*overrides, **{f"landscape__{kind}__{entry}": words})
        == f"landscape.{key} {message}, got {words!r}"
    )


@pytest.mark.parametrize(
    "words", ["seed+0", "seed+-1", "seed+x", "seed-1", "seed+", "seed+1.5", f"seed+{10**30}"]
)
def test_another_seed_must_be_one(words, refused):
    line = refused(*SMALL, "landscape=[minima]", f"landscape.minima.end={words}")
    assert (
        line
        == f"landscape.minima.end must be seed+K, with K a positive integer and seed + K at most {2**63 - 1}, got {words!r}"
    )


STOPPED = f"must name a training that ended well, or one of its updates, as RUN@UPDATE (0, {LAST})"


@pytest.mark.parametrize("state", [State.RUNNING, State.FAILED, State.KILLED])
def test_a_run_that_is_still_training_or_was_stopped_has_no_solution(state, record, refusal):
    record.remove("training.json")
    record.set_state(state)
    words = record.config_hash
    assert refusal(checkpoint=words) == f"checkpoint {STOPPED}, got {words!r}"


def test_a_run_that_diverged_has_no_solution(record, refusal):
    record.write_json("training.json", {**record.read_json("training.json"), "diverged": True})
    words = record.config_hash
    assert refusal(checkpoint=words) == f"checkpoint {STOPPED}, got {words!r}"


@pytest.mark.parametrize("words", ["RUN", "RUN@0", "RUN@averaged"])
def test_a_run_that_failed_before_its_first_epoch_has_no_checkpoint(words, record, refusal):
    for update in (0, LAST):
        record.remove(checkpoint_name(update))
    record.remove("training.json")
    record.set_state(State.FAILED)
    words = words.replace("RUN", record.config_hash)
    assert refusal(checkpoint=words) == f"checkpoint must name a run that has checkpoints, got {words!r}"


@pytest.mark.parametrize("update", [0, LAST])
def test_a_checkpoint_that_was_cut_short_is_one_line(update, record, refusal):
    file = record.path / checkpoint_name(update)
    file.write_bytes(file.read_bytes()[:-3])
    words = record.config_hash
    assert (
        refusal(checkpoint=words)
        == f"checkpoint must be whole: {file} does not have the checksum it was written with, got {words!r}"
    )


# By name: a file of the record, how another version or a text editor left it, and what is said.
VERSIONS = {
    "another key of the training": ("config.yaml", lambda text: text.replace("  batch_size:", "  size:"), "(Key 'size' not in 'TrainingConfig' "),
    "another key of the model": ("config.yaml", lambda text: text.replace("  widths:", "  layers:"), "(Key 'layers' not in 'MlpConfig' "),
    "a value of another type": ("config.yaml", lambda text: text.replace("epochs: 1", "epochs: many"), "(Value 'many' of type 'str' could not be converted to Integer "),
    "no YAML": ("config.yaml", lambda text: text.replace("model:\n", "model: [\n"), "(while parsing a flow sequence "),
    "no choices": ("run.json", lambda text: text.replace('"choices"', '"chosen"'), "('choices')"),
    "no JSON": ("run.json", lambda text: "{", "(Expecting property name enclosed in double quotes: "),
}  # fmt: skip


@pytest.mark.parametrize("name", VERSIONS)
def test_a_run_of_another_version_is_one_line(name, tampered, refused):
    file, change, why = VERSIONS[name]
    other = tampered(file, change)
    line = refused(f"checkpoint={other.config_hash}", *LINE)
    assert line.startswith(f"checkpoint must be of a run that this version can read {why}"), line
    assert line.endswith(f", got {other.config_hash!r}")


def test_a_run_whose_configuration_is_gone_is_one_line(record, refused):
    (record.path / "config.yaml").unlink()
    line = refused(f"checkpoint={record.config_hash}", *LINE)
    assert (
        line
        == f"checkpoint must be whole, and readable ({record.path}/config.yaml is missing), got {record.config_hash!r}"
    )


@pytest.mark.parametrize(
    "override",
    [
        "data=wine",
        "data.train_examples=48",
        "model=cnn",
        "training.batch_size=8",
        "optimizer=sgd",
        "training.epochs=2",
        "seed=1",
    ],
)
def test_what_a_run_was_trained_with_cannot_be_another_thing(override, record, refused):
    """Data above all: weights that look at other examples than they were trained on would mislead."""
    line = refused(f"checkpoint={record.config_hash}", override, *LINE)
    section = override.partition("=")[0].partition(".")[0]
    assert (
        line
        == f"{section} is fixed by checkpoint=: run {record.config_hash} was trained with its own, got {override!r}"
    )


NEEDS = {
    "interpolation": ("must name a run: landscape.interpolation needs its initialisation, which a file has not", ()),
    "trajectory": ("must name a run: landscape.trajectory needs its checkpoints, which a file has not", ()),
    "evolution": ("must name a run: landscape.evolution needs its checkpoints, which a file has not", ()),
    "line": ("must name a run: landscape.line needs its initialisation, which a file has not", ("landscape.line.directions=[difference]",)),
}  # fmt: skip


@pytest.mark.parametrize("kind", NEEDS)
def test_a_file_alone_has_no_past(kind, record, tmp_path, refusal):
    path = tmp_path / "alone.safetensors"
    save_file(state_of(record), path)
    message, more = NEEDS[kind]
    assert (
        refusal(f"landscape=[{kind}]", *more, checkpoint=str(path))
        == f"checkpoint {message}, got {str(path)!r}"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_weights_in_another_precision_are_those_of_the_network(dtype, record, tmp_path, landscape_of):
    """The loss that the solution has by itself, to the rounding of the file."""
    path = tmp_path / "other.safetensors"
    save_file({name: own.to(dtype) for name, own in state_of(record).items()}, path)
    found = landscape_of(checkpoint=str(path))
    line = Landscape.from_bytes(found.read("landscapes/line.npz"))
    by_training = {point.key: point.value for point in record.metrics()}["train/loss"]
    tolerance = 1e-5 if dtype in {torch.float32, torch.float64} else 1e-2
    assert line.points["solution"].values["train/loss"] == pytest.approx(by_training, rel=tolerance)
