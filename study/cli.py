"""The command line. A bare first word is a subcommand; anything else is Hydra's."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from study.paths import default_output_dir, root

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from study.run import Outcome

MISUSED, FAILED, INTERRUPTED = 2, 1, 130

HELP = """\
study: train a network, map its loss landscape, compare the runs in MLflow

  study [KEY=VALUE ...]       one run: train, map, log
  study -m KEY=A,B [...]      one run for every combination
  study show [KEY=VALUE ...]  the resolved configuration, each key with its meaning
  study ui [--port N]         the MLflow UI on the store of output_dir, on 127.0.0.1
  study sync                  upload what MLflow has not got yet

Examples:
  study data=mnist training.batch_size=256 landscape=[interpolation,contour]
  study checkpoint=RUN landscape=[contour] landscape.contour.normalization=none
  study +sweeps=batch_size

Choices of the configuration groups (GROUP=CHOICE):
{groups}

Ready-made sweeps (+sweeps=NAME): {sweeps}

Results go to {output_dir} (output_dir=FOLDER, or the variable STUDY_OUTPUT_DIR).
`study show --help`, `study ui --help` and `study sync --help` say more.
Hydra's own flags work too, as --cfg job and --info.
"""

SHOW_HELP = """\
study show [KEY=VALUE ...]: the resolved configuration, each key with its value, range and meaning
"""
UI_HELP = """\
study ui [--port N] [--host H] [output_dir=FOLDER]: the MLflow UI on the store of output_dir

  --port N   port to listen on (default 5000)
  --host H   address to listen on (default 127.0.0.1, this machine alone)
"""
SYNC_HELP = """\
study sync [KEY=VALUE ...]: upload every record of output_dir that MLflow has not got, or not whole

  output_dir=FOLDER, tracking=server tracking.uri=http://host:port   where from, and where to
"""


def main() -> None:
    """Run the command line, and exit with its status."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    arguments = sys.argv[1:]
    first = arguments[0] if arguments else ""
    bare = first and first[0] not in "-+~" and "=" not in first
    if bare and first not in COMMANDS:
        refuse(f"{first!r} is no command: must be one of {', '.join(COMMANDS)}, or KEY=VALUE")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    try:
        if bare:
            COMMANDS[first](arguments[1:])
        elif any(flag in arguments for flag in ("--help", "-h", "--hydra-help")):
            print(help_text(), end="")
        else:
            sys.exit(run_jobs(arguments))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


def help_text() -> str:
    """The page of `study --help`, from the folders of the configuration; nothing heavy is imported."""
    conf = root() / "conf"
    folders = sorted(folder for folder in conf.rglob("*") if folder.is_dir())
    groups = "\n".join(f"  {folder.relative_to(conf)!s:<18} {_choices(folder)}" for folder in folders)
    sweeps = _choices(root() / "sweeps")
    return HELP.format(groups=groups, sweeps=sweeps, output_dir=default_output_dir())


