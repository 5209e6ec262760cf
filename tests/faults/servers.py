"""A real MLflow server, and what stands between it and a run: a network that loses, delays and refuses."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Fate = Callable[[int], str]
"""What becomes of a request, by its number: `passed`, `refused` (500), `late`, `dropped`, or `unanswered`:
the server does what it is asked, and nobody hears of it."""

LATE = 0.3  # seconds


class Network(ThreadingHTTPServer):
    """A server that passes requests on to another, as long as `fate` says so.

    Attributes:
        asked: how many requests came.
        fate: of each of them.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.behind = port
        self.asked = 0
        self.fate: Fate = lambda _number: "passed"
        self.counting = threading.Lock()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Network

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.counting:
            number, self.server.asked = self.server.asked, self.server.asked + 1
        fate = self.server.fate(number)
        if fate == "dropped":
            self._hang_up()
            return
        if fate == "refused":
            self._send(500, [("Content-Type", "text/plain")], b"no luck")
            return
        if fate == "late":
            time.sleep(LATE)
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)) as behind:
            behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "host":
                    behind.putheader(name, value)
            behind.putheader("Host", f"127.0.0.1:{self.server.behind}")
            behind.endheaders(body)
            answer = behind.getresponse()
            content = answer.read()
        if fate == "unanswered":
            self._hang_up()
            return
        kept = [own for own in answer.getheaders() if own[0].lower() not in {"content-length", "connection"}]
        self._send(answer.status, kept, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  # as its base class calls them

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() != "transfer-encoding":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    """An MLflow server with its store and artifacts in a folder; its port."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **off}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_for(port, server, folder / "server.log")
            yield port
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@contextmanager
def network(port: int) -> Iterator[Network]:
    """A network before the server of that port."""
    between = Network(port)
    thread = threading.Thread(target=between.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield between
    finally:
        between.shutdown()
        between.server_close()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            try:
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                time.sleep(0.2)
    raise RuntimeError(f"no MLflow server: {log.read_text()[-2000:]}")
