"""How far a sweep is: counted over processes, and estimated from the jobs that ended."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from study.tally import Tally, in_words


@pytest.fixture
def tally(tmp_path: Path) -> Tally:
    return Tally(tmp_path / "jobs.tally", 12)


def test_one_process_takes_the_mean_for_each_that_is_left(tally: Tally):
    assert tally.words() == "0 of 12 runs done"
    for job, seconds in (("a", 60.0), ("b", 100.0)):
        tally.begin(job)
        tally.end(job, seconds)
    assert tally.words() == "2 of 12 runs done, about 13 min left"  # ten of 80 s


def test_several_processes_share_what_is_left(tally: Tally):
    for job in "abc":
        tally.begin(job)
    tally.end("a", 60.0)
    assert tally.words() == "1 of 12 runs done, about 4 min left"  # eleven of 60 s by three: four rounds


def test_work_that_was_done_already_says_nothing_of_the_pace(tally: Tally):
    tally.begin("a b=1")
    tally.end("a b=1", None)
    assert tally.words() == "1 of 12 runs done"
    tally.begin("c")
    tally.end("c", 30.0)
    assert tally.words() == "2 of 12 runs done, about 5 min left"  # ten of 30 s


def test_a_job_that_is_tried_again_counts_once_and_the_last_leaves_nothing(tally: Tally):
    small = Tally(tally.file, 2)
    for _attempt in range(2):
        small.begin("a")
    small.end("a", 10.0)
    assert small.words() == "1 of 2 runs done, about 10 s left"
    small.end("b", 10.0)
    assert small.words() == "2 of 2 runs done"


def count(file: Path, job: str) -> None:
    tally = Tally(file, 40)
    tally.begin(job)
    tally.end(job, 1.0)


def test_no_line_is_lost_between_processes(tmp_path: Path):
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(count, [tmp_path / "t"] * 40, map(str, range(40))))
    assert Tally(tmp_path / "t", 40).words() == "40 of 40 runs done"


def test_a_disk_that_takes_nothing_costs_no_job(tmp_path: Path):
    tally = Tally(tmp_path / "gone" / "t", 3)
    tally.begin("a")
    tally.end("a", 1.0)
    tally.clear()
    assert tally.words() == "0 of 3 runs done"
    tally.file.parent.mkdir()
    tally.file.write_text("cut sho")
    assert tally.words() == "0 of 3 runs done"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "5 s"),
        (41, "45 s"),
        (89, "90 s"),
        (100, "2 min"),
        (840, "14 min"),
        (5390, "90 min"),
        (5400, "1.5 h"),
    ],
)
def test_a_time_is_said_as_roughly_as_it_is_known(seconds: float, words: str):
    assert in_words(seconds) == words