def run_jobs(arguments: Sequence[str]) -> int:
    """Run one job, or those of a multirun, through Hydra. Returns the exit status."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its refusals instead of printing them
    import hydra  # noqa: TID251  # one of the three modules that know Hydra
    from hydra._internal.utils import get_args_parser  # noqa: TID251

    from study.resolve import CONFIG_NAME, one_line, prepare_hydra

    flags = get_args_parser()
    flags.error = refuse  # type: ignore[method-assign, assignment]  # in one line, without the usage
    flags.parse_args(arguments)
    statuses: list[int] = []

    def job(config: "DictConfig") -> None:
        statuses.append(run_job(config))

    start = hydra.main(version_base="1.3", config_path=str(prepare_hydra()), config_name=CONFIG_NAME)(job)
    sys.argv = ["study", *arguments]
    try:
        start()
    except Exception as error:
        line = one_line(error, arguments)
        if line is None:
            raise
        refuse(line)
    return max(statuses, default=0)


def run_job(config: "DictConfig") -> int:
    """One job: check, then run. Returns the exit status: a mistake or a failed run is no exception here."""
    from hydra.core.hydra_config import HydraConfig  # noqa: TID251

    from study.errors import ConfigError
    from study.resolve import choices_of, typed, with_source
    from study.source import source_record

    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    choices = choices_of(dict(hydra_config.runtime.choices))
    try:
        resolved = typed(config)
        if resolved.checkpoint is not None:
            record = source_record(resolved.checkpoint, resolved.output_dir)
            if record is not None:
                resolved = typed(with_source(config, overrides, record))
                choices = record.read_json("run.json")["choices"]
    except ConfigError as error:
        print(f"study: {error}", file=sys.stderr)
        return MISUSED
    return _run_resolved(resolved, choices)


def _run_resolved(config: Any, choices: dict[str, str]) -> int:
    from study.prepare import prepare
    from study.run import run

    sys.path.insert(0, str(Path.cwd()))  # so that custom code beside the user is found
    try:
        prepared = prepare(config, choices)
    except (ValueError, OSError) as error:
        print(f"study: {' '.join(str(error).split())}", file=sys.stderr)
        return MISUSED
    try:
        outcome = run(prepared)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("the run failed")
        kept = prepared.record.path / "error.txt"
        print(f"study: the run failed ({error}); its traceback is {kept}", file=sys.stderr)
        return FAILED
    print_outcome(outcome)
    return 0


def print_outcome(outcome: "Outcome") -> None:
    """The closing table: what was reached, where the figures are, how to see more."""
    from study.report import closing_table

    record = outcome.record
    about, tags = record.read_json("run.json"), record.read_json("state.json")["tags"]
    done = "finished before; nothing was repeated" if outcome.reused else "finished"
    print(f"\n{about['name']}: {done}\n")
    rows = closing_table(record)
    width = max((len(key) for key, _value in rows), default=0)
    for key, value in rows:
        print(f"  {key:<{width}}  {value:.6g}")
    if "diverged" in tags:
        print(f"\nthe training diverged, and no landscape is drawn: {tags['diverged']}")
    figures = sorted(name for name in record.files() if name.endswith(".png"))
    if figures:
        print("\nfigures:")
    for name in figures:
        print(f"  {record.path / name}")
    print(f"\nall of it: {record.path}")
    if outcome.tracking is not None:
        print(f"mirrored to {outcome.tracking}; look with: study ui")


def show(arguments: Sequence[str]) -> None:
    """`study show`."""
    if _asks_help(arguments):
        print(SHOW_HELP, end="")
        return
    from study.keys import walk

    config = _resolved(arguments)
    for name, own, value in walk(config):
        if own is None or hasattr(value, "__dataclass_fields__") or name == "landscape":
            continue
        rule = own.metadata["rule"].words()
        print(f"{name}: {_yaml(value)}\n    {own.metadata['meaning']}{f' ({rule})' if rule else ''}")


def ui(arguments: Sequence[str]) -> None:
    """`study ui`: become the MLflow UI on the right store."""
    if _asks_help(arguments):
        print(UI_HELP, end="")
        return
    flags = {"--port": "5000", "--host": "127.0.0.1"}
    overrides = []
    remaining = list(arguments)
    while remaining:
        word = remaining.pop(0)
        if word in flags:
            if not remaining:
                refuse(f"{word} must be followed by a value, got nothing")
            flags[word] = remaining.pop(0)
        elif word.startswith("output_dir="):
            overrides.append(word)
        else:
            refuse(f"study ui takes --port, --host and output_dir=, got {word!r}")
    if not flags["--port"].isdecimal() or not 0 < int(flags["--port"]) < 65536:
        refuse(f"--port must be a number from 1 to 65535, got {flags['--port']!r}")
    output_dir = Path(_resolved(overrides).output_dir)
    if not (output_dir / "mlflow.db").is_file():
        refuse(f"output_dir must hold mlflow.db (run `study` first), got {str(output_dir)!r}")
    from study.tracking.mlflow_tracker import store_uri

    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store_uri(output_dir)]
    command += ["--host", flags["--host"], "--port", flags["--port"], "--workers", "1"]
    address = f"http://{flags['--host']}:{flags['--port']}"
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # eight processes that outlive it
    print(f"MLflow UI of {output_dir} on {address} (Ctrl-C ends it)", flush=True)
    os.execv(sys.executable, command)


def sync(arguments: Sequence[str]) -> None:
    """`study sync`: mirror every record; one whose process was killed is marked so."""
    if _asks_help(arguments):
        print(SYNC_HELP, end="")
        return
    from study.record import Record, State
    from study.run import make_tracker

    config = _resolved(arguments)
    tracker = make_tracker(config.tracking, config.output_dir)
    if tracker.address() is None:
        refuse("tracking must be local or server to upload to, got 'none'")
    mirrored, busy, failures = 0, 0, []
    for record in Record.all(config.output_dir):
        with record.lock(wait=False) as held:
            if not held:
                busy += 1
                continue
            if record.state is State.RUNNING:
                record.set_state(State.KILLED)
            try:
                mirrored += tracker.mirror(record)
            except Exception as error:  # whatever a store, a network or a client library may throw
                failures.append(
                    f"{record.config_hash} was not uploaded: {' '.join(str(error).split())[:300]}"
                )
    print(f"{mirrored} runs mirrored to {tracker.address()}, {busy} still running")
    if failures:
        refuse(f"{len(failures)} failed; the first: {failures[0]}")


def refuse(line: str) -> NoReturn:
    """Say in one line what is wrong, and exit."""
    print(f"study: {line}", file=sys.stderr)
    sys.exit(MISUSED)


def _resolved(overrides: Sequence[str]) -> Any:
    """The configuration that overrides give, or a refusal in one line."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    from study.resolve import composed, one_line, typed

    try:
        return typed(composed(overrides))
    except Exception as error:
        line = one_line(error, overrides)
        if line is None:
            raise
        refuse(line)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _choices(folder: Path) -> str:
    return ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))


def _asks_help(arguments: Sequence[str]) -> bool:
    return any(flag in arguments for flag in ("--help", "-h"))


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"show": show, "ui": ui, "sync": sync}
