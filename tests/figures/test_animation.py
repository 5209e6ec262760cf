"""Animations: read back from their own files, as a viewer would see them."""

import io
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from study.figures import animation
from study.figures.animation import Moment, moments, path_film, planes_film
from study.figures.film import Film
from study.landscape.result import Landscape, Point, Status

ALPHA, BETA = np.linspace(-1.0, 5.0, 7), np.linspace(-2.0, 1.0, 5)  # not square, not symmetric
PATH = np.array([[4.0, 0.0], [3.0, -1.5], [1.5, -1.0], [0.5, 0.5], [0.0, 0.0]])
UPDATES = (0, 7, 14, 21, 1_000_000)
LOSSES = (2.5, 1.25, 0.5, 0.125, 0.0625)
WORDS: dict[str, Any] = {"split": "", "title": "A title", "caption": "A caption: costing $5 & <little>."}


def plane(factor: float = 1.0, name: str = "solution") -> Landscape:
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    status = np.full(a.shape, Status.EVALUATED, dtype=np.int8)
    loss = factor * (0.5 + 0.2 * a**2 + 0.4 * b**2)
    points = {name: Point((0.0, 0.0), {"loss": 0.5 * factor})}
    return Landscape({"alpha": ALPHA, "beta": BETA}, {"loss": loss}, status, points)


def filmed(path: np.ndarray = PATH, **changes: Any) -> Film:
    seen = (
        moments(UPDATES, LOSSES, 7) if len(path) == len(UPDATES) else moments(range(len(path)), path[:, 0], 7)
    )
    return path_film(plane(), path, seen, **(WORDS | changes))


@pytest.fixture(scope="module")
def path() -> Film:
    return filmed()


@pytest.fixture(scope="module")
def planes() -> Film:
    """The second plane is the first once more, the third is four times as high."""
    own = {0: plane(1.0, "initialisation"), 7: plane(1.0, "initialisation"), 14: plane(4.0)}
    return planes_film(own, moments(own, (0.5, 0.5, 2.0), 7), **WORDS)


def pixels(content: bytes) -> list[np.ndarray]:
    """Each frame of a file as its viewer has it, (H, W, 3)."""
    with Image.open(io.BytesIO(content)) as opened:
        return [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)]


