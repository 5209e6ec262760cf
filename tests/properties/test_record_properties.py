"""A record through any sequence of writes, kills and damage: what is read was written last, or is missing."""

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from study import record as record_module
from study.record import COPY, MANIFEST, DamagedFileError, MetricPoint, Record, State

FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=60)
NAMES = st.sampled_from([
    "a.txt", "b", "sub/a.txt", "sub/deeper/θ – ü.bin", "日本/☃.json", "é", "e\u0301", "x y", ".a", "|`$x$`",
])  # fmt: skip
CONTENTS = st.binary(max_size=40)
KILLS = st.tuples(st.integers(0, 3), st.booleans())
"""At which atomic write a process is killed, and whether that had its effect."""


class Killed(BaseException):
    """As a signal does it: no `except Exception` sees it."""


@contextmanager
def killed_at(place: int, *, after: bool) -> Iterator[None]:
    """Within, the process is killed at its n-th atomic write, before or after it."""
    write, count = record_module.write_atomically, [0]

    def counting(path: Path, data: bytes) -> None:
        count[0] += 1
        if count[0] - 1 == place and not after:
            raise Killed
        write(path, data)
        if count[0] - 1 == place:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_module, "write_atomically", counting)
        with suppress(Killed):
            yield


class RecordMachine(RuleBasedStateMachine):
    """Two records of one folder. `last` has what was written last to each file; None after its removal."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.records = [Record.at(self.folder, name) for name in ("one", "two")]
        self.last: list[dict[str, bytes | None]] = [{}, {}]

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def is_whole(self, which: int, name: str) -> bool:
        """Whether what lies on the disk is what was written last; the record is not asked."""
        file, wanted = self.records[which].path / name, self.last[which].get(name)
        return wanted is not None and file.is_file() and file.read_bytes() == wanted

    def found(self, which: int, name: str) -> bytes | None:
        try:
            return self.records[which].read(name)
        except DamagedFileError:
            return None

    def after_a_kill(self, which: int, name: str, *possible: bytes | None) -> None:
        """Another process comes: it finds one of these, and that is what is there from now on."""
        self.records[which] = Record.at(self.folder, self.records[which].config_hash)
        found = self.found(which, name)
        assert found in possible
        self.last[which][name] = found

    @rule(which=st.sampled_from([0, 1]), name=NAMES, content=CONTENTS)
    def write(self, which: int, name: str, content: bytes) -> None:
        self.records[which].write(name, content)
        self.last[which][name] = content

    @rule(which=st.sampled_from([0, 1]), name=NAMES, content=CONTENTS, kill=KILLS)
    def write_and_be_killed(self, which: int, name: str, content: bytes, kill: tuple[int, bool]) -> None:
        before = self.found(which, name)
        with killed_at(kill[0], after=kill[1]):
            self.records[which].write(name, content)
        self.after_a_kill(which, name, before, content)

    @rule(which=st.sampled_from([0, 1]), name=NAMES)
    def remove(self, which: int, name: str) -> None:
        self.records[which].remove(name)
        self.last[which][name] = None
        assert not (self.records[which].path / name).exists()

    @rule(which=st.sampled_from([0, 1]), name=NAMES, after=st.booleans())
    def remove_and_be_killed(self, which: int, name: str, after: bool) -> None:
        before = self.found(which, name)
        with killed_at(0, after=after):
            self.records[which].remove(name)
        self.after_a_kill(which, name, before, None)

    @rule(which=st.sampled_from([0, 1]), name=NAMES)
    def take(self, which: int, name: str) -> None:
        other = self.found(1 - which, name)
        if other is None:
            with pytest.raises(DamagedFileError):
                self.records[which].take(self.records[1 - which], [name])
            return
        self.records[which].take(self.records[1 - which], [name])
        self.last[which][name] = other

    @rule(which=st.sampled_from([0, 1]), name=NAMES, after=st.booleans())
    def take_and_be_killed(self, which: int, name: str, after: bool) -> None:
        before, other = self.found(which, name), self.found(1 - which, name)
        if other is not None:
            with killed_at(0, after=after):
                self.records[which].take(self.records[1 - which], [name])
            self.after_a_kill(which, name, before, other, None)

    @rule(which=st.sampled_from([0, 1]))
    def come_again(self, which: int) -> None:
        with Record.at(self.folder, self.records[which].config_hash).lock() as held:
            assert held
        self.records[which].reload()

    @rule(which=st.sampled_from([0, 1]), name=NAMES)
    def leave_a_temporary_file(self, which: int, name: str) -> None:
        file = (self.records[which].path / name).parent / ".left.1234.tmp"
        if file.parent.is_dir():
            file.write_bytes(b"half")
            with self.records[which].lock():
                assert not file.exists()

    @rule(which=st.sampled_from([0, 1]), name=NAMES, data=st.data())
    def flip_a_byte(self, which: int, name: str, data: st.DataObject) -> None:
        file = self.records[which].path / name
        if file.is_file() and (content := bytearray(file.read_bytes())):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
            file.write_bytes(content)  # in place: of every name that the bytes have

    @rule(which=st.sampled_from([0, 1]), name=st.sampled_from([MANIFEST, COPY]), data=st.data())
    def flip_a_byte_of_a_manifest(self, which: int, name: str, data: st.DataObject) -> None:
        """Where both are damaged, what they listed may be missing from then on; nothing else is read."""
        file = self.records[which].path / name
        if not file.is_file():
            return
        content = bytearray(file.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        self.records[which].reload()
        for name in self.last[which]:
            if self.found(which, name) is None:
                self.last[which][name] = None

    @rule(which=st.sampled_from([0, 1]))
    def discard(self, which: int) -> None:
        self.records[which].discard()
        self.last[which].clear()
        assert not self.records[which].path.exists()

    @invariant()
    def what_is_read_was_written_last(self) -> None:
        for which, record in enumerate(self.records):
            for own in (record, Record.at(self.folder, record.config_hash)):
                for name, wanted in self.last[which].items():
                    whole = self.is_whole(which, name)
                    assert own.holds(name) == whole, (name, wanted)
                    if whole:
                        assert own.read(name) == wanted
                    else:
                        with pytest.raises(DamagedFileError, match=record.config_hash):
                            own.read(name)


def test_a_record_gives_what_was_written_last_or_nothing():
    run_state_machine_as_test(RecordMachine, settings=settings(FIXED, stateful_step_count=30))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Record:
    record = Record.at(tmp_path_factory.mktemp("outputs"), "abc")
    record.create({"name": "a · b", "tags": {}, "members": ["x"]})
    record.set_state(State.RUNNING)
    record.log({"train/loss": math.inf, "test/loss": 0.5})
    record.write("landscapes/λ.npz", bytes(range(256)))
    return record


@settings(FIXED, max_examples=300)
@given(st.data())
def test_a_byte_changed_anywhere_is_noticed(whole, data):
    """In a file: that file is missing. In a manifest: nothing is, as the other one says the same."""
    names = [*whole.files(), MANIFEST, COPY]
    name = data.draw(st.sampled_from(names), "file")
    before = {own: whole.read(own) for own in whole.files()}
    file = whole.path / name
    content = file.read_bytes()
    at, change = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    damaged = bytearray(content)
    damaged[at] ^= change
    try:
        file.write_bytes(damaged)
        again = Record.at(whole.output_dir, "abc")
        read = {own: again.read(own) for own in {*before, *again.files()} if again.holds(own)}
    finally:
        file.write_bytes(content)
    assert read.items() <= before.items()
    assert before.keys() - read.keys() == ({name} - {MANIFEST, COPY})


KEYS = st.sampled_from(["train/loss", "λ/train/Größe", "a b", "contour/test/basin_width", "|`$"])
VALUES = st.one_of(st.floats(), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.8e308]))
POINTS = st.builds(MetricPoint, KEYS, VALUES, st.integers(0, 4), st.integers(0, 2**45))


@FIXED
@given(st.lists(st.lists(POINTS, max_size=5), max_size=6), st.booleans())
def test_a_metric_keeps_its_last_value_and_the_time_of_the_first(batches, reopened):
    with tempfile.TemporaryDirectory() as folder:
        record = Record.at(folder, "abc")
        wanted: dict[tuple[str, int], tuple[float, int]] = {}
        for batch in batches:
            record.keep(batch)
            for point in batch:
                first = wanted.get((point.key, point.step), (0.0, point.timestamp))[1]
                wanted[point.key, point.step] = (point.value, first)
            if reopened:
                record = Record.at(folder, "abc")
        found = record.metrics()
        assert len(found) == len(wanted)
        for point in found:
            value, timestamp = wanted[point.key, point.step]
            assert (repr(point.value), point.timestamp) == (repr(value), timestamp)
        latest = {key: max(step for name, step in wanted if name == key) for key, _step in wanted}
        assert {key: repr(value) for key, value in record.latest().items()} == {
            key: repr(wanted[key, step][0]) for key, step in latest.items()
        }
        order = [(point.key, point.step) for point in found]
        assert order == sorted(order, key=lambda each: ([*latest].index(each[0]), each[1]))


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
TREES = st.recursive(
    LEAVES | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@FIXED
@given(TREES)
def test_json_comes_back_as_it_was(content):
    with tempfile.TemporaryDirectory() as folder:
        Record.at(folder, "abc").write_json("deep/est/a.json", content)
        assert Record.at(folder, "abc").read_json("deep/est/a.json") == content


@FIXED
@given(st.lists(st.sampled_from(State), min_size=1, max_size=6))
def test_a_record_keeps_the_time_of_its_first_start_and_its_last_state(states):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for hour, state in enumerate(states):
            patch.setattr(record_module, "now", lambda hour=hour: hour)
            Record.at(folder, "abc").set_state(state, message=f"θ {hour}")
            kept = Record.at(folder, "abc").read_json("state.json")
            ended = None if state is State.RUNNING else hour
            assert kept == {"state": state, "started": 0, "ended": ended, "tags": {"message": f"θ {hour}"}}
            assert Record.at(folder, "abc").state is state
