"""What `import study` costs, and what the landscape package leans on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import study

ROOT = Path(study.__file__).parents[1]


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that runs `code`."""
    listing = f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


def test_importing_study_loads_nothing_heavy():
    loaded = modules_after("import study; assert study.__version__; dir(study)")
    assert "study" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "scipy", "hydra", "omegaconf", "mlflow", "matplotlib"}


def test_the_library_needs_neither_hydra_nor_mlflow():
    loaded = modules_after("from study import Grid, Landscape, Line, Plane, evaluate")
    assert "torch" in loaded
    assert not loaded & {"hydra", "omegaconf", "mlflow", "matplotlib", "plotly", "torchvision"}


def test_every_public_name_is_there():
    for name in study.__all__:
        assert getattr(study, name).__name__ == name
    assert set(study.__all__) <= set(dir(study))
    with pytest.raises(AttributeError, match="no attribute 'Landscpae'"):
        study.Landscpae  # noqa: B018 - the access is the test


EXTRA = {
    "executors.py": {"joblib", "ray"},
    "hessian.py": {"curvlinops"},
    "direction_files.py": {"safetensors"},
    "variables.py": {"xarray"},
    "vtk_files.py": {"vtkmodules"},
}


def test_the_landscape_package_imports_nothing_from_above_it():
    allowed = {"torch", "numpy", "scipy", "pandas", *sys.stdlib_module_names}
    for path in sorted((ROOT / "study" / "landscape").glob("*.py")):
        executed = EXTRA.get(path.name, set())
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                own = name.startswith("study.landscape") or name == "study.files"
                assert own or name.partition(".")[0] in allowed | executed, f"{path.name} imports {name}"
