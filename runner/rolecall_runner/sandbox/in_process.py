"""A sandbox in this process for the duration of a command, seeded from a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.errors import SelectionError
from rolecall_generator.iam import PARTITIONS
from rolecall_runner.sandbox.protocol.faults import parse_faults
from rolecall_runner.sandbox.provisioning.seed import read_seed, seed
from rolecall_runner.sandbox.server.server import Sandbox
from rolecall_runner.sandbox.server.state_dir import Actor


@dataclass(frozen=True, slots=True)
class InProcessSandbox:
    """A running sandbox: the selected backend role, all actors, and a phrase with the source of its accounts."""

    sandbox: Sandbox = field(repr=False)
    backend: Actor
    actors: tuple[Actor, ...]
    how: str


@contextmanager
def in_process_sandbox(
    manifest: Path,
    out: Path,
    *,
    acting: str | None = None,
    faults: str = "",
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Iterator[InProcessSandbox]:
    """Run a sandbox with the accounts of a manifest. `acting` selects the backend role by name, by default the first.

    `faults` is a fault plan. Raises SelectionError without such a role, and the errors of `read_scenery`, `seed` and
    `parse_faults`.
    """
    plan = parse_faults(faults) if faults else None
    sandbox_seed = read_seed(manifest, out)
    region = PARTITIONS[sandbox_seed.found.loaded.manifest.partition].default_region
    with Sandbox(region=region, faults=plan, limits=sandbox_seed.limits) as sandbox:
        seeded = seed(sandbox, sandbox_seed, started=started, progress=progress)
        roles = [actor for actor in seeded.actors if actor.kind == "role"]
        chosen = [actor for actor in roles if acting in (None, actor.name)]
        if not chosen:
            names = ", ".join(actor.name for actor in roles)
            raise SelectionError(
                f"no backend role is named {acting}" if acting else "the manifest has no backend role",
                where=str(manifest),
                hint=f"use one of {names}" if names else "add customers and a backend to the manifest",
            )
        yield InProcessSandbox(sandbox, chosen[0], seeded.actors, sandbox_seed.how)
