"""What a mistake on the command line gets: one line that names key, rule and value, status 2, no run."""

# ruff: noqa: E501  # messages stand whole

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from study import __version__, cli
from study.studies import studies

TINY = [
    "data.train_examples=64",
    "data.test_examples=32",
    "training.epochs=1",
    "landscape=[]",
    "tracking=none",
]
STUDIES = ", ".join(study.name for study in studies())
OWN_CODE = """
import torch
from torch import nn


def flat(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 3))


def number():
    return 3


def numbers():
    return 2 * ((torch.ones(4, 5), torch.arange(4.0)),)


def lost():
    return {}["key"]


def nothing():
    return nn.Flatten()


def frozen(num_classes):
    return nn.Linear(784, num_classes).requires_grad_(False)


def double(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, num_classes)).double()


class Net(nn.Module):
    def __init__(self, num_classes, width=784, lazy=False, kind="", complex=False):
        super().__init__()
        self.kind = kind
        self.layer = nn.LazyLinear(num_classes) if lazy else nn.Linear(width, num_classes)
        self.other = nn.Parameter(torch.ones(1, dtype=torch.complex64 if complex else None))

    def forward(self, inputs):
        if self.kind == "raises":
            raise RuntimeError("first\\nsecond")
        if self.kind == "raises in training" and self.training:
            raise LookupError
        logits = self.layer(inputs.flatten(1))
        return (logits, 3) if self.kind == "pair" else logits


def data():
    return torch.zeros(4, 2), torch.zeros(4)


def negative():
    inputs = torch.zeros(3, 1, 28, 28)
    return (inputs, torch.tensor([0, -3, 0])), (inputs, torch.tensor([0, -1, 0]))


def missing_file():
    return open("/nowhere/file")


value = 5
"""
OWN_LINES = {line: number for number, line in enumerate(OWN_CODE.replace("\\n", "n").splitlines(), 1)}
OWN = "model=custom model.path=own_for_refusals"

