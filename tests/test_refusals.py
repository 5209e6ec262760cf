"""What a mistake on the command line gets: one line that names key, rule and value, status 2, no run."""

# ruff: noqa: E501  # messages stand whole

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study import cli

TINY = [
    "data.train_examples=64",
    "data.test_examples=32",
    "training.epochs=1",
    "landscape=[]",
    "tracking=none",
]
OWN_CODE = """
import torch
from torch import nn


def flat(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 3))


def number():
    return 3


def data():
    return torch.zeros(4, 2), torch.zeros(4)


value = 5
"""

MISTAKES = {
    # keys
    "optimizer.learning_rat=1": "optimizer.learning_rat is no key of the configuration (did you mean 'optimizer.learning_rate'?)",
    "optimizer.lr=1": "optimizer.lr is no key of the configuration (optimizer has name, learning_rate, weight_decay, betas, eps)",
    "trainin.epochs=2": "trainin.epochs is no key of the configuration (did you mean 'training.epochs'?)",
    "landscape.contour.point=3": "landscape.contour.point is no key of the configuration (did you mean 'landscape.contour.points'?)",
    "model=mlp model.width=[3]": "model.width is no key of the configuration (did you mean 'model.widths'?)",
    "batch_size=3": "batch_size is no key of the configuration",
    "+sede=1": "sede is no key of the configuration (did you mean 'seed'?), got 1",
    "+optimizer.learning_rat=1": "optimizer.learning_rat is no key of the configuration (did you mean 'optimizer.learning_rate'?), got 1",
    "+training.schedule.gamma=1": "training.schedule.gamma is no key of the configuration, got 1",
    "+landscape.contour.pointz=3": "landscape.contour.pointz is no key of the configuration (did you mean 'landscape.contour.points'?), got 3",
    "+landscape.mine.points=3": "landscape.mine.points has the wrong type: ",
    # types
    "training.epochs=many": "training.epochs has the wrong type: Value 'many' of type 'str' could not be converted to Integer",
    "training.epochs=1.5": "training.epochs has the wrong type: Value '1.5' of type 'float' could not be converted to Integer",
    "training.epochs=": "training.epochs has the wrong type: Value '' ",
    "optimizer.learning_rate=null": "optimizer.learning_rate has the wrong type: ",
    "model=mlp model.widths=8": "model.widths has the wrong type: ",
    "model=mlp model.widths=[8,wide]": "model.widths[1] has the wrong type: Value 'wide'",
    "reuse=perhaps": "reuse has the wrong type: Value 'perhaps'",
    "training.schedule=cosine": "training.schedule has the wrong type: ",
    # ranges
    "training.batch_size=0": "training.batch_size must be at least 1, got 0",
    "optimizer.learning_rate=0": "optimizer.learning_rate must be above 0, got 0.0",
    "optimizer.learning_rate=nan": "optimizer.learning_rate must be finite, got nan",
    "training.scale_learning_rate=cubic": "training.scale_learning_rate must be one of none, linear, sqrt, got 'cubic'",
    "landscape.contour.alpha_range=[1,-1]": "landscape.contour.alpha_range must increase from entry to entry, got [1.0, -1.0]",
    "landscape.contour.alpha_range=[1]": "landscape.contour.alpha_range must have 2 entries, got [1.0]",
    "seed=-1": "seed must be at least 0, got -1",
    # choices
    "model=mpl": "model must be one of cnn, custom, mlp, got 'mpl' (did you mean 'mlp'?)",
    "landscape=[contor]": "landscape must be one of contour, interpolation, line, got 'contor' (did you mean 'contour'?)",
    "training/schedule=cosin": "training/schedule must be one of constant, cosine, milestones, step, got 'cosin' (did you mean 'cosine'?)",
    "optimiser=adam": "optimiser is no key of the configuration (did you mean 'optimizer'?)",
    "+sweeps=bach_size": "sweeps must be one of batch_size, got 'bach_size' (did you mean 'batch_size'?)",
    "optimizer=null": "optimizer must be given one of its choices, got nothing",
    "model.name=mlp": "model.name is set by model=CHOICE: must be cnn, got 'mlp'",
    "landscape.contour.kind=line": "landscape.contour.kind is set by the choice in the group landscape: must be contour, got 'line'",
    # what must be given, or given once
    "data=custom": "data.path must be given, got '???'",
    "tracking=server": "tracking.uri must be given, got '???'",
    "~optimizer": "optimizer must be given, got '???'",
    "training.steps=5": "training.epochs and training.steps: exactly one must be given, got (10, 5)",
    "training.epochs=null": "training.epochs and training.steps: exactly one must be given, got (None, None)",
    # what no override is
    "a.b": "'a.b' is no command: must be one of show, ui, sync, or KEY=VALUE",
    "seed=1 epochs": "'epochs' must be KEY=VALUE: ",
    "seed=[1": "'seed=[1' must be KEY=VALUE: ",
    "--epochs 3": "unrecognized arguments: --epochs",
    "seed=1 --cfg nothing": "argument --cfg/-c: invalid choice: 'nothing'",
    "compare": "'compare' is no command",
    # what is found once objects are built
    "training.device=quantum": "training.device must be a device of this machine, as cpu or cuda:0, got 'quantum'",
    "data.train_examples=5000": "data.train_examples must be from 1 to 1437, the size of that split of digits, got 5000",
    "data=mnist data.root=. data.download=false": "data set 'mnist': the files ",
    "data.augmentation.crop_padding=28": "crop_padding must be smaller than the image, 28 x 28 pixels, got 28",
    "checkpoint=nothing": "checkpoint must name one run in output_dir, by its hash or its MLflow id, or a .safetensors file",
    "checkpoint=there.safetensors": "checkpoint must be a file that exists, got 'there.safetensors'",
    "model=custom model.path=own": "path must be 'package.module:attribute', got 'own'",
    "model=custom model.path=nowhere:net": "path 'nowhere:net': module 'nowhere' not found",
    "model=custom model.path=own_for_refusals:net": "path 'own_for_refusals:net': attribute 'net' not found",
    "model=custom model.path=own_for_refusals:value": "path 'own_for_refusals:value': the attribute must be callable",
    "model=custom model.path=own_for_refusals:number": "path 'own_for_refusals:number' must make a torch.nn.Module, got int",
    "model=custom model.path=own_for_refusals:flat": "model must give 10 logits an example, got (2, 3)",
    "model=custom model.path=own_for_refusals:flat model.arguments.x=1": "model.arguments.x is an argument of your own code: it must be given as +model.arguments.x=VALUE",
    "data=custom data.path=own_for_refusals:data": "own_for_refusals:data: must return a DataSet or ",
    # subcommands
    "show optimizer.lr=1": "optimizer.lr is no key of the configuration",
    "show training.epochs=0": "training.epochs must be at least 1, got 0",
    "show optimizer=null": "optimizer must be given one of its choices, got nothing",
    "show --all": "'--all' must be KEY=VALUE: ",
    "sync tracking=nowhere": "tracking must be one of local, none, server, got 'nowhere'",
    "ui --port": "--port must be followed by a value, got nothing",
    "ui --port http": "--port must be a number from 1 to 65535, got 'http'",
    "ui --port 65536": "--port must be a number from 1 to 65535, got '65536'",
    "ui --port 0": "--port must be a number from 1 to 65535, got '0'",
    "ui seed=1": "study ui takes --port, --host and output_dir=, got 'seed=1'",
    "ui": "output_dir must hold mlflow.db (run `study` first), got ",
}


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, tmp_path) -> Iterator[None]:
    """The command line sets handlers, paths and variables for a process of its own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setenv("STUDY_OUTPUT_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_for_refusals.py").write_text(OWN_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_for_refusals", raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def study(monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """The command line within this process: exit status, stdout, stderr."""

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (int(ended.value.code or 0), *capfd.readouterr())

    return called


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_gets_one_line_and_nothing_is_run(command, study, tmp_path):
    status, out, err = study(*command.split())
    assert err.startswith(f"study: {MISTAKES[command]}"), err
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    assert out == ""
    assert status == 2
    assert not (tmp_path / "outputs" / "runs").exists()
    assert not (tmp_path / "outputs" / "mlflow.db").exists()


def test_a_mistake_of_one_job_fails_the_multirun(study, tmp_path):
    status, _out, err = study("-m", *TINY, "training.batch_size=0,-1")
    assert status == 2
    assert "study: training.batch_size must be at least 1, got 0\n" in err
    assert not (tmp_path / "outputs" / "runs").exists()


def test_a_sweep_is_known_by_its_name(study):
    """`+sweeps=NAME`, as the help says: the sweep's own keys are swept, so one job for each."""
    status, out, err = study("+sweeps=batch_size", "--cfg", "hydra", "-p", "hydra.sweeper.params")
    assert (status, err) == (0, "")
    assert "training.batch_size: 64,256" in out


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["training.batch_sise=3"],
            "training.batch_sise is no key of the configuration (did you mean 'training.batch_size'?)",
        ),
        (["checkpoint=none"], "checkpoint must name one run in output_dir"),
    ],
)
def test_a_mistake_in_a_process_of_its_own(arguments, line, tmp_path):
    script = Path(sys.executable).with_name("study")
    variables = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    done = subprocess.run(
        [script, *arguments], capture_output=True, text=True, timeout=120, env=variables, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"study: {line}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (tmp_path / "outputs" / "runs").exists()