def local_palettes(gif: bytes) -> list[bool]:
    """For each frame of a GIF file, whether it has a palette of its own: by the format's description."""
    at = 13 + (3 << (gif[10] & 7) + 1 if gif[10] & 0x80 else 0)
    found = []

    def blocks(at: int) -> int:
        while gif[at]:
            at += gif[at] + 1
        return at + 1

    while gif[at] != 0x3B:
        if gif[at] == 0x21:
            at = blocks(at + 2)
            continue
        assert gif[at] == 0x2C
        flags = gif[at + 9]
        found.append(bool(flags & 0x80))
        at = blocks(at + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    return found


def orange(picture: np.ndarray) -> np.ndarray:
    """The middle, (across, down), of what marks the optimiser's place."""
    rows, columns = np.nonzero((picture == (0xD5, 0x5E, 0x00)).all(axis=2))
    return np.array([columns.min() + columns.max(), rows.min() + rows.max()]) / 2


@pytest.mark.parametrize("which", ["path", "planes"])
def test_every_frame_has_one_size_one_palette_and_its_time(
    which: str, request: pytest.FixtureRequest
) -> None:
    film: Film = request.getfixturevalue(which)
    count = len(film.stills)
    with Image.open(io.BytesIO(film.gif)) as opened:
        assert opened.n_frames == count
        assert opened.info["loop"] == 0  # for ever
        assert opened.width == 900
        times = [frame.info["duration"] for frame in ImageSequence.Iterator(opened)]
    assert len(set(times[:-1])) == 1
    assert times[-1] == 3000 > 4 * times[0]
    assert local_palettes(film.gif) == [False] * count
    sizes = set()
    for content in film.stills.values():
        with Image.open(io.BytesIO(content)) as still:
            sizes.add(still.size)
    ((width, height),) = sizes
    assert width == 640
    assert height < 640 * pixels(film.gif)[0].shape[0] / 900 - 10  # the caption is not in it


@pytest.mark.parametrize("which", ["path", "planes"])
def test_nothing_is_cut_off_and_paper_is_white(which: str, request: pytest.FixtureRequest) -> None:
    film: Film = request.getfixturevalue(which)
    for picture in [*pixels(film.gif), *(pixels(still)[0] for still in film.stills.values())]:
        assert (picture[[0, -1]] == 255).all()
        assert (picture[:, [0, -1]] == 255).all()


def test_the_same_landscape_gives_the_same_files(path: Film) -> None:
    assert filmed() == path


def test_the_path_grows_along_its_checkpoints_over_contours_that_stay(path: Film) -> None:
    """Where the optimiser is in each still follows from its (α, β) by one scale and one shift an axis."""
    assert list(path.stills) == list(UPDATES)
    stills = [pixels(still)[0] for still in path.stills.values()]
    found = np.array([orange(still) for still in stills[1:-1]])  # else below a circle and a star
    for axis, scale in ((0, 1.0), (1, -1.0)):
        fitted = np.polyfit(PATH[1:-1, axis], found[:, axis], 1)
        np.testing.assert_allclose(np.polyval(fitted, PATH[1:-1, axis]), found[:, axis], atol=1.5)
        assert scale * fitted[0] > 0
    ink = [(still.sum(axis=2) < 60).sum() for still in pixels(path.gif)]
    assert ink[1] < ink[2] < ink[3]  # of the line
    head = 60
    for before, after in pairwise(stills):
        changed = np.nonzero((before[head:] != after[head:]).any(axis=(1, 2)))[0]
        assert len(changed) < 0.8 * (len(before) - head)


def test_frames_of_equal_planes_are_equal_but_for_their_words(planes: Film) -> None:
    """One scale of colours and of heights: the third plane, four times as high, changes neither."""
    first, second, third = pixels(planes.gif)
    changed = np.nonzero((first != second).any(axis=(1, 2)))[0]
    assert len(changed) > 0
    assert changed.max() < 60  # the title
    assert (first[60:] != third[60:]).mean() > 0.05


def test_of_many_checkpoints_some_are_shown_with_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert animation.MOST_FRAMES == 40
    monkeypatch.setattr(animation, "MOST_FRAMES", 3)
    turn = np.linspace(0.0, 3.0, 301)
    arc = np.stack([3.0 - turn, np.sin(turn)], axis=1)
    assert list(filmed(arc).stills) == [0, 150, 300]
    monkeypatch.setattr(animation, "MOST_FRAMES", 2)
    own = {0: plane(1.0, "initialisation"), 7: plane(2.0, "checkpoint"), 14: plane(4.0)}
    assert list(planes_film(own, moments(own, (0.5, 1.0, 2.0), None), **WORDS).stills) == [0, 14]


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (Moment(46, 0.51234, 2.0), "update 46, epoch 2, loss 0.512 nats"),
        (Moment(1500, 0.0, 1.25), "update 1,500, epoch 1.25, loss 0 nats"),
        (Moment(3, np.inf), "update 3, loss not finite"),
    ],
)
def test_a_frame_says_which_checkpoint_it_is(moment: Moment, words: str) -> None:
    assert moment.words("nats") == words


def test_epochs_are_updates_over_those_of_an_epoch() -> None:
    assert moments([0.0, 6.0], [2.0, 1.0], 4) == [Moment(0, 2.0, 0.0), Moment(6, 1.0, 1.5)]
    assert moments([6], [1.0], None) == [Moment(6, 1.0)]


def test_planes_with_cells_that_diverged_and_one_without_any_value_are_drawn() -> None:
    lost = plane()
    lost.values["loss"][-3:, -2:] = np.inf
    empty = replace(lost, values={"loss": np.full(lost.shape, np.nan)}, points={})
    film = planes_film({0: lost, 5: empty}, moments((0, 5), (0.5, np.nan), 7), **WORDS)
    assert len(pixels(film.gif)) == 2
    warned = planes_film({0: lost}, moments((0,), (0.5,), 7), **WORDS, warning="Not to be trusted")
    picture = pixels(warned.gif)[0]
    assert (picture[:60] == (0xD5, 0x5E, 0x00)).all(axis=2).any()


def test_what_cannot_be_filmed_is_refused() -> None:
    with pytest.raises(ValueError, match="one for each of 5 checkpoints, got 1"):
        path_film(plane(), PATH, moments([0], [1.0], 7), **WORDS)
    with pytest.raises(ValueError, match="planes must be at least one, got none"):
        planes_film({}, [], **WORDS)
    with pytest.raises(ValueError, match="split must be one of"):
        planes_film({0: plane()}, moments([0], [1.0], 7), **(WORDS | {"split": "other"}))