MISTAKES = {
    # keys
    "optimizer.learning_rat=1": "optimizer.learning_rat is no key of the configuration (did you mean 'optimizer.learning_rate'?)",
    "optimizer.lr=1": "optimizer.lr is no key of the configuration (optimizer has name, learning_rate, weight_decay, betas, eps)",
    "trainin.epochs=2": "trainin.epochs is no key of the configuration (did you mean 'training.epochs'?)",
    "landscape.contour.point=3": "landscape.contour.point is no key of the configuration (did you mean 'landscape.contour.points'?)",
    "model=mlp model.width_s=[3]": "model.width_s is no key of the configuration (did you mean 'model.widths'?)",
    "batch_size=3": "batch_size is no key of the configuration",
    "landscape=[line] landscape.contour.points=5": "landscape.contour.points is no key of the configuration: the landscape contour is not among those chosen (landscape=[line])\n",
    "landscape=[] landscape.contour.points=5": "landscape.contour.points is no key of the configuration: the landscape contour is not among those chosen (landscape=[])\n",
    "data.root=x": "data.root is no key of the configuration with data=digits (it is one of data=mnist, fashion_mnist, kmnist, cifar10, cifar100, svhn)\n",
    "optimizer.momentum=0.5": "optimizer.momentum is no key of the configuration with optimizer=adam (it is one of optimizer=rmsprop, sgd)\n",
    "training.schedule.gamma=0.5": "training.schedule.gamma is no key of the configuration with training/schedule=constant (it is one of training/schedule=step, milestones)\n",
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
    "reuse=7": "reuse must be true or false, got 7\n",
    "data.augmentation.flip=3": "data.augmentation.flip must be true or false, got 3\n",
    "show ++data.augmentation.flip=-1": "data.augmentation.flip must be true or false, got -1\n",
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
    "model=mpl": "model must be one of cnn, custom, lenet, mlp, resnet, torchvision, vgg, vit, got 'mpl' (did you mean 'mlp'?)",
    "landscape=[contor]": "landscape must be one of contour, curve, evolution, hessian_map, hessian_plane, interpolation, line, minima, scaling, three_points, trajectory, got 'contor' (did you mean 'contour'?)",
    "training/schedule=cosin": "training/schedule must be one of constant, cosine, milestones, step, got 'cosin' (did you mean 'cosine'?)",
    "optimiser=adam": "optimiser is no key of the configuration (did you mean 'optimizer'?)",
    "+sweeps=bach_size": f"sweeps must be one of {STUDIES}, got 'bach_size' (did you mean 'batch_size'?)",
    "optimizer=null": "optimizer must be given one of its choices, got nothing",
    "optimizer=sam optimizer@optimizer.base=sam": "optimizer.base must be an optimiser of one gradient an update, got 'sam'\n",
    "optimizer=sam optimizer@optimizer.base=adm": "optimizer must be one of adadelta, adagrad, adam, adamw, plain_sgd, rmsprop, sam, sgd, got 'adm' (did you mean 'adam'?)\n",
    "optimizer=sam optimizer@optimizer.base=null": "optimizer@optimizer.base must be given one of its choices, got nothing\n",
    "optimizer=sam optimizer.base.name=adam": "optimizer.base.name is set by optimizer@optimizer.base=CHOICE: must be sgd, got 'adam'\n",
    "optimizer=[adam,sgd]": "optimizer must be one of adadelta, adagrad, adam, adamw, plain_sgd, rmsprop, sam, sgd, got '[adam,sgd]'\n",
    "tracking=http://there/x": "tracking must be one of local, none, server, got 'http://there/x'\n",
    "landscape=[null]": "landscape must be a list of choices of contour, curve, evolution, hessian_map, hessian_plane, interpolation, line, minima, scaling, three_points, trajectory, got '[null]'\n",
    "+data=mnist": "data must be chosen once, as data=CHOICE without +\n",
    "model.name=mlp": "model.name is set by model=CHOICE: must be cnn, got 'mlp'",
    "landscape.contour.kind=line": "landscape.contour.kind is set by the choice in the group landscape: must be contour, got 'line'",
    # what must be given, or given once
    "data=custom": "data.path must be given, got '???'",
    "tracking=server": "tracking.uri must be given, got '???'",
    "~optimizer": "optimizer must be given, got '???'",
    "~seed": "seed must be given, got '???'",
    "training.steps=5": "training.epochs and training.steps: exactly one must be given, got (10, 5)",
    "training.epochs=null": "training.epochs and training.steps: exactly one must be given, got (None, None)",
    # what no override is
    "a.b": "'a.b' is no command: must be one of reproduce, compare, export, figures, show, ui, sync, or KEY=VALUE",
    "seed=1 epochs": "'epochs' must be KEY=VALUE: it has no =\n",
    "seed=[1": "'seed=[1' must be KEY=VALUE: its value cannot be read; close its brackets, or quote it, as KEY=\"'VALUE'\"\n",
    "=3": "'=3' must be KEY=VALUE: it has no key\n",
    "seed=1,2": "seed must have one value, got 1,2: sweep over them with -m, or give a list as [1,2]\n",
    "--resolve": "--resolve must come with --cfg, got it alone\n",
    "--epochs 3": "unrecognized arguments: --epochs",
    "seed=1 --cfg nothing": "argument --cfg/-c: invalid choice: 'nothing'",
    "compares": "'compares' is no command",
    # what is found once objects are built
    "training.device=quantum": "training.device must be a device of this machine, as cpu or cuda:0, got 'quantum'",
    "data.train_examples=5000": "data.train_examples must be from 1 to 1437, the size of that split of digits, got 5000",
    "data=mnist data.root=. data.download=false": "data set 'mnist': the files ",
    "data=diabetes model=mlp training.label_smoothing=0.1": "training.label_smoothing must be 0 where targets are no classes, got 0.1\n",
    "data=wine model=mlp data.augmentation.flip=true": "data.augmentation.flip is no key of the configuration with data=diabetes or breast_cancer or wine (it is one of data=digits, ",
    "data=wine": "cnn needs inputs of shape (channels, height, width), got (13,)",
    "data=custom data.path=own_for_refusals:numbers model=mlp data.augmentation.flip=true": "data.augmentation must do nothing to inputs that are no images (C, H, W), but (5,), got ",
    "training/averaging=swa training.averaging.start_epoch=11": "training.averaging.start_epoch must be at most 10, the whole epochs of the budget, got 11\n",
    "training/averaging=ema training.averaging.decay=1": "training.averaging.decay must be below 1, got 1.0\n",
    "data.augmentation.crop_padding=28": "crop_padding must be smaller than the image, 28 x 28 pixels, got 28",
    "checkpoint=nothing": "checkpoint must name one run in output_dir, by its hash or its MLflow id, or a .safetensors file",
    "checkpoint=there.safetensors": "checkpoint must be a file that exists, got 'there.safetensors'",
    "model=mlp model.widths=[1000000000000000]": "model must be a network of 10 outputs that this machine can hold, got ",
    "model=mlp model.widths=[10000000000000000000000]": "model must be a network of 10 outputs that this machine can hold, got ",
    "output_dir=": "output_dir must be a folder, got ''\n",
    "output_dir=own_for_refusals.py": "output_dir must be a folder that can be written to (File exists), got ",
    "output_dir=own_for_refusals.py/below": "output_dir must be a folder that can be written to (Not a directory), got ",
    "-m output_dir=own_for_refusals.py/below seed=1,2": "output_dir must be a folder that can be written to (Not a directory), got ",
    "output_dir=/proc": "output_dir must be a folder that can be written to (",
    "output_dir=/proc/x": "output_dir must be a folder that can be written to (",
    # own code
    "model=custom model.path=own": "model.path must be 'package.module:attribute', got 'own'",
    "model=custom model.path=nowhere:net": "model.path 'nowhere:net': module 'nowhere' not found",
    "data=custom data.path=nowhere:data": "data.path 'nowhere:data': module 'nowhere' not found",
    f"{OWN}:net": "model.path 'own_for_refusals:net': attribute 'net' not found",
    f"{OWN}:value": "model.path 'own_for_refusals:value': the attribute must be callable",
    f"{OWN}:number": "model.path 'own_for_refusals:number' must make a torch.nn.Module, got int",
    f"{OWN}:nothing": "model must have at least one parameter to train, got 'custom'\n",
    f"{OWN}:frozen": "model must have at least one parameter to train, got 'custom'\n",
    f"{OWN}:double": "model.path 'own_for_refusals:double' raised RuntimeError: mat1 and mat2 must have the same dtype, but got Float and Double on torch.float32 inputs of shape (2, 1, 28, 28)\n",
    f"{OWN}:Net +model.arguments.kind=pair": "model must give 10 outputs an example, got 'tuple'\n",
    f"{OWN}:Net +model.arguments.complex=true": "model must have weights to look at (every parameter must be real, 'other' is torch.complex64), got 'custom'\n",
    "model=custom model.path=own_for_refusals:flat": "model must give 10 outputs an example, got (2, 3)",
    "model=custom model.path=own_for_refusals:flat model.arguments.x=1": "model.arguments.x is an argument of your own code: it must be given as +model.arguments.x=VALUE",
    "data=custom data.path=own_for_refusals:data": "data.path 'own_for_refusals:data' must return a DataSet or ",
    "data=custom data.path=own_for_refusals:negative": "own_for_refusals:negative: targets must be classes counted from 0, got -3 as the smallest and 0 as the largest\n",
    # subcommands
    "show optimizer.lr=1": "optimizer.lr is no key of the configuration",
    "show training.epochs=0": "training.epochs must be at least 1, got 0",
    "show optimizer=null": "optimizer must be given one of its choices, got nothing",
    "show --all": "'--all' must be KEY=VALUE, or a section or key: study show takes nothing else\n",
    "show --all=3": "'--all=3' must be KEY=VALUE, or a section or key: study show takes nothing else\n",
    "show trainin": "SECTION must be a section or a key of the configuration (did you mean 'training'?), got 'trainin'\n",
    "show seed trainin.epochs=2": "trainin.epochs is no key of the configuration (did you mean 'training.epochs'?)",
    "reproduce": "study reproduce takes the NAME of a study, or --list, got nothing\n",
    "reproduce --lists": "study reproduce takes the NAME of a study, or --list, got --lists\n",
    "reproduce bach_size": f"NAME must be one of {STUDIES} (did you mean 'batch_size'?), got 'bach_size'",
    "reproduce batch_size scale=paper": "scale must be small for batch_size, which has no other, got 'paper'\n",
    "reproduce dinh_2017 scale=large": "scale must be small or paper, got 'large'\n",
    "reproduce batch_size epochs": "'epochs' must be KEY=VALUE: study reproduce NAME takes nothing else\n",
    "reproduce batch_size training.batch_size=0": "training.batch_size must be at least 1, got 0 (in the job ",
    "compare": "RUN must name at least two runs that are finished, got 'none'\n",
    "compare aa": "RUN must name one run in output_dir, by its hash or its MLflow id (0 match), got 'aa'\n",
    "compare aa bb comparison.points=1": "comparison.points must be at least 2, got 1\n",
    "compare --sweep": "--sweep must be followed by a value, got nothing\n",
    "compare --sweep aa": "--sweep must name one sweep in output_dir, by its hash or the MLflow id of its parent run (0 match), got 'aa'\n",
    "compare --swep aa": "'--swep' is no flag here: must be one of --sweep, --filter\n",
    "compare --filter params.x=1 tracking=none": "--filter needs a store to search in, not tracking=none, got 'params.x=1'\n",
    "sync foo": "'foo' must be KEY=VALUE: study sync takes nothing else\n",
    "sync output_dir=/nonexistent": "output_dir must hold records of runs, got '/nonexistent'\n",
    "sync tracking=nowhere": "tracking must be one of local, none, server, got 'nowhere'",
    "ui --port": "--port must be followed by a value, got nothing",
    "ui --port http": "--port must be a number from 1 to 65535, got 'http'",
    "ui --port 65536": "--port must be a number from 1 to 65535, got '65536'",
    "ui --port 0": "--port must be a number from 1 to 65535, got '0'",
    "ui seed=1": "study ui takes --port, --host and output_dir=, got 'seed=1'",
    "ui": "output_dir must hold mlflow.db (run `study` first), got ",
}


