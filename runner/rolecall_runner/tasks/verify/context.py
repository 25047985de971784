"""What the roll call of one target is given: who calls, with what, and what was agreed with every customer."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rolecall_generator.iam.access import Access
from rolecall_runner.clients import Clients, SigningCredentials
from rolecall_runner.credentials import Assumer, Clock, Sessions, utc_now
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.spec import VerifySpec


class Memory:
    """What is asked once for all targets of a run: does another customer's role let us in? Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, ...], bool] = {}

    def once(self, key: tuple[str, ...], ask: Callable[[], bool | None]) -> bool | None:
        """The answer kept under the key, else that of `ask`; None (not known this time) is not kept."""
        with self._lock:
            known = self._answers.get(key)
        if known is not None:
            return known
        answer = ask()  # outside the lock: it takes a call to AWS; two threads may ask the same at once, which harms nobody
        if answer is not None:
            with self._lock:
                self._answers.setdefault(key, answer)
        return answer

    def __reduce__(self) -> tuple[type[Memory], tuple[()]]:
        return Memory, ()  # another process begins with an empty one


@dataclass(frozen=True, slots=True)
class Earlier:
    """A module that was verified or handed over before the newest one, as a snapshot (see `snapshot`).

    `gone`: a roll call has shown since that the customer does not have it any more; what it granted is probed all the same.
    """

    access: Access
    gone: bool = False


Key = tuple[str, str]
"""Kind and name of a target."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of targets from before, by kind and name: earlier modules, and how each customer applies them."""

    earlier: Mapping[Key, tuple[Earlier, ...]] = field(default_factory=dict)
    forms: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifyContext:
    """All that `verify` needs beside the target. Shared by all threads of a process.

    `clock` is the time of day, `ticks` seconds that only grow; `sleep` takes seconds; `random` draws evenly from 0 to 1.
    `external_ids`: the current external id of every customer, by customer's name.
    `intended`: the agreed Access by role ARN: for a customer its own module's, for a switch role both accounts'.
    `written`: the same as parsed from the modules in output/; empty where none are written.
    `backend`: Access of the backend module as written, else as planned; None: not known.
    `backend_roles`: the roles that carry the manifest's customers, by ARN: the caller may be one of several.
    `witnesses`: a few customers whose roles are assumed to tell our own side's trouble from one customer's.
    `without_external_id`: customers of whom the manifest suppresses RC103, by name, with its reason.
    `readers`: credentials that may read IAM on the sides of switch roles, by account id.
    `history`: earlier modules of the targets, and how their customers apply them.
    `second_caller`: another principal of the backend's account, no backend role of these customers; None: there is none.
    """

    assumer: Assumer
    sessions: Sessions
    clients: Clients
    clock: Clock = utc_now
    ticks: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    random: Callable[[], float] = random.random
    external_ids: Mapping[str, str] = field(default_factory=dict)
    intended: Mapping[str, Access] = field(default_factory=dict)
    written: Mapping[str, Access] = field(default_factory=dict)
    backend: Access | None = None
    witnesses: Sequence[Target] = ()
    backend_roles: frozenset[str] = frozenset()
    without_external_id: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, SigningCredentials] = field(default_factory=dict, repr=False)
    second_caller: Assumer | None = None
    history: History = field(default_factory=History)
    options: VerifySpec = field(default_factory=VerifySpec)
    memory: Memory = field(default_factory=Memory)

    @property
    def rehearsal(self) -> bool:
        """Whether a sandbox answers instead of AWS."""
        return self.assumer.caller.rehearsal or self.clients.rehearsal

    def earlier(self, target: Target) -> tuple[Earlier, ...]:
        """The target's earlier modules."""
        return self.history.earlier.get((str(target.kind), target.name), ())

    @staticmethod
    def drawn(target: Target, *what: str) -> int:
        """A number for samples of one target: the same in every run, so that a later run sees what an earlier one saw."""
        text = "\0".join((str(target.kind), target.role_arn, *what))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def another_external_id(self, target: Target) -> str | None:
        """One other customer's external id, the same in every run of a manifest; None where no other customer has one.

        Never the target's own or previous one, which it accepts by right.
        """
        names = tuple(self.external_ids)
        own = {target.external_id, target.previous_external_id}
        start = self.drawn(target, "another external id") if names else 0
        for step in range(len(names)):
            found = self.external_ids[names[(start + step) % len(names)]]
            if found not in own:
                return found
        return None
