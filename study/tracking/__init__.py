"""Mirrors of records. MLflow reads the variables below while it is imported: they are there before it is."""

import os

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nobody's studies are anybody else's business
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""What holds unless the user has said otherwise."""

for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)
