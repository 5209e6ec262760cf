"""Series of pictures in MLflow: named so that its UI reads them, and there once, however often sent."""

import re
import uuid
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.record import Record, State
from study.tracking import images
from study.tracking.images import Frame, scaled
from study.tracking.mlflow_tracker import MlflowTracker, mlflow, store_uri

UPDATES = (0, 46, 230)
SIZE = (400, 300)


def png(shade: int) -> bytes:
    written = BytesIO()
    Image.fromarray(np.full((SIZE[1], SIZE[0], 3), shade, np.uint8)).save(written, "PNG")
    return written.getvalue()


def as_the_ui_reads(path: str) -> tuple[str, int, int, str, bool]:
    """Key, step, time, file and whether it is a preview: what the UI makes of an artifact's path."""
    stem = path.removeprefix("images/").rpartition(".")[0]
    key, step, at, timestamp, milliseconds, *_rest = stem.split("+")
    assert (step, timestamp) == ("step", "timestamp")
    preview = stem.endswith("compressed")
    own = stem[: -len("+compressed")] if preview else stem
    return re.sub("[~#]", "/", key), int(at), int(milliseconds), own, preview


@pytest.fixture
def record(local_store: Path) -> Record:
    found = Record.at(local_store.parent, "abc")
    found.create({"name": "a net", "tags": {}, "note": "", "params": {}, "data": [], "landscapes": ["path"]})
    found.set_state(State.RUNNING)
    for update in UPDATES:
        found.write(f"landscapes/path.frames/{update:06d}.png", png(update))
    found.set_state(State.FINISHED)
    return found


@pytest.fixture
def client(local_store: Path) -> "mlflow.MlflowClient":
    return mlflow.MlflowClient(store_uri(local_store.parent))


def mirror(record: Record) -> str:
    MlflowTracker(None, str(record.output_dir), "study", "ends").mirror(record)
    (run_id,) = record.mirrored_run_ids()
    return run_id


def sent(client: "mlflow.MlflowClient", run_id: str) -> dict[str, bytes]:
    paths = [item.path for item in client.list_artifacts(run_id, "images")]
    return {path: Path(client.download_artifacts(run_id, path)).read_bytes() for path in paths}


def test_each_frame_is_there_once_as_the_ui_reads_it(record: Record, client):
    run_id = mirror(record)
    found = {}
    for path, content in sent(client, run_id).items():
        key, step, milliseconds, own, preview = as_the_ui_reads(path)
        assert key == "path"
        assert milliseconds == record.read_json("run.json")["created"]
        found.setdefault((step, own), {})[preview] = content
    assert sorted(step for step, _own in found) == list(UPDATES)
    for (step, _own), both in found.items():
        assert both[False] == record.read(f"landscapes/path.frames/{step:06d}.png")
        with Image.open(BytesIO(both[True])) as preview:
            assert (preview.format, preview.size) == ("WEBP", (256, 192))
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
    assert not client.list_artifacts(run_id, "landscapes/path.frames")


def test_the_names_are_those_that_mlflow_gives(record: Record, client, monkeypatch: pytest.MonkeyPatch):
    run_id, created = mirror(record), record.read_json("run.json")["created"]
    other = client.create_run(client.get_run(run_id).info.experiment_id).info.run_id
    for update in UPDATES:
        ours = Frame("path", update).files(record.read_json("run.json")["record_id"], created)
        own = ours[0].removesuffix(".png").rpartition("+")[2]
        assert str(uuid.UUID(own)) == own
        monkeypatch.setattr(mlflow.tracking.client.uuid, "uuid4", lambda own=own: own)
        picture = np.full((SIZE[1], SIZE[0], 3), update, np.uint8)
        client.log_image(other, picture, key="path", step=update, timestamp=created)
    ours, theirs = sent(client, run_id), sent(client, other)
    assert ours.keys() == theirs.keys()
    for path, content in theirs.items():
        with Image.open(BytesIO(content)) as expected, Image.open(BytesIO(ours[path])) as found:
            assert found.size == expected.size
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
    assert client.get_run(other).data.tags["mlflow.loggedImages"] == "True"


def test_mirrored_again_nothing_is_sent(record: Record, client, monkeypatch: pytest.MonkeyPatch):
    run_id = mirror(record)
    before = sent(client, run_id)
    monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", None)
    assert mirror(record) == run_id
    assert sent(client, run_id) == before


@pytest.mark.parametrize("at", range(1, 2 * len(UPDATES) + 1))
def test_a_mirror_cut_short_leaves_no_second_picture(
    record: Record, client, at: int, monkeypatch: pytest.MonkeyPatch
):
    real, count = mlflow.MlflowClient.log_artifact, 0

    def dying(*arguments: object) -> None:
        nonlocal count
        count += "+step+" in str(arguments[2])
        if count == at:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_artifact", dying)
        tracker = MlflowTracker(None, str(record.output_dir), "study", "ends")
        with pytest.raises(KeyboardInterrupt):
            tracker.mirror(record)
    found = sent(client, mirror(record))
    assert len(found) == 2 * len(UPDATES)
    assert {as_the_ui_reads(path)[1] for path in found} == set(UPDATES)


def test_a_frame_drawn_anew_replaces_the_one_before(record: Record, client):
    mirror(record)
    record.write("landscapes/path.frames/000046.png", png(99))
    found = sent(client, mirror(record))
    assert len(found) == 2 * len(UPDATES)
    (path,) = [own for own in found if "+step+46+" in own and own.endswith(".png")]
    assert found[path] == png(99)


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("landscapes/path.frames/000046.png", Frame("path", 46)),
        ("landscapes/path.frames/1234567.png", Frame("path", 1234567)),
        ("landscapes/größe.frames/000001.png", Frame("gr__e", 1)),
        ("landscapes/path.frames/46.png", None),
        ("landscapes/path.png", None),
        ("landscapes/path.frames/000046.csv", None),
        ("comparison/path.frames/000046.png", None),
    ],
)
def test_what_a_frame_is(name: str, frame: Frame | None):
    assert Frame.of(name) == frame
    if frame is not None:
        assert as_the_ui_reads(f"images/{frame.files('id', 5)[1]}")[:3] == (frame.key, frame.step, 5)


def test_a_picture_is_made_smaller_and_never_larger():
    for width, expected in ((200, (200, 150)), (4000, SIZE)):
        with Image.open(BytesIO(scaled(png(7), width, None, "PNG"))) as found:
            assert found.size == expected
            assert found.convert("RGB").getpixel((5, 5)) == (7, 7, 7)
    assert scaled(b"no picture", 200, None, "PNG") == b"no picture"
    assert images.LARGEST_PREVIEW == mlflow.tracking.multimedia.COMPRESSED_IMAGE_SIZE
