"""The real AWS CLI, started once and forked for each command, because starting it takes longer than the command.

Run as `python aws_cli_server.py SOCKET`. A client sends a JSON line with arguments, environment and folder, and its three
standard streams; it receives the exit code as one byte.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any

from awscli.clidriver import create_clidriver

CLIENT = """#!{python} -IS
import json, os, socket, sys
line = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode() + b"\\n"
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(line)
    sys.exit(server.recv(1)[0])
"""
"""The program on PATH as `aws`."""


def serve(path: str) -> None:
    """Serve until killed."""
    driver = _warm_driver()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(connection, driver)
            connection.close()


def _warm_driver() -> Any:
    """A driver without requests so far, with models, endpoint rules and modules already loaded."""
    used, fresh = create_clidriver(), create_clidriver()
    os.environ |= {"AWS_ACCESS_KEY_ID": "-", "AWS_SECRET_ACCESS_KEY": "-", "AWS_MAX_ATTEMPTS": "1"}
    for service, *command in (("sts", "get-caller-identity"), ("iam", "get-role", "--role-name=x")):
        # No server is on this port: the command runs until it connects.
        used.main([service, *command, "--endpoint-url=http://127.0.0.1:1", "--region=us-east-1"])
    fresh.session.register_component("data_loader", used.session.get_component("data_loader"))
    return fresh


def _answer(connection: socket.socket, driver: Any) -> None:
    """Run one command in its own process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 70
    try:
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as reader:
            arguments, environment, folder = json.loads(reader.readline())
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        try:
            code = driver.main(arguments)
        except SystemExit as end:  # --version
            code = int(end.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        connection.sendall(bytes([code & 255]))
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
