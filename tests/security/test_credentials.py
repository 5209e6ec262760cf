"""Credentials, of an address or of the environment, are in nothing that is printed, logged, kept or sent."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hydra.core.global_hydra import GlobalHydra

from study import cli, comparison_report
from study import train as train_module
from study.credentials import hidden
from study.errors import ConfigError

USER, PASSWORD = "us3r", "s3cret-p%40ss"
IN_ENVIRONMENT = ("MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "SOME_SECRET", "DATABASE_PASSWORD")


class Broken(BaseHTTPRequestHandler):
    """Answers every request with an error, and keeps what came besides the header that authorizes."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.requests.append(f"{self.path} {body!r}")
        self.server.authorized.append(self.headers.get("authorization", ""))
        self.send_error(500)

    do_POST = do_GET  # noqa: N815  # the name that the base class calls

    def log_message(self, *_words: object) -> None:
        """No line a request."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    broken = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    broken.requests, broken.authorized = [], []
    thread = threading.Thread(target=broken.serve_forever, daemon=True)
    thread.start()
    yield broken
    broken.shutdown()
    broken.server_close()
    thread.join()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in IN_ENVIRONMENT:
        monkeypatch.setenv(name, f"s3cret-{name}")
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "before")  # so that it is put back as it was
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


@pytest.fixture
def study(environment, monkeypatch, capfd, caplog, output_dir) -> Callable[..., str]:
    """Calls the command line in this process. All that it prints and logs, which has no secret."""
    for name in (None, "hydra"):  # as in a process of its own, whatever a test before has set
        caplog.set_level(logging.WARNING, name)
    monkeypatch.setattr(cli.signal, "signal", lambda *_handler: None)
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(cli, "leave_garbage_at_exit", lambda: None)

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["study", *arguments])
        try:
            cli.main()
        except SystemExit:
            pass
        finally:
            GlobalHydra.instance().clear()
        said = "".join([*capfd.readouterr(), caplog.text])
        assert_silent(said)
        for file in output_dir.rglob("*"):
            if file.is_file():
                assert_silent(f"{file.name} {file.read_bytes()!r}")
        return said

    return call


def assert_silent(words: str) -> None:
    for secret in (USER, "s3cret", "p@ss"):
        assert secret not in words, words


def address(server: ThreadingHTTPServer) -> str:
    return f"tracking.uri=http://{USER}:{PASSWORD}@127.0.0.1:{server.server_port}"


def test_a_sweep_whose_server_fails_keeps_nothing_of_its_credentials(
    study, server, arguments, plain_pictures, output_dir, monkeypatch
):
    monkeypatch.setattr(comparison_report, "render", lambda _figure, format: f"a {format}".encode())
    monkeypatch.setattr(comparison_report, "smaller", lambda picture: picture)
    words = [own for own in arguments() if not own.startswith("tracking")]
    said = study("-m", *words, "tracking=server", address(server), "seed=0,1")
    assert "cannot be reached" in said
    assert len([*output_dir.glob("sweeps/*/run.json")]) == 1
    assert len([*output_dir.glob("runs/*/report.md")]) == 2
    assert server.authorized
    assert all(own.startswith("Basic ") for own in server.authorized)  # the server itself was told
    assert_silent("".join(server.requests))


def test_a_run_that_fails_keeps_a_traceback_without_them(
    study, server, arguments, plain_pictures, output_dir, monkeypatch
):
    def fail(*_rest: object, **_settings: object) -> None:
        raise RuntimeError(f"no answer of http://{USER}:{PASSWORD}@host/path")

    monkeypatch.setattr(train_module, "train", fail)
    words = [own for own in arguments() if not own.startswith("tracking")]
    assert "no answer of http://host/path" in study(*words, "tracking=server", address(server))
    (error,) = output_dir.glob("runs/*/error.txt")
    assert "no answer of http://host/path" in error.read_text()
    assert "failed" in study("sync", "tracking=server", address(server))


def test_showing_a_configuration_does_not_show_them(study, server, tmp_path):
    """Neither those of the command line, nor those that somebody wrote into a study's file."""
    for command in (["show"], ["--cfg", "job"], ["--cfg", "all"]):
        assert f"127.0.0.1:{server.server_port}" in study(*command, "tracking=server", address(server))
    file = tmp_path / "own" / "sweeps" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "# @package _global_\ndefaults:\n  - override /tracking: server\n"
        f"tracking:\n  uri: http://{USER}:{PASSWORD}@127.0.0.1\n"
    )
    for command in (["show"], ["--cfg", "job"]):
        assert "127.0.0.1" in study(*command, f"hydra.searchpath=[file://{file.parents[1]}]", "+sweeps=mine")


@pytest.mark.parametrize(
    "words",
    [
        ["tracking=server", f"tracking.uri=http://{USER}:s3cret@[bad"],
        ["tracking=server", f"tracking.uri='http://{USER}:s3cret@[bad'"],
        ["tracking=server", f"tracking.uri=ftp://{USER}:s3cret@host"],
        ["tracking=server", f"tracking.uri={USER}:s3cret@host"],
        ["tracking=server", f"tracking.uri=http://{USER}:s3cret@host,other"],
        ["tracking=server", "tracking.uri='http://host?token=s3cret'"],
        ["tracking=server", "tracking.uri='http://host#s3cret'"],
        [f"+tracking.url=http://{USER}:s3cret@host"],
        [f"trackin.uri=http://{USER}:s3cret@host"],
        ["-m", "tracking=server", f"tracking.uri=http://{USER}:s3cret@host", "training.batch_size=0,1"],
        ["tracking=server", f"tracking.uri=http://{USER}:s3cret@host", "hydra.output_subdir=.hydra"],
    ],
)
def test_a_refusal_does_not_repeat_them(study, words):
    assert study(*words).startswith("study: ")


def test_an_address_is_shown_without_them():
    for uri in ("http://a:b@host:80/x", "http://a@host:80/x", "http://a:b@c@host:80/x"):
        assert hidden(uri) == "http://host:80/x"
    plain = "see http://host:80/x, file:///home/me@work and me@host"
    assert hidden(plain) == plain
    assert str(ConfigError("k", "must be v", "http://a:b@host")) == "k must be v, got 'http://host'"
