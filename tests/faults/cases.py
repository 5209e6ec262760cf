"""Cases: what goes wrong with a sweep before it is started a last time, and what is then held against it."""

import json
import os
import shutil
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from tests.faults.traces import differences, faults, left
from tests.faults.undisturbed import Undisturbed, of_end


@dataclass(frozen=True)
class Trouble:
    """What happened to a sweep.

    Attributes:
        at: in words.
        starts: of it, that came to a bad end or to none.
        wrong: what was not as it must be already then; a line each.
    """

    at: str
    starts: int
    wrong: list[str]


class Case(Protocol):
    """Something that goes wrong.

    Attributes:
        kind: by which cases are counted.
        fresh_store: whether the store's tables are made, too, rather than there from before.
        others: the sweeps that are run in the same folder.
    """

    @property
    def kind(self) -> str: ...

    @property
    def fresh_store(self) -> bool: ...

    @property
    def others(self) -> tuple[str, ...]: ...

    def disturb(self, undisturbed: Undisturbed, folder: Path) -> Trouble:
        """Let it happen to the sweep in a folder."""


@dataclass(frozen=True)
class Result:
    """What came of a case.

    Attributes:
        number: its place in the plan, by which it can be tried again.
        kind: of the case.
        at: what happened, in words.
        starts: besides the last.
        wrong: what was not as it must be; empty if all was.
    """

    number: int
    kind: str
    at: str
    starts: int
    wrong: list[str]


def attempt(number: int, case: Case, undisturbed: Undisturbed, folder: Path) -> Result:
    """Let a case happen to the sweep in a fresh folder, start it a last time, and look at what it left."""
    folder.mkdir()
    if not case.fresh_store:
        shutil.copy(undisturbed.store, folder / "mlflow.db")
    trouble = case.disturb(undisturbed, folder)
    last = undisturbed.begin(folder)
    wrong = [*trouble.wrong, *of_end(last)]
    if not wrong:
        found = left(folder)
        if case.others:  # what other sweeps left is held against nothing
            found = {name: found[name] for name in undisturbed.left if name in found}
        wrong = [*differences(found, undisturbed.left), *faults(folder)]
    if not wrong:
        shutil.rmtree(folder)
    return Result(number, case.kind, trouble.at, trouble.starts, wrong)


def attempts(
    cases: Sequence[tuple[int, Case]], undisturbed: Undisturbed, folder: Path, workers: int
) -> Iterator[Result]:
    """The results of numbered cases, as they come, from so many processes at once."""
    reader, writer = os.pipe()
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            try:
                for number, case in cases[worker::workers]:
                    result = attempt(number, case, undisturbed, folder / f"case-{number}")
                    os.write(writer, (json.dumps(asdict(result)) + "\n").encode())
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        children.append(child)
    os.close(writer)
    with os.fdopen(reader) as lines:
        for line in lines:
            yield Result(**json.loads(line))
    for child in children:
        os.waitpid(child, 0)
