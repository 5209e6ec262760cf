"""The door for a user's own code: "package.module:attribute"."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


def load_attribute(path: str) -> Callable[..., Any]:
    """The callable that `path` names. The module's folder must be on Python's path.

    Args:
        path: "package.module:attribute"; the attribute may be dotted ("Class.method").

    Raises:
        ValueError: If the path is not of that form, the module or the attribute is not found, or the
            attribute cannot be called. What the module itself raises on import is left alone.
    """
    value = _attribute(path)
    if not callable(value):
        raise ValueError(f"path {path!r}: the attribute must be callable, it is {type(value).__name__}")
    return value


def call_attribute(path: str, arguments: Mapping[str, Any], offered: Mapping[str, Any] | None = None) -> Any:
    """What the callable at `path` returns.

    Args:
        path: as for `load_attribute`.
        arguments: passed by name.
        offered: passed too, each where the callable has a parameter of that name (`**kwargs` is none) and
            `arguments` do not give it.

    Raises:
        ValueError: If there is no such callable, or it does not take these arguments.
    """
    function = load_attribute(path)
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-ins have none: nothing to check against
        return function(**arguments)
    named = {
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
    }
    given = {name: value for name, value in (offered or {}).items() if name in named} | dict(arguments)
    try:
        signature.bind(**given)
    except TypeError as error:
        raise ValueError(f"path {path!r}: arguments {sorted(given)} do not fit: {error}") from None
    return function(**given)


def source_digest(path: str) -> str:
    """Hex SHA-256 of the file of the module that defines what `path` names.

    A function or class that the named module only imports is traced to its own module. Modules which that one
    imports in turn are not looked at.

    Raises:
        ValueError: If the path does not lead to an attribute, or its module has no file.
    """
    value = _attribute(path)
    module = _module(path)
    if inspect.isroutine(value) or inspect.isclass(value):
        module = inspect.getmodule(value) or module
    file = getattr(module, "__file__", None)
    if file is None:
        raise ValueError(f"path {path!r}: module {module.__name__!r} has no source file")
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _attribute(path: str) -> Any:
    value: Any = _module(path)
    for name in path.partition(":")[2].split("."):
        if not hasattr(value, name):
            raise ValueError(f"path {path!r}: attribute {name!r} not found")
        value = getattr(value, name)
    return value


def _module(path: str) -> ModuleType:
    name, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in [*name.split("."), *attribute.split(".")]):
        raise ValueError(f"path must be 'package.module:attribute', got {path!r}")
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(
                f"path {path!r}: module {error.name!r} not found (is it on PYTHONPATH?)"
            ) from None
        raise ValueError(
            f"path {path!r}: module {name!r} needs {error.name!r}, which is not found"
        ) from error
