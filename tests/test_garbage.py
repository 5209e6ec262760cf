"""When a process looks for garbage."""

import gc
import importlib
import subprocess
import sys

import pytest

from study.garbage import loading

ENDING = """
import atexit, sys
from study.garbage import leave_garbage_at_exit

class Looked:
    def __init__(self):
        self.itself = self

    def __del__(self):
        print("looked", flush=True)

if "leave" in sys.argv:
    leave_garbage_at_exit()
    leave_garbage_at_exit()
atexit.register(print, "ended", flush=True)
Looked()
"""


@pytest.fixture(autouse=True)
def put_back():
    was = gc.isenabled()
    yield
    (gc.enable if was else gc.disable)()


def test_modules_are_loaded_without_looking_for_garbage():
    gc.enable()
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ModuleNotFoundError), loading():
        importlib.import_module("there_is_no_such_module")
    assert gc.isenabled()


def test_who_never_looks_for_garbage_does_not_begin_to():
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()


@pytest.mark.process
@pytest.mark.parametrize(("words", "said"), [((), ["ended", "looked"]), (("leave",), ["ended"])])
def test_a_process_ends_as_it_should_and_leaves_its_garbage(words, said):
    ended = subprocess.run([sys.executable, "-c", ENDING, *words], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == said
