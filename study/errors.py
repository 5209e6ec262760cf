"""What stands for a user's mistake, and what is said of it."""

import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

MISUSED = 2  # exit status


class ConfigError(ValueError):
    """A value that cannot be used. Its message is one line that names the key, the rule and the value."""

    def __init__(self, key: str, rule: str, value: object) -> None:
        """Say that `key` must obey `rule` and that `value` does not."""
        super().__init__(f"{key} {rule}, got {value!r}")


class JobError(ConfigError):
    """A job of a sweep that cannot be run as it was asked for."""

    def __init__(self, overrides: Sequence[str], error: Exception) -> None:
        """Say which job it is, and what is wrong with it."""
        ValueError.__init__(self, f"{' '.join(str(error).split())} (in the job {' '.join(overrides)})")


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """` (did you mean …?)`, with `prefix` before the name; nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {prefix + near[0]!r}?)" if near else ""


def refuse(line: str) -> NoReturn:
    """Say in one line what is wrong, and exit."""
    print(f"study: {line}", file=sys.stderr)
    sys.exit(MISUSED)
