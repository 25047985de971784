"""moto over HTTP on loopback, for Terraform."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rolecall_runner.sandbox.protocol.aws_protocol import HttpReply, HttpRequest


@contextmanager
def moto_server() -> Iterator[str]:
    """Serve moto with AWS's managed policies on a free port; yields its URL.

    With the HTTP server of the sandbox, since that of moto closes the connection after each reply, which Go's HTTP client
    does not always survive.
    """
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - moto reads the variable when imported
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.test import run_wsgi_app  # noqa: PLC0415

    from rolecall_runner.sandbox.server.listener import Listener, SentReply  # noqa: PLC0415
    from rolecall_runner.sandbox.server.server import to_moto  # noqa: PLC0415

    app = DomainDispatcherApplication(create_backend_app)

    def answer(request: HttpRequest) -> SentReply:
        body, status, headers = run_wsgi_app(app, to_moto(request).environ, buffered=True)
        return SentReply(HttpReply(int(status.split()[0]), tuple(headers.items()), b"".join(body)))

    def reject(line: str) -> None:
        raise AssertionError(line)

    listener = Listener(0, answer, lambda _seconds: None, reject)
    listener.start()
    try:
        yield f"http://127.0.0.1:{listener.port}"
    finally:
        listener.stop()


def empty_iam() -> None:
    """Remove all that IAM contains, in all accounts.

    moto's own reset makes each account anew first, with a thousand managed policies.
    """
    from moto.backends import get_backend  # noqa: PLC0415

    get_backend("iam").clear()
