"""Worlds for verify runs in a running sandbox: a separate backend role, two customers, and methods that break them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import Assumer, CallerIdentity, Credentials, Sessions
from rolecall_runner.aws.retry import RetryPolicy
from rolecall_runner.inventory.targets import Target
from rolecall_runner.sandbox.protocol.faults import FaultPlan
from rolecall_runner.verify.context import VerifyContext, VerifySpec
from rolecall_runner.verify.verdict import Check, Mark, Step, Verdict
from rolecall_runner.verify.verify_target import verify
from sandbox_rig import REGION, Rig, allow, running, service_trust, trust

BACKEND = "111111111111"
ROLE = "VendorAccess"
READ_ITSELF = ("iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies")
_NUMBERS = itertools.count(1)


def document(body: Mapping[str, Any]) -> PolicyDocument:
    """JSON from AWS as a value of the model."""
    return PolicyDocument.from_json(json.loads(json.dumps(body)))


@dataclass
class World:
    """One backend role, its target customer and a witness; methods break the content of the sandbox."""

    rig: Rig
    number: int
    target: Target
    context: VerifyContext

    @property
    def backend(self) -> str:
        """ARN of the backend role."""
        return self.target.backend_role_arn

    def good_trust(self, *external_ids: str, principal: str | None = None, action: Any = "sts:AssumeRole") -> dict[str, Any]:
        """The agreed trust policy, with the parts that a test changes."""
        ids = list(external_ids) or [str(self.target.external_id)]
        return trust(principal or self.backend, action=action, StringEquals={"sts:ExternalId": ids})

    def make(self, body: dict[str, Any] | None = None, target: Target | None = None, **policies: Any) -> None:
        """Create the customer's role, as agreed or with another trust policy."""
        who = target or self.target
        plain = trust(self.backend, StringEquals={"sts:ExternalId": [who.external_id]})
        self.rig.role(who.account_id, ROLE, body or plain, **policies)

    def retrust(self, body: dict[str, Any]) -> None:
        """Save another trust policy on the customer's role."""
        iam = self.rig.administrator(self.target.account_id)
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(body))

    def remake_backend(self) -> None:
        """Delete the backend role and create it again with the same policy; the run continues with the new one."""
        name = self.backend.rpartition("/")[2]
        iam = self.rig.administrator(BACKEND)
        iam.delete_role_policy(RoleName=name, PolicyName="assume")
        iam.delete_role(RoleName=name)
        self.rig.role(BACKEND, name, service_trust(), assume=["sts:AssumeRole", *READ_ITSELF])
        self.call_as(self.backend)

    def call_as(self, role_arn: str) -> None:
        """Start the run from another role of the backend's account."""
        assumer = replace(self.context.assumer, caller=caller_of(self.rig, role_arn))
        self.context = replace(self.context, assumer=assumer, sessions=Sessions(assumer, clock=self.rig.clock))

    def give(self, **changes: Any) -> None:
        """Change the context."""
        self.context = replace(self.context, **changes)

    def aim(self, **changes: Any) -> None:
        """Change the target's manifest entry."""
        self.target = replace(self.target, **changes)

    def verdict(self) -> Verdict:
        """The verdict of the target's verify run."""
        return verify(self.target, self.context)


def caller_of(rig: Rig, role_arn: str) -> CallerIdentity:
    """A caller with a role, as on an instance."""
    own = rig.sandbox.instance_credentials(role_arn)
    keys = Credentials(own.access_key, own.secret, own.session_token, rig.clock.now + timedelta(hours=6))
    name = role_arn.rpartition("/")[2]
    return CallerIdentity(keys, f"arn:aws:sts::{BACKEND}:assumed-role/{name}/i-0123456789abcdef0", BACKEND, REGION)


def context_of(rig: Rig, clients: Clients, role_arn: str) -> VerifyContext:
    """The context of a run that starts from a role; pauses between retries take no time."""
    assumer = Assumer(clients, caller_of(rig, role_arn), "test-run")
    sessions = Sessions(assumer, clock=rig.clock)
    return VerifyContext(assumer, sessions, clients, clock=rig.clock, sleep=lambda _seconds: None)


def world_of(rig: Rig, clients: Clients, attempts: int = 3) -> World:
    """A new backend role that may assume every role; customers without roles so far. The witness's role exists."""
    number = next(_NUMBERS)
    backend = rig.role(BACKEND, f"backend{number}", service_trust(), assume=["sts:AssumeRole"])
    target, witness = (
        Target(name, account, "aws", f"arn:aws:iam::{account}:role/{ROLE}", f"id-of-{name}", backend_role_arn=backend)
        for name, account in (
            (f"acme{number}", f"{200000000000 + number}"),
            (f"witness{number}", f"{300000000000 + number}"),
        )
    )
    context = replace(
        context_of(rig, clients, backend),
        external_ids={each.name: str(each.external_id) for each in (target, witness)},
        backend=Access.of(Role(backend, None, {"assume": document(allow("sts:AssumeRole"))}, existing=True)),
        references=(target, witness),
        options=VerifySpec(actions="none", retry=RetryPolicy(attempts=attempts)),
    )
    world = World(rig, number, target, context)
    world.make(target=witness)
    return world


@contextmanager
def worlds(faults: FaultPlan | None = None) -> Iterator[tuple[Rig, Clients]]:
    """A sandbox and the shared clients of a run; clients do not retry, so that a test counts its own attempts."""
    with running(faults) as rig:
        clients = Clients(ClientSettings(endpoint_url=rig.sandbox.url, max_attempts=1))
        try:
            yield rig, clients
        finally:
            clients.close()


def marks(verdict: Verdict) -> dict[Step, Mark]:
    """The first mark of each step."""
    return {check.step: check.mark for check in reversed(verdict.checks)}


def check_of(verdict: Verdict, step: Step) -> Check:
    """The first check of a step."""
    return next(check for check in verdict.checks if check.step is step)


def causes(verdict: Verdict) -> list[str]:
    """The diagnosed causes, in order."""
    return [diagnosis.cause for diagnosis in verdict.diagnoses]
