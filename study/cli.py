"""The command line. A bare first word is a subcommand; anything else is Hydra's."""

import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from study import __version__
from study.commands import COMMANDS, run_sweep
from study.credentials import handed_over, hidden
from study.errors import INTERRUPTED, interrupt, refuse
from study.garbage import leave_garbage_at_exit, loading
from study.landscape.allocator import keep_freed_memory
from study.paths import default_output_dir, root

if TYPE_CHECKING:
    from omegaconf import DictConfig

UNREAD = 141  # exit status: nobody reads what is printed

HELP = """\
study: train a network, map its loss landscape, compare the runs in MLflow

  study [KEY=VALUE ...]       one run: train, map, log
  study -m KEY=A,B [...]      a sweep: a run for every combination, and their comparison
  study reproduce NAME        a ready-made study, as a sweep; --list shows them
  study compare RUN RUN ...   the comparison of any finished runs
  study export RUN --to F DIR a run's landscapes for ParaView, spreadsheets, xarray, NumPy
  study figures RUN DIR       the figures of a run or a sweep for a paper: PDF, SVG, PNG, captions beside
  study show [SECTION ...]    the resolved configuration, each key with its meaning
  study ui [--port N]         the MLflow UI on the store of output_dir, on 127.0.0.1
  study sync                  upload what MLflow has not got yet

Examples:
  study data=mnist training.batch_size=256 landscape=[interpolation,contour]
  study checkpoint=RUN landscape=[contour] landscape.contour.normalization=none
  study -m training.batch_size=64,256 seed=0,1,2 hydra/launcher=joblib hydra.launcher.n_jobs=2
  study reproduce batch_size

Choices of the configuration groups (GROUP=CHOICE):
{groups}

Ready-made studies (study reproduce NAME): {sweeps}

Results go to {output_dir} (output_dir=FOLDER, or the variable STUDY_OUTPUT_DIR).
Each command has its own --help.
Hydra's own flags work too, as --cfg job and --info.
"""


def main() -> None:
    """Run the command line, and exit with its status."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # how its retries ended is said once, by others
    arguments = [
        handed_over(word) if word.startswith("tracking.uri=") and "${" not in word else word
        for word in sys.argv[1:]
    ]
    first = arguments[0] if arguments else ""
    bare = first and first[0] not in "-+~" and "=" not in first
    if bare and first not in COMMANDS:
        refuse(f"{first!r} is no command: must be one of {', '.join(COMMANDS)}, or KEY=VALUE")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, interrupt)
    keep_freed_memory()
    leave_garbage_at_exit()
    try:
        if bare:
            COMMANDS[first](arguments[1:])
        elif any(flag in arguments for flag in ("--help", "-h", "--hydra-help")):
            print(help_text(), end="")
        elif "--version" in arguments:
            print(f"study {__version__}")
        else:
            status = run_jobs(arguments)
            sys.stdout.flush()
            sys.exit(status)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # as under `| head`: nobody reads on, nor is there anybody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)


def help_text() -> str:
    """The page of `study --help`, from the folders of the configuration; nothing heavy is imported."""
    conf = root() / "conf"
    folders = sorted(folder for folder in conf.rglob("*") if folder.is_dir())
    groups = "\n".join(f"  {folder.relative_to(conf)!s:<18} {_choices(folder)}" for folder in folders)
    sweeps = _choices(root() / "sweeps")
    return HELP.format(groups=groups, sweeps=sweeps, output_dir=default_output_dir())


def run_jobs(arguments: Sequence[str]) -> int:
    """Run one job, or those of a multirun. Returns the exit status."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its refusals instead of printing them
    with loading():
        import hydra

        # Hydra has no public door to its flags, and answers a wrong one with its whole usage.
        from hydra._internal.utils import get_args_parser

        from study.closing import print_run
        from study.doors import check_overrides
        from study.job import run_job
        from study.multirun import is_multirun
        from study.refusals import refusing
        from study.resolve import CONFIG_NAME, prepare_hydra

    flags = get_args_parser()
    flags.error = refuse  # type: ignore[method-assign, assignment]  # in one line, without the usage
    asked = flags.parse_args(arguments)
    if asked.resolve and not asked.cfg:
        refuse("--resolve must come with --cfg, got it alone")
    if asked.config_path or asked.config_dir or asked.config_name:
        refuse("a configuration is made by overrides and hydra.searchpath, got --config-path, -dir or -name")
    shows = asked.cfg or asked.info or asked.shell_completion
    with refusing(asked.overrides):
        check_overrides(asked.overrides)
        if not shows and (asked.multirun or is_multirun(asked.overrides)):
            return run_sweep(asked.overrides)
    statuses: list[int] = []

    def job(config: "DictConfig") -> None:
        status, outcome = run_job(config)
        statuses.append(status)
        if outcome is not None:
            print_run(outcome)

    start = hydra.main(version_base="1.3", config_path=str(prepare_hydra()), config_name=CONFIG_NAME)(job)
    sys.argv = ["study", *arguments]
    shown = io.StringIO()
    with refusing(arguments), redirect_stdout(shown) if shows else nullcontext():
        start()
    print(hidden(shown.getvalue()), end="")  # a file of the configuration may hold credentials, too
    return max(statuses, default=0)


def _choices(folder: Path) -> str:
    return ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
