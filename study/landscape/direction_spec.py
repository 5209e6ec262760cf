"""How a direction is named in a configuration: one string."""

import re
from dataclasses import dataclass
from typing import Literal

from study.landscape.direction_files import SUFFIX

Named = Literal["gaussian", "difference", "gradient", "eigenvector", "file"]

DIRECTION_RULE = (
    "must be gaussian, difference, gradient, eigenvector, eigenvector:K (K from 1 for the K-th largest "
    f"eigenvalue, -1 for the most negative) or a path ending in {SUFFIX}"
)


@dataclass(frozen=True)
class DirectionSpec:
    """Which direction is asked for.

    Attributes:
        kind: `gaussian`; `difference`, θ* − θ₀; `gradient`, of the loss at θ*; `eigenvector`, of its Hessian
            there; `file`.
        rank: of an eigenvector: K for the K-th largest eigenvalue, from 1, or −1 for the most negative.
        path: of a file.
    """

    kind: Named
    rank: int | None = None
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> "DirectionSpec":
        """Read `gaussian`, `difference`, `gradient`, `eigenvector`, `eigenvector:K` or a path.

        Raises:
            ValueError: in one line, `DIRECTION_RULE` with the text, if it is none of these.
        """
        match text.split(":"):
            case ["gaussian" | "difference" | "gradient" as kind]:
                return cls(kind)
            case ["eigenvector"]:
                return cls("eigenvector", rank=1)
            case ["eigenvector", rank] if re.fullmatch(r"[1-9][0-9]*|-1", rank):
                return cls("eigenvector", rank=int(rank))
        if re.fullmatch(rf".*[^/\\]{re.escape(SUFFIX)}", text):
            return cls("file", path=text)
        raise ValueError(f"a direction {DIRECTION_RULE}, got {text!r}")

    def __str__(self) -> str:
        """The string that it is parsed from; of an eigenvector, with its rank."""
        match self.kind:
            case "eigenvector":
                return f"eigenvector:{self.rank}"
            case "file":
                return str(self.path)
            case _:
                return self.kind
