"""Commands as processes away from the checkout, without what the environment says of `study`."""

import os
import subprocess
from pathlib import Path


def called(*command: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STUDY_")}
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env={**kept, **variables},
    )
