"""Several processes at once on one fresh store."""

import pytest

from benchmarks import crowd as crowd_module


@pytest.mark.process
def test_nothing_is_lost_where_processes_work_on_one_store_at_once(tmp_path):
    found = crowd_module._at_once("four", tmp_path, [0, 0, 1, 2])
    (lost,) = (own.value for own in found if "lost" in own.name)
    assert lost == 0
