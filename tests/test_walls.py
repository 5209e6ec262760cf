"""Imports flow one way, modules stay small, and nothing runs what it reads."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import study

PACKAGE = Path(study.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 350

# What a part of the package may import of the package: itself, and these.
ALLOWED = {
    "landscape": {"study.files"},
    "training": {"study.files", "study.bars"},
    "models": {"study.keys", "study.errors", "study.training.custom"},
    "optimizers": {"study.keys", "study.errors"},
    "analysis": {"study.landscape"},
    "figures": {"study.landscape"},
    "tracking": {"study.record", "study.files", "study.errors", "study.credentials"},
    "kinds": {
        "study.landscape",
        "study.analysis",
        "study.figures",
        "study.training",
        "study.keys",
        "study.credentials",
        "study.errors",
    },
}
# The modules that alone may import a library.
OWNERS = {
    "mlflow": {"tracking/mlflow_tracker.py"},
    "hydra": {"cli.py", "resolve.py", "refusals.py", "composer.py", "multirun.py", "job.py"},
    "ray": {"landscape/executors.py"},
    "pickle": set(),
    "dill": set(),
    "cloudpickle": set(),
    "joblib": {"landscape/executors.py"},
    "curvlinops": {"landscape/hessian.py"},
    "xarray": {"landscape/variables.py"},
    "vtkmodules": {"landscape/vtk_files.py"},
    "pytorch_optimizer": {"optimizers/sharpness_aware.py"},
}
# The modules that know configurations as OmegaConf has them; below, there are dataclasses only.
OMEGACONF = OWNERS["hydra"] | {"about.py", "keys.py", "run.py", "saved.py"}
# The modules that are there before it is known what is asked for: `study --help` takes no time.
LIGHT = {
    "__init__.py",
    "__main__.py",
    "cli.py",
    "commands.py",
    "paths.py",
    "credentials.py",
    "errors.py",
    "landscape/allocator.py",
    "garbage.py",
}
HEAVY = {"torch", "mlflow", "hydra", "omegaconf", "numpy", "pandas", "matplotlib", "scipy", "sklearn"}


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of all that a module imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (part.value for part in node.args if isinstance(part, ast.Constant))


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.fixture(params=MODULES, ids=name_of)
def module(request) -> Path:
    return request.param


def test_there_is_a_package_to_look_at():
    assert {"cli.py", "run.py", "landscape/evaluate.py"} <= {name_of(module) for module in MODULES}


def test_a_part_imports_only_what_lies_below_it(module):
    part = name_of(module).partition("/")[0]
    own = {name for name in imported(ast.parse(module.read_text())) if within(name, {"study"})}
    if part in ALLOWED:
        above = {name for name in own if not within(name, {f"study.{part}"} | ALLOWED[part])}
        assert not above


def test_a_library_has_one_door(module):
    for name in imported(ast.parse(module.read_text())):
        library = name.partition(".")[0]
        assert name_of(module) in OWNERS.get(library, {name_of(module)}), f"{name} is imported"
        if library == "omegaconf":
            assert name_of(module) in OMEGACONF


def test_nobody_imports_the_command_line(module):
    names = set(imported(ast.parse(module.read_text())))
    if name_of(module) != "__main__.py":
        assert not {name for name in names if within(name, {"study.cli"})}
    if name_of(module) != "cli.py":
        assert not {name for name in names if within(name, {"study.commands"})}


def test_the_command_line_loads_nothing_heavy_before_it_is_needed():
    light = {f"study.{name.removesuffix('.py').replace('/', '.')}" for name in LIGHT}
    for name in LIGHT:
        tree = ast.parse((PACKAGE / name).read_text())
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        for found in imported(tree):
            assert found.partition(".")[0] not in HEAVY, f"{name} imports {found}"
            assert not within(found, {"study"}) or within(found, light | {"study.__version__"}), found


def test_a_module_is_one_idea(module):
    assert len(module.read_text().splitlines()) <= LONGEST


def test_nothing_runs_what_it_reads(module):
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {
                "eval",
                "exec",
                "compile",
                "__import__",
                "pickle.load",
                "yaml.load",
            }
            assert called != "torch.load" or any(
                keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True"
                for keyword in node.keywords
            )
            assert not called.endswith(("np.load", "numpy.load")) or any(
                keyword.arg == "allow_pickle" and ast.unparse(keyword.value) == "False"
                for keyword in node.keywords
            )
            assert not any(
                keyword.arg == "shell" and ast.unparse(keyword.value) != "False" for keyword in node.keywords
            )


def test_the_walls_would_fall(tmp_path):
    """The reader of imports sees those inside functions and those made by name."""
    source = (
        "def f():\n    import mlflow.entities\n    from study.run import run\n    import_module('hydra')\n"
    )
    assert set(imported(ast.parse(source))) == {"mlflow.entities", "study.run.run", "hydra"}
    assert not within("study.landscapes.x", {"study.landscape"})
