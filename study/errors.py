"""What stands for a user's mistake, and what is said of it."""

import difflib
import errno
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from types import FrameType
from typing import NoReturn

from study.credentials import hidden

FAILED, MISUSED, INTERRUPTED = 1, 2, 130  # exit statuses
_OF_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


class ConfigError(ValueError):
    """A value that cannot be used. Its message is one line that names the key, the rule and the value."""

    def __init__(self, key: str, rule: str, value: object) -> None:
        """Say that `key` must obey `rule` and that `value` does not."""
        super().__init__(hidden(f"{key} {rule}, got {value!r}"))


class JobError(ConfigError):
    """A job of a sweep that cannot be run as it was asked for."""

    def __init__(self, overrides: Sequence[str], error: Exception) -> None:
        """Say which job it is, and what is wrong with it."""
        ValueError.__init__(self, hidden(f"{in_one_line(error)} (in the job {' '.join(overrides)})"))


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """` (did you mean …?)`, with `prefix` before the name; nothing where no known name is near."""
    spelt = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), list(spelt), n=1, cutoff=0.5)
    return f" (did you mean {prefix + spelt[near[0]]!r}?)" if near else ""


def disk_trouble(error: BaseException | None) -> str | None:
    """What to say where a disk stopped taking what was written to it; None of any other error."""
    while error is not None and not isinstance(error, ConfigError):
        if isinstance(error, OSError) and error.errno in _OF_DISKS:
            return (
                f"output_dir cannot be written to any more ({error.strerror}); what is finished is kept, and "
                "the same command goes on where this one stopped"
            )
        error = error.__cause__ or error.__context__
    return None


def refuse(line: str, status: int = MISUSED) -> NoReturn:
    """Say in one line what is wrong, and exit."""
    print(f"study: {hidden(line)}", file=sys.stderr)
    sys.exit(status)


def in_one_line(error: BaseException, longest: int = 1000) -> str:
    """What an error says, in one line of at most so many characters; its type where it says nothing."""
    return hidden(" ".join(str(error).split()))[:longest] or type(error).__name__


def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Handle a signal as Ctrl-C is handled.

    Raises:
        KeyboardInterrupt: always.
    """
    raise KeyboardInterrupt


def need_curvlinops(key: str, value: object) -> None:
    """Refuse what takes products with the Hessian where the extra for them is missing.

    Raises:
        ConfigError: saying how it is installed.
    """
    if find_spec("curvlinops") is None:
        raise ConfigError(key, "needs curvlinops: pip install 'landscape-study[hessian]'", value)
