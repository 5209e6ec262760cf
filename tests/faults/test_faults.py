"""A few cases of the fault harness; `make faults` tries hundreds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.process
@pytest.mark.timeout(1200)
def test_a_sweep_that_is_killed_or_damaged_comes_out_as_if_nothing_had_happened(tmp_path: Path):
    result = tmp_path / "result.json"
    words = ["--cases", "8", "--at-once", "1", "--cold", "0", "--seed", "11", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *words, "--json", str(result)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("STUDY_", "HYDRA_"))},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(result.read_text())
    assert found["wrong"] == {}
    assert sum(found["cases"].values()) == 9
    assert len(found["cases"]) >= 6  # kinds of fault
    assert found["kinds_of_change"] > 150
