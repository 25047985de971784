"""A customer whose role appears and disappears in a sandbox, and an onboarding runtime with a clock and scripted pauses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rolecall_generator.generate import generate
from rolecall_runner.execution.interface import Runtime
from rolecall_runner.sandbox.provisioning.provision import AdminClient
from rolecall_runner.sandbox.provisioning.seed import InProcessSandbox, actor_environment, in_process_sandbox

ACCOUNT, ROLE = "222222222222", "role1"
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass
class Stage:
    """A sandbox, the folder with its manifest and modules, and the removed role of account1."""

    world: InProcessSandbox
    folder: Path
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment variables of the backend role."""
        return actor_environment(self.world.sandbox, self.world.backend)

    def take_away(self) -> None:
        """Before the apply: remove the role."""
        with self._iam() as iam:
            role = iam.get_role(RoleName=ROLE)["Role"]
            names = iam.list_role_policies(RoleName=ROLE)["PolicyNames"]
            attached = [each["PolicyArn"] for each in iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]]
            texts = {name: iam.get_role_policy(RoleName=ROLE, PolicyName=name)["PolicyDocument"] for name in names}
            self.kept = {"trust": role["AssumeRolePolicyDocument"], "inline": texts, "attached": attached}
            for name in names:
                iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
            for arn in attached:
                iam.detach_role_policy(RoleName=ROLE, PolicyArn=arn)
            iam.delete_role(RoleName=ROLE)

    def make_role(self) -> None:
        """The first half of an apply: the role as agreed, without its policies."""
        with self._iam() as iam:
            iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(self.kept["trust"]))

    def make_policies(self) -> None:
        """The second half."""
        with self._iam() as iam:
            for name, text in self.kept["inline"].items():
                iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=json.dumps(text))
            for arn in self.kept["attached"]:
                iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn)

    @contextmanager
    def _iam(self) -> Iterator[Any]:
        operator = AdminClient(self.world.sandbox.url)
        with operator.acting_in(ACCOUNT):
            yield operator.client("iam")


@contextmanager
def staged(manifest: Path, folder: Path) -> Iterator[Stage]:
    """A sandbox seeded from a manifest, which is copied to the folder, with its modules generated below it."""
    (folder / "accounts.yaml").write_bytes(manifest.read_bytes())
    generate(folder / "accounts.yaml", folder / "output")
    with in_process_sandbox(folder / "accounts.yaml", folder / "output") as world:
        yield Stage(world, folder)


@dataclass
class Day:
    """A clock that advances only in pauses; what happens in each pause can be set in advance."""

    in_pauses: list[Callable[[], None]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def runtime(self) -> Runtime:
        """The runtime of an onboarding."""
        return Runtime(
            clock=lambda: sum(self.pauses),
            now=lambda: START + timedelta(seconds=sum(self.pauses)),
            random=lambda: 0.5,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.in_pauses:
            self.in_pauses.pop(0)()