@pytest.fixture(autouse=True)
def study(command_line, monkeypatch, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """The command line within this process, beside own code: exit status, stdout, stderr."""
    monkeypatch.setenv("STUDY_OUTPUT_DIR", str(tmp_path / "outputs"))
    (tmp_path / "own_for_refusals.py").write_text(OWN_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_for_refusals", raising=False)
    monkeypatch.chdir(tmp_path)
    return command_line


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


# By command: the message, and the line of the user's code that it names.
RAISED = {
    f"{OWN}:lost": ("model.path 'own_for_refusals:lost' raised KeyError: 'key'", 'return {}["key"]'),
    f"{OWN}:Net +model.arguments.kind=raises": (
        "model.path 'own_for_refusals:Net' raised RuntimeError: first second on torch.float32 inputs of shape (2, 1, 28, 28)",
        'raise RuntimeError("firstnsecond")',
    ),
    f"{OWN}:Net '+model.arguments.kind=raises in training'": (
        "model.path 'own_for_refusals:Net' raised LookupError on torch.float32 inputs of shape (2, 1, 28, 28)",
        "raise LookupError",
    ),
    f"{OWN}:Net +model.arguments.width=7": (
        "model.path 'own_for_refusals:Net' raised RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x784 and 7x10) on torch.float32 inputs of shape (2, 1, 28, 28)",
        "logits = self.layer(inputs.flatten(1))",
    ),
    "data=custom data.path=own_for_refusals:missing_file": (
        "data.path 'own_for_refusals:missing_file' raised FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/file'",
        'return open("/nowhere/file")',
    ),
}


@pytest.mark.parametrize("command", RAISED)
def test_what_own_code_raises_is_one_line_with_its_place(command, study, tmp_path):
    message, code = RAISED[command]
    (number,) = [at for line, at in OWN_LINES.items() if line.strip() == code]
    status, out, err = study(*shlex.split(command))
    assert err == f"study: {message} ({tmp_path}/own_for_refusals.py:{number})\n"
    assert (status, out) == (2, "")


@pytest.mark.parametrize(
    ("source", "raised"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def net(:", "SyntaxError: invalid syntax"),
        ("raise ImportError('no\\nsuch name')", "ImportError: no such name"),
        ("import sys; sys.exit('usage')", "SystemExit: usage"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line_with_its_place(source, raised, study, tmp_path):
    (tmp_path / "broken_for_refusals.py").write_text(f"\n{source}\n")
    for group in ("data", "model"):
        status, out, err = study(f"{group}=custom", f"{group}.path=broken_for_refusals:net")
        place = tmp_path / "broken_for_refusals.py"
        assert err == f"study: {group}.path 'broken_for_refusals:net' raised {raised} ({place}:2)\n"
        assert (status, out) == (2, "")


def test_a_lazy_network_gets_its_weights_and_runs(study, tmp_path):
    lazy = ("model=custom", "model.path=own_for_refusals:Net", "+model.arguments.lazy=true")
    status, out, err = study(*TINY, *lazy, "tracking=none")
    assert (status, err) == (0, "")
    assert ": finished\n" in out


def test_version(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["study", "--version"])
    cli.main()
    assert capfd.readouterr().out == f"study {__version__}\n"


def test_a_mistake_of_one_job_fails_the_multirun(study, tmp_path):
    status, _out, err = study("-m", *TINY, "training.batch_size=0,-1")
    assert status == 2
    assert "study: training.batch_size must be at least 1, got 0 (in the job " in err
    assert err.endswith("training.batch_size=0)\n")
    assert err.count("\n") == 1
    assert not (tmp_path / "outputs" / "sweeps").exists()
    assert not (tmp_path / "outputs" / "runs").exists()


def test_a_sweep_is_known_by_its_name(study):
    """`+sweeps=NAME`, as the help says: the sweep's own keys are swept, so one job for each."""
    status, out, err = study("+sweeps=batch_size", "--cfg", "hydra", "-p", "hydra.sweeper.params")
    assert (status, err) == (0, "")
    assert "training.batch_size: 64,256" in out


@pytest.mark.process
@pytest.mark.parametrize("arguments", ["show", "--help"])
def test_output_that_nobody_reads_on_ends_silently(arguments):
    script = Path(sys.executable).with_name("study")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([script, arguments], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141


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
