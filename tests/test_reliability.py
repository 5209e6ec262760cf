"""The page of what is promised: its numbers are those that were counted, and nothing went wrong there."""

import json
from pathlib import Path

import pytest

from tests import reliability


def test_the_page_has_the_numbers_of_the_results_that_are_kept():
    page = reliability.PAGE.read_text()
    assert reliability.written(page) == page


def test_what_went_wrong_in_the_kept_results_is_said():
    faults = json.loads((reliability.KEPT / reliability.FAULTS).read_bytes())
    page = reliability.PAGE.read_text()
    assert all(f"(*{kind}*)" in page for kind in faults["wrong"])
    assert sum(faults["cases"].values()) >= 200
    load = json.loads((reliability.KEPT / reliability.LOAD).read_bytes())
    assert [own["name"] for own in load["figures"] if not own["ok"]] == []


@pytest.mark.parametrize("name", reliability.TESTED)
def test_what_is_counted_is_there(name: str):
    for path in reliability.TESTED[name]:
        file, _, test = path.partition("::")
        found = reliability.ROOT / file
        assert found.exists()
        assert f"def {test}" in found.read_text() if test else True


def test_a_result_is_counted_by_its_kinds():
    found = {"cases": {"killed before a change": 3, "a file of points emptied": 2}, "wrong": {}}
    counts = reliability.of_faults({**found, "changes": 9, "kinds_of_change": 4, "seconds": 7})
    assert (counts["kills"], counts["damaged"], counts["faults"]) == (3, 2, 5)
    assert counts["faults_wrong"] == 0


def test_tests_that_passed_are_counted_by_their_files_and_names(tmp_path: Path):
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite>"
        "<testcase file='tests/security/test_a.py' name='test_one'/>"
        "<testcase file='tests/security/test_a.py' name='test_two'><failure/></testcase>"
        "<testcase file='tests/landscape/test_executors.py' name='test_a_worker_that_dies_is_replaced[2]'/>"
        "<testcase file='tests/landscape/test_executors.py' name='test_another'/>"
        "</testsuite></testsuites>"
    )
    printed = (
        "tests/properties/test_p.py::test_p:\n\n    - 60 passing, 0 failing, and 8 invalid test cases\n\n"
        "tests/landscape/test_q.py::test_q:\n\n    - 30 passing, 0 failing, and 0 invalid test cases\n"
    )
    counts, failed = reliability.counted(report, printed)
    assert (counts["security"], counts["workers"], counts["examples"], failed) == (1, 1, 60, 1)


def test_numbers_are_put_between_their_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reliability, "KEPT", tmp_path)
    figure = {"name": "a", "value": 1234.5, "unit": "s", "limit": None, "processor": 2.0, "ok": True}
    (tmp_path / "load.json").write_text(json.dumps({"figures": [figure]}))
    (tmp_path / "counts.json").write_text(json.dumps({"security": 1234}))
    empty = {"cases": {}, "wrong": {}, "changes": 0, "kinds_of_change": 0, "seconds": 0}
    (tmp_path / "faults.json").write_text(json.dumps(empty))
    page = f"<!--security-->0<!--/--> tests\n{reliability.BEGIN}\nold\n{reliability.END}\n"
    found = reliability.written(page)
    assert "<!--security-->1,234<!--/--> tests" in found
    assert "| a | 1,234 s | 2.0 s |  |" in found
    assert "old" not in found
