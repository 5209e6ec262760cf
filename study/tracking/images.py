"""Pictures as MLflow's UI needs them: series by the names of their files, one a step, and small ones.

MLflow's `log_image` names a picture at random, so that one sent twice is there twice. Here its name follows
from what it shows: whatever is sent again replaces itself.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from study.record import Record

FOLDER = "images"  # of a run's artifacts: where the UI looks for series
LARGEST_PREVIEW = 256  # pixels, MLflow's own
FRAME = re.compile(r"landscapes/(?P<name>[^/]+)\.frames/(?P<update>\d{6,})\.png")


@dataclass(frozen=True)
class Frame:
    """One picture of a series.

    Attributes:
        key: the series, as the UI calls it.
        step: update of the training that it shows.
    """

    key: str
    step: int

    @classmethod
    def of(cls, name: str) -> "Frame | None":
        """What a record's file shows; None if it is no picture of a series."""
        found = FRAME.fullmatch(name)
        if found is None:
            return None
        key = re.sub(r"[^a-zA-Z0-9_\-. ]", "_", found["name"])  # what MLflow's keys may hold
        return cls(key, int(found["update"]))

    def files(self, record_id: str, created: int) -> tuple[str, str]:
        """The names of the picture and of its preview, which the UI reads key, step and time from.

        Args:
            record_id: of the run.
            created: milliseconds since 1970; of the run, as a picture drawn again is no other one.
        """
        own = uuid.uuid5(uuid.NAMESPACE_OID, f"{record_id}/{self.key}/{self.step}")
        stem = f"{self.key}+step+{self.step}+timestamp+{created}+{own}"
        return f"{stem}.png", f"{stem}+compressed.webp"


@contextmanager
def frame_files(record: Record, name: str, frame: Frame) -> Iterator[list[Path]]:
    """A picture of a series and its preview, as files to be sent within the context."""
    about, picture = record.read_json("run.json"), record.read(name)
    small = scaled(picture, LARGEST_PREVIEW, LARGEST_PREVIEW, "WEBP")
    names = frame.files(about["record_id"], about["created"])
    with _written(dict(zip(names, (picture, small), strict=True))) as files:
        yield files


@contextmanager
def small_files(record: Record, pictures: Mapping[str, str], width: int) -> Iterator[list[Path]]:
    """Pictures of a record no wider than this many pixels, as files to be sent within the context.

    Args:
        record: that holds them.
        pictures: by the name of a file to be sent, that of the record's.
        width: pixels.
    """
    small = {file: scaled(record.read(name), width, None, "PNG") for file, name in pictures.items()}
    with _written(small) as files:
        yield files


def scaled(picture: bytes, width: int, height: int | None, form: str) -> bytes:
    """A PNG made to fit, at most as large as it is.

    Args:
        picture: the PNG.
        width: the most pixels across.
        height: the most pixels down; None for any number.
        form: of the result, as Pillow calls it.

    Returns:
        The picture; as it is where nothing can read it.
    """
    try:
        with Image.open(BytesIO(picture)) as opened:
            image = opened.convert("RGBA")
    except (OSError, SyntaxError):
        return picture
    image.thumbnail((width, height or image.height), Image.Resampling.LANCZOS)
    written = BytesIO()
    image.save(written, form)
    return written.getvalue()


@contextmanager
def _written(contents: Mapping[str, bytes]) -> Iterator[list[Path]]:
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in contents]
        for file, content in zip(files, contents.values(), strict=True):
            file.write_bytes(content)
        yield files
