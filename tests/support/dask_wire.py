"""A Dask cluster as deployed, with separate programs, behind a relay that records all traffic of the scheduler."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOTS = (TESTS.parent / "generator", TESTS.parent / "runner", TESTS, TESTS / "support")
_PLAIN = {"DASK_DISTRIBUTED__COMM__COMPRESSION": "null"}  # compressed traffic could not be searched


@dataclass
class Relay:
    """Forwards TCP connections to a local port and records both directions of each."""

    port: int
    target: int
    heard: list[bytearray] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                ours, _ = listening.accept()
            except OSError:
                return
            theirs = socket.create_connection(("127.0.0.1", self.target))
            self._sockets += [ours, theirs]
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        heard = bytearray()
        self.heard.append(heard)
        with suppress(OSError):
            while data := source.recv(65_536):
                heard += data
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for each in self._sockets:
            each.close()


@contextmanager
def relay_to(target: int) -> Iterator[Relay]:
    """A relay on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        relay = Relay(listening.getsockname()[1], target)
        threading.Thread(target=relay.serve, args=(listening,), daemon=True).start()
        yield relay
        listening.shutdown(socket.SHUT_RDWR)
        relay.close()


@contextmanager
def deployed(workers: int, environment: Mapping[str, str], log: Path) -> Iterator[Relay]:
    """A scheduler and workers, only these with the given environment; all connect to the scheduler through the relay."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        _program(stack, output.fileno(), {}, "scheduler", "--host", "127.0.0.1", "--port", str(port))
        _wait_for(port)
        relay = stack.enter_context(relay_to(port))
        for number in range(workers):
            address = f"tcp://127.0.0.1:{relay.port}"
            options = ("--nthreads", "2", "--host", "127.0.0.1", "--no-nanny", "--name", f"w{number}")
            _program(stack, output.fileno(), environment, "worker", address, *options)
        yield relay


def _program(stack: ExitStack, output: int, environment: Mapping[str, str], name: str, *arguments: str) -> None:
    bare = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    path = {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *arguments, "--dashboard-address", "127.0.0.1:0"]
    running = subprocess.Popen(command, env=bare | path | _PLAIN | dict(environment), stdout=output, stderr=output)
    stack.callback(running.wait)
    stack.callback(running.kill)


def _wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        threading.Event().wait(0.1)
    raise AssertionError("the scheduler did not begin to listen")
