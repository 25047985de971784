"""Targets of the fast stub, and a task that assumes, calls GetCallerIdentity and EC2: for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import fast_stub
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import Outcome, ProcessLocal
from rolecall_runner.inventory.targets import Target

REGION = "us-east-1"


def stub_target(number: int) -> Target:
    """The n-th account of the stub."""
    account = f"{200_000_000_000 + number}"
    return Target(
        f"customer{number}",
        account,
        "aws",
        f"arn:aws:iam::{account}:role/VendorAccess",
        external_id=f"external-id-{account}",
        regions=(REGION,),
    )


def stub_targets(count: int) -> Iterator[Target]:
    """This many accounts of the stub, one by one."""
    return (stub_target(number) for number in range(count))


@dataclass(frozen=True)
class MakeSessions:
    """Creates clients and sessions in the process where they are needed; pickled as an address."""

    url: str
    ca_bundle: str
    connections: int = 16
    max_attempts: int = 4

    def __call__(self) -> tuple[object, object]:
        # Imported late: a process that only distributes work loads no SDK.
        import botocore.credentials  # noqa: PLC0415

        from rolecall_runner.aws.clients import Clients, ClientSettings  # noqa: PLC0415
        from rolecall_runner.aws.credentials import Assumer, CallerIdentity, Sessions  # noqa: PLC0415

        settings = ClientSettings(
            self.url, self.ca_bundle, self.connections, connect_seconds=20, read_seconds=20, max_attempts=self.max_attempts
        )
        clients = Clients(settings)
        source = botocore.credentials.Credentials(fast_stub.SOURCE_KEY, fast_stub.secret_of(fast_stub.SOURCE_KEY))
        caller = CallerIdentity(source, fast_stub.SOURCE_ARN, fast_stub.SOURCE_ACCOUNT, REGION)
        return clients, Sessions(Assumer(clients, caller, "0a1b2c3d"))


class AskStub:
    """AssumeRole, GetCallerIdentity, DescribeInstances; the replies must be those of the target's account."""

    name = "ask"

    def __init__(self, make: MakeSessions) -> None:
        self._made = ProcessLocal(make)

    def warm_up(self) -> None:
        """Create the clients in this process before the first target."""
        from rolecall_runner.aws.clients import Clients  # noqa: PLC0415 - as in MakeSessions

        clients, _ = self._made.get()
        assert isinstance(clients, Clients)
        for service in ("sts", "ec2"):
            clients.client(service, REGION)

    def __call__(self, target: Target) -> Outcome:
        from rolecall_runner.aws.clients import Clients, account  # noqa: PLC0415
        from rolecall_runner.aws.credentials import Sessions  # noqa: PLC0415

        clients, sessions = self._made.get()
        assert isinstance(clients, Clients)
        assert isinstance(sessions, Sessions)
        with account(sessions.session(target)):
            identity = clients.client("sts", REGION).get_caller_identity()
            found = clients.client("ec2", REGION).describe_instances(
                Filters=[{"Name": "owner-id", "Values": [target.account_id]}]
            )
        instances = [each["InstanceId"] for group in found["Reservations"] for each in group["Instances"]]
        right = identity["Account"] == target.account_id and instances == [fast_stub.instance_of(target.account_id)]
        return Outcome(Status.OK if right else Status.FAILED, {"account": identity["Account"], "instances": instances})
