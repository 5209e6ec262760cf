"""Where the configuration lies, and where results go unless told otherwise."""

from pathlib import Path

OUTPUT_DIR_VARIABLE = "STUDY_OUTPUT_DIR"


def root() -> Path:
    """The folder that holds `conf` and `sweeps`: the package itself in a wheel, the checkout otherwise."""
    package = Path(__file__).resolve().parent
    return package if (package / "conf").is_dir() else package.parent


def default_output_dir() -> Path:
    """`outputs` of the checkout, or of the working directory for an installed wheel."""
    here = root()
    return (here if (here / "pyproject.toml").is_file() else Path.cwd()) / "outputs"
