"""User and password of a server's address: told to MLflow's client alone, and in nothing shown or kept."""

import os
import re
from urllib.parse import unquote

_WITHIN = re.compile(r"(?<=://)([^\s/'\"]*)@")


def hidden(text: str) -> str:
    """Words as they may be shown and kept: addresses in them without user and password."""
    return _WITHIN.sub("", text)


def handed_over(address: str) -> str:
    """An address without user and password, which go to the variables where MLflow's client looks for them.

    So no record, no page, no message of the client's own and no process of a launcher is told them.
    """
    if (found := _WITHIN.search(address)) is not None:
        user, _, password = found[1].partition(":")
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
    return hidden(address)
