"""Files that several processes share: atomic writes (whole, or not at all), and locks."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a machine that stops, sees the old file or the new one.

    The bytes go to a temporary file beside `path`, reach the disk, and take its name in one step.

    Args:
        path: where the file goes; its folder is made if it is missing.
        data: the whole content.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def link_atomically(source: Path, path: Path) -> bool:
    """Give the file `source` a second name, `path`, in one step. False where the disk has no links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        temporary.hardlink_to(source)
        temporary.replace(path)
    except OSError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


@contextmanager
def locked(path: Path, wait: bool = True, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold a lock across processes; it is free again when its holder ends, however it ends.

    Args:
        path: the lock's file; its folder is made if it is missing.
        wait: whether to wait for another process; if not, False is given where it is taken.
        waiting: called once before a wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            yield False
            return
        if waiting is not None:
            waiting()
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
