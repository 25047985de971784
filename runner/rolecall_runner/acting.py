"""Who a command acts as: the usual AWS chain, or the backend role of a sandbox that lives as long as the command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rolecall_generator.errors import SelectionError

Bar = tuple[Callable[[int], None], Callable[[int], None]]


@contextmanager
def acting(manifest: Path, out: Path, *, sandbox: bool, faults: str, bar: Bar, role: str | None = None) -> Iterator[str]:
    """Inside, the environment is the sandbox's when `sandbox` is true; gives a sentence that says where one acts.

    The environment is what processes of the engine inherit too. Raises SandboxError, SelectionError for faults
    without a sandbox, and what a manifest raises.
    """
    if faults and not sandbox:
        raise SelectionError("faults are made in a sandbox alone", where="--faults", mend="add --sandbox, or leave it out")
    if role is not None and not sandbox:
        raise SelectionError("AWS says who you are", where="--as", mend="add --sandbox, or use --profile")
    if not sandbox:
        yield "in AWS"
        return
    from rolecall_runner.sandbox.embedded import embedded  # noqa: PLC0415 - moto loads only where needed
    from rolecall_runner.sandbox.furnish import environment_of  # noqa: PLC0415 - as above
    from rolecall_runner.sandbox.operator_secret import OPERATOR_VARIABLE  # noqa: PLC0415 - as above

    started, progress = bar
    with embedded(manifest, out, acting=role, faults=faults, started=started, progress=progress) as world:
        before = dict(os.environ)
        for key in [key for key in before if key.startswith("AWS_")]:
            del os.environ[key]
        os.environ.update(environment_of(world.sandbox, world.backend))
        os.environ[OPERATOR_VARIABLE] = world.sandbox.operator_credentials().secret
        try:
            yield f"in a sandbox, {world.how}"
        finally:
            os.environ.clear()
            os.environ.update(before)
