"""What MLflow reads from the environment while it is imported, unless the user has said otherwise."""

import os

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nobody's studies are anybody else's business
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def set_defaults() -> None:
    """Set what is not set."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
