"""What listens on this machine: the MLflow UI, on 127.0.0.1 unless told otherwise, and nothing else."""

import ast
import os
from pathlib import Path

import pytest

import study
from study import commands

LISTENING = {"socket", "socketserver", "http.server", "xmlrpc", "asyncio", "uvicorn", "flask", "fastapi"}


@pytest.fixture
def ui(output_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """The command that `study ui` would become."""
    output_dir.mkdir()
    (output_dir / "mlflow.db").touch()
    found: list[list[str]] = []
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    monkeypatch.setattr(os, "execv", lambda _program, command: found.append(command))

    def call(*arguments: str) -> list[str]:
        commands.ui(arguments)
        return found.pop()

    return call


def test_the_ui_listens_on_this_machine_alone(ui, output_dir):
    command = ui()
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{output_dir}/mlflow.db"


def test_the_ui_listens_elsewhere_where_it_is_told_to(ui):
    command = ui("--host", "0.0.0.0")
    assert command[command.index("--host") + 1] == "0.0.0.0"


@pytest.mark.parametrize(
    "module", sorted(Path(study.__file__).parent.rglob("*.py")), ids=lambda module: module.name
)
def test_no_module_opens_a_socket_or_makes_a_server(module):
    for node in ast.walk(ast.parse(module.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        assert not set(names) & LISTENING
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ray.init":
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert given["include_dashboard"] == "False if local else None"
