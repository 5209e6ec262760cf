"""The door for a user's own code: "package.module:attribute"."""

import hashlib
import inspect
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from types import ModuleType
from typing import Any

_NOT_OWN = (
    "<",  # as Python names what it runs from no file
    *(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "purelib", "platlib")),
    f"{Path(__file__).parents[1]}{os.sep}",
)
"""What the file names of code begin with that is not the user's, unless it is of the package named."""


def load_attribute(path: str, key: str) -> Callable[..., Any]:
    """The callable that `path` names. The module's folder must be on Python's path.

    Args:
        path: "package.module:attribute"; the attribute may be dotted ("Class.method").
        key: of the configuration that holds the path, named by errors.

    Raises:
        ValueError: If the path is not of that form, the module or the attribute is not found, the module
            cannot be imported, or the attribute cannot be called.
    """
    value = _attribute(path, key)
    if not callable(value):
        raise ValueError(f"{key} {path!r}: the attribute must be callable, it is {type(value).__name__}")
    return value


def call_attribute(
    path: str, key: str, arguments: Mapping[str, Any], offered: Mapping[str, Any] | None = None
) -> Any:
    """What the callable at `path` returns.

    Args:
        path: as for `load_attribute`.
        key: as for `load_attribute`.
        arguments: passed by name.
        offered: passed too, each where the callable has a parameter of that name (`**kwargs` is none) and
            `arguments` do not give it.

    Raises:
        ValueError: If there is no such callable, it does not take these arguments, or it raises anything.
    """
    function = load_attribute(path, key)
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-ins have none: nothing to check against
        with own_code(path, key):
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
        raise ValueError(f"{key} {path!r}: arguments {sorted(given)} do not fit: {error}") from None
    with own_code(path, key):
        return function(**given)


@contextmanager
def own_code(path: str, key: str, doing: str = "") -> Iterator[None]:
    """A context for a user's own code: whatever it raises becomes one line.

    Args:
        path: of the code.
        key: of the configuration that holds the path.
        doing: what the code was asked for, where that is not plain.

    Raises:
        ValueError: naming the key, what was raised, and the line of the user's code that it came from.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        said = f"{type(error).__name__}: {message}" if message else type(error).__name__
        place = _place(error, path.partition(":")[0].partition(".")[0])
        said = f"{key} {path!r} raised {shorten(said, 300, placeholder=' …')}"
        raise ValueError(f"{said}{doing}{f' ({place})' if place else ''}") from error


def source_digest(path: str, key: str) -> str:
    """Hex SHA-256 of the file of the module that defines what `path` names.

    A function or class that the named module only imports is traced to its own module. Modules which that one
    imports in turn are not looked at.

    Raises:
        ValueError: If the path (of `key`) does not lead to an attribute, or its module has no file.
    """
    value = _attribute(path, key)
    module = _module(path, key)
    if inspect.isroutine(value) or inspect.isclass(value):
        module = inspect.getmodule(value) or module
    file = getattr(module, "__file__", None)
    if file is None:
        raise ValueError(f"{key} {path!r}: module {module.__name__!r} has no source file")
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _attribute(path: str, key: str) -> Any:
    value: Any = _module(path, key)
    for name in path.partition(":")[2].split("."):
        if not hasattr(value, name):
            raise ValueError(f"{key} {path!r}: attribute {name!r} not found")
        value = getattr(value, name)
    return value


def _module(path: str, key: str) -> ModuleType:
    name, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in [*name.split("."), *attribute.split(".")]):
        raise ValueError(f"{key} must be 'package.module:attribute', got {path!r}")
    with own_code(path, key):
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name
    if missing is not None and (name == missing or name.startswith(f"{missing}.")):
        raise ValueError(f"{key} {path!r}: module {missing!r} not found (is it on PYTHONPATH?)")
    raise ValueError(f"{key} {path!r}: module {name!r} needs {missing!r}, which is not found")


def _place(error: BaseException, package: str) -> str:
    """The last line of a user's own code that an error came through, as file:line; nothing if none did."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    places = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").partition(".")[0] == package
        or not frame.f_code.co_filename.startswith(_NOT_OWN)
    ]
    return places[-1] if places else ""
