"""Files of a finished sweep that a disk or a person changed: cut short, emptied, a bit flipped, gone."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cases import Trouble
from tests.faults.starts import start
from tests.faults.undisturbed import SWEEP, Undisturbed, of_end

WAYS = ("a bit flipped", "cut short", "emptied", "removed")


@dataclass(frozen=True)
class Damage:
    """Damage to one file of a finished sweep, of its own record or one of its runs'.

    Attributes:
        way: one of `WAYS`.
        where: which of the files, and where in it, as a share of both.
        points: whether the points kept are damaged, and the landscapes that were made of them removed.
    """

    way: str
    where: float
    points: bool = False
    fresh_store: bool = False
    others: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """See `Case`."""
        return f"a file of {'points' if self.points else 'a record'} {self.way}"

    def disturb(self, undisturbed: Undisturbed, folder: Path) -> Trouble:
        """Run the sweep to its end, and damage a file."""
        done = start(SWEEP, folder)
        if self.points:
            files = sorted((folder / "points").rglob("*.jsonl"))
            for record in (folder / "runs").glob("*/landscapes/*.npz"):
                record.unlink()
        else:
            (sweep,) = (folder / "sweeps").glob("[!.]*/")
            members = json.loads((sweep / "run.json").read_bytes())["members"]
            parts = [sweep, *(folder / "runs" / member for member in members)]
            files = sorted(file for part in parts for file in part.rglob("*") if _is_of_a_record(file))
        file = files[int(self.where * len(files))]
        damage(file, self.way, (self.where * 7919) % 1.0)
        return Trouble(f"{file.relative_to(folder)} {self.way}", 1, of_end(done))


def damages(draw: random.Random) -> Iterator[Damage]:
    """Without end: each way in turn, in any file; every third in the points that are kept."""
    number = 0
    while True:
        yield Damage(WAYS[number % len(WAYS)], draw.random(), points=number % 3 == 2)
        number += 1


def damage(file: Path, way: str, where: float) -> None:
    """Change a file in one way; `where` in it, as a share of its length."""
    data = bytearray(file.read_bytes())
    at = int(where * len(data))
    file.unlink()  # this name of it: by another it may be a record's that the sweep does not ask for
    match way:
        case "a bit flipped":
            data[at] ^= 1 << int(where * 997) % 8
            file.write_bytes(data)
        case "cut short":
            file.write_bytes(data[:at])
        case "emptied":
            file.write_bytes(b"")
        case "removed":
            pass


def _is_of_a_record(file: Path) -> bool:
    return file.is_file() and ".locks" not in file.parts
