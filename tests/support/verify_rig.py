"""The context of a verify run in the sandbox: a calling backend role, one customer's role, and all calls made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from rolecall_generator.iam.model import Access, Role
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import Credentials
from rolecall_runner.aws.retry import RetryPolicy
from rolecall_runner.inventory.targets import Target
from rolecall_runner.verify.context import VerifyContext, VerifySpec
from sandbox_rig import REGION, Rig, allow, service_trust
from verify_worlds import BACKEND, context_of, document

CUSTOMER = "222222222222"
BACKEND_ROLE = f"arn:aws:iam::{BACKEND}:role/backend_role"
EXTERNAL_ID = "the-customers-own-id"
TRUST: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": BACKEND_ROLE},
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        }
    ],
}


@dataclass(frozen=True, slots=True)
class SentCall:
    """A call as sent: botocore's service and operation names."""

    service: str
    operation: str


@dataclass
class Stage:
    """The sandbox with a backend role, the context of a run, and all calls of the shared clients."""

    rig: Rig
    context: VerifyContext
    sent: list[SentCall] = field(default_factory=list)

    def role(self, name: str, *actions: str, resource: Any = "*", **policies: Any) -> Target:
        """Create a customer's role that may perform the actions (plus whole documents by name); returns its target."""
        own = {"main": allow(*actions, resource=resource)} if actions else {}
        arn = self.rig.role(CUSTOMER, name, dict(TRUST), **own, **policies)
        return Target(name, CUSTOMER, "aws", arn, EXTERNAL_ID, backend_role_arn=BACKEND_ROLE, regions=(REGION, "eu-west-1"))

    def credentials(self, target: Target) -> Credentials:
        """The target's role, assumed."""
        return self.context.assumer.assume(target)

    def agreed(self, target: Target, *actions: str, resource: Any = "*", **changes: Any) -> VerifyContext:
        """The context in which the manifest grants the target's role exactly the actions."""
        inline = {"main": document(allow(*actions, resource=resource))} if actions else {}
        role = replace(Role(target.role_arn, document(TRUST), inline), **changes)
        return self.intending(target, Access.of(role))

    def intending(self, target: Target, access: Access) -> VerifyContext:
        """The context with the agreed access of one target."""
        return replace(self.context, intended={target.role_arn: access})

    def with_options(self, **options: Any) -> None:
        """Change the options of the run."""
        self.context = replace(self.context, options=replace(self.context.options, **options))


@contextmanager
def staged(rig: Rig) -> Iterator[Stage]:
    """The context of a run in a running sandbox."""
    rig.role(BACKEND, "backend_role", service_trust(), main=["sts:AssumeRole"])
    clients = Clients(ClientSettings(endpoint_url=rig.sandbox.url, max_attempts=1))
    options = VerifySpec(retry=RetryPolicy(attempts=3))
    stage = Stage(rig, replace(context_of(rig, clients, BACKEND_ROLE), random=lambda: 0.5, options=options))

    def record(model: Any, **_event: Any) -> None:
        stage.sent.append(SentCall(str(model.service_model.service_name), str(model.name)))

    clients._session.register("before-call", record)
    try:
        yield stage
    finally:
        clients.close()
