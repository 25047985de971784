"""A sandbox of a few customers with content, and the context of a query task against it."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.credentials
import botocore.session
import yaml
from botocore.config import Config

from engine_runs import run
from manifests import customer
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import Assumer, CallerIdentity, Sessions
from rolecall_runner.aws.retry import RetryPolicy
from rolecall_runner.execution.interface import EngineSettings, ProcessLocal, Runtime
from rolecall_runner.inventory.inventory import read_inventory
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.execute import QueryResult, QueryTask
from rolecall_runner.query.spec import QuerySpec
from rolecall_runner.sandbox.protocol.faults import FaultPlan
from rolecall_runner.sandbox.provisioning.provision import AdminClient
from rolecall_runner.sandbox.provisioning.seed import read_seed
from rolecall_runner.sandbox.provisioning.seed import seed as seed_sandbox
from rolecall_runner.sandbox.server.server import Sandbox

ClientOf = Callable[[str, str], Any]
"""Client of a service in a Region, with administrator permissions."""

_LAMBDA = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
_TYPES = ("t3.micro", "m5.large", "c5.xlarge")
_WORDS = ("web", "größe", "a b", "=1+1", "<x>", "café", "")


def fill_account(client_of: ClientOf, account_id: str, regions: tuple[str, ...], seed: int, *, most: int) -> None:
    """Up to `most` of each: instances, volumes, groups per Region, users, buckets; half of databases, tables, functions."""
    chance = random.Random(f"{seed}/{account_id}")  # noqa: S311 - content, no secrets
    iam = client_of("iam", regions[0])
    _users(iam, chance, most)
    role = iam.create_role(RoleName="functions", AssumeRolePolicyDocument=json.dumps(_LAMBDA))["Role"]["Arn"]
    for region in regions:
        _machines(client_of("ec2", region), region, chance, most)
        _groups(client_of("ec2", region), chance, most)
        _databases(client_of("rds", region), chance, most // 2)
        _tables(client_of("dynamodb", region), chance, most // 2)
        _functions(client_of("lambda", region), role, chance, most // 2)
    _buckets(client_of("s3", regions[0]), account_id, regions, chance, most)


def _tags(chance: random.Random) -> list[dict[str, str]]:
    return [{"Key": "Name", "Value": chance.choice(_WORDS)}, {"Key": "size", "Value": str(chance.randrange(9))}]


def _machines(ec2: Any, region: str, chance: random.Random, most: int) -> None:
    for _ in range(chance.randint(0, most)):  # one reservation each, because pages count reservations
        tagged = [{"ResourceType": "instance", "Tags": _tags(chance)}]
        kind, count = chance.choice(_TYPES), chance.randint(1, 2)
        ec2.run_instances(
            ImageId="ami-12345678", InstanceType=kind, MinCount=count, MaxCount=count, TagSpecifications=tagged
        )
    for _ in range(chance.randint(0, most)):
        ec2.create_volume(
            AvailabilityZone=f"{region}{chance.choice('ab')}", Size=chance.randint(1, 99), Encrypted=chance.random() < 0.5
        )


def _groups(ec2: Any, chance: random.Random, most: int) -> None:
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    for number in range(chance.randint(0, most)):
        group = ec2.create_security_group(GroupName=f"group{number}", Description="made by a test", VpcId=vpc)["GroupId"]
        source = chance.choice(({"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, {"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}))
        ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **source}]
        )


def _databases(rds: Any, chance: random.Random, most: int) -> None:
    for number in range(chance.randint(0, most)):
        rds.create_db_instance(
            DBInstanceIdentifier=f"db{number}",
            DBInstanceClass="db.t3.micro",
            Engine=chance.choice(("postgres", "mysql")),
            AllocatedStorage=chance.randint(20, 99),
            MasterUsername="root",
            MasterUserPassword="correct horse",
            PubliclyAccessible=chance.random() < 0.5,
        )


def _tables(dynamodb: Any, chance: random.Random, most: int) -> None:
    for number in range(chance.randint(0, most)):
        dynamodb.create_table(
            TableName=f"table{number}",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": chance.choice("SN")}],
            BillingMode="PAY_PER_REQUEST",
        )


def _functions(client: Any, role: str, chance: random.Random, most: int) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    return event\n")
    for number in range(chance.randint(0, most)):
        client.create_function(
            FunctionName=f"function{number}",
            Runtime="python3.12",
            Role=role,
            Handler="main.handler",
            Code={"ZipFile": package.getvalue()},
            MemorySize=chance.choice((128, 256)),
        )


def _users(iam: Any, chance: random.Random, most: int) -> None:
    for number in range(chance.randint(3, most)):
        name = f"user{number}"
        iam.create_user(UserName=name, Path=chance.choice(("/", "/staff/")))
        if chance.random() < 0.6:
            iam.create_login_profile(UserName=name, Password="correct horse battery")
        if chance.random() < 0.5:
            device = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
            iam.enable_mfa_device(
                UserName=name, SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321"
            )


def _buckets(s3: Any, account_id: str, regions: tuple[str, ...], chance: random.Random, most: int) -> None:
    for number in range(chance.randint(0, most)):
        region = chance.choice(regions)
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=f"bucket{number}-{account_id}", ACL=chance.choice(("private", "public-read")), **place)


REGIONS = ("us-east-1", "eu-west-1")
_SESSION = botocore.session.Session()
MOMENT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
READ = [
    "ec2:Describe*", "s3:ListAllMyBuckets", "s3:GetBucket*", "s3:ListBucket", "iam:ListUsers", "iam:ListMFADevices",
    "iam:GetLoginProfile", "dynamodb:ListTables", "dynamodb:DescribeTable", "lambda:ListFunctions",
    "rds:DescribeDBInstances", "ce:GetCostAndUsage",
]  # fmt: skip


def manifest_text(names: Sequence[str]) -> str:
    """Customers with these names; all have read access except `denied`, which may only list buckets."""
    sets = {
        "read": {"statements": [{"actions": READ, "resources": ["*"]}]},
        "buckets": {"statements": [{"actions": ["s3:ListAllMyBuckets"], "resources": ["*"]}]},
    }
    customers = [
        customer(number, name=name, permissions=["buckets" if name == "denied" else "read"], regions=list(REGIONS))
        | {"labels": {"tier": "gold" if number % 2 else "silver"}, "variables": {"vpc": f"vpc-{number}"}}
        for number, name in enumerate(names)
    ]
    role = {"name": "backend_role", "existing": False}
    return yaml.safe_dump(
        {
            "version": 1,
            "backend": {"account_id": "111111111111", "role": role},
            "permission_sets": sets,
            "customers": customers,
        }
    )


@dataclass
class QueryRig:
    """A seeded sandbox, its targets, and an administrator who creates content."""

    sandbox: Sandbox
    targets: tuple[Target, ...]
    connections: ProcessLocal[tuple[Clients, Sessions]]
    manifest: Path
    lines: list[str]
    operator: AdminClient
    _clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def target(self, name: str) -> Target:
        return next(target for target in self.targets if target.name == name)

    def ask(self, question: QuerySpec, *, engine: Any = "serial", attempts: int = 3, workers: int = 4) -> list[QueryResult]:
        """The results of all targets, in the targets' order."""
        task = QueryTask(question, self.connections, now=lambda: MOMENT)
        settings = EngineSettings(workers=workers, retry=RetryPolicy(attempts))
        runtime = Runtime(sleep=lambda _seconds: None)
        results = {
            result.target: result for result in run(task, self.targets, engine=engine, settings=settings, runtime=runtime)
        }
        return [QueryResult.from_result(results[target.name], target.account_id) for target in self.targets]

    def boto3_client(self, target: Target, service: str, region: str) -> Any:
        """An ordinary client with an administrator session of the account and many retries."""
        key = (target.account_id, service, region)
        if key not in self._clients:
            self._clients[key] = self._administrator(target, service, region)
        return self._clients[key]

    def _administrator(self, target: Target, service: str, region: str) -> Any:
        found = self.operator.session(target.account_id).get_frozen_credentials()
        return self._client(service, region, found.access_key, found.secret_key, found.token)

    def fill(self, seed: int, *, most: int) -> None:
        """Create content in every account, up to `most` items of a kind per Region."""
        clients = Clients(ClientSettings(self.sandbox.url))
        try:
            for target in self.targets:
                with self.operator.acting_in(target.account_id):
                    fill_account(clients.client, target.account_id, REGIONS, seed, most=most)
        finally:
            clients.close()

    @contextmanager
    def plain_client(self, target: Target, service: str, region: str) -> Iterator[Any]:
        """Like `boto3_client`, but not cached: hundreds of clients would use gigabytes."""
        client = self._administrator(target, service, region)
        try:
            yield client
        finally:
            client.close()

    def close(self) -> None:
        """Close the cached clients."""
        for client in self._clients.values():
            client.close()

    def _client(self, service: str, region: str, key: str, secret: str, token: str | None) -> Any:
        return _SESSION.create_client(
            service,
            region,
            endpoint_url=self.sandbox.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 10}),
        )


@contextmanager
def seeded(folder: Path, names: Sequence[str], faults: FaultPlan | None = None) -> Iterator[QueryRig]:
    """A sandbox with these customers, seeded from their manifest."""
    manifest = folder / "accounts.yaml"
    manifest.write_text(manifest_text(names), "utf-8")
    lines: list[str] = []
    with Sandbox(faults=faults, log=lines.append) as sandbox:
        report = seed_sandbox(sandbox, read_seed(manifest, folder / "output"))
        backend = next(actor for actor in report.actors if actor.kind == "role")
        found = sandbox.instance_credentials(backend.arn)
        source = botocore.credentials.Credentials(found.access_key, found.secret, found.session_token)
        clients = Clients(ClientSettings(sandbox.url))
        arn = "arn:aws:sts::111111111111:assumed-role/backend_role/i-0123456789abcdef0"
        sessions = Sessions(Assumer(clients, CallerIdentity(source, arn, "111111111111", "us-east-1"), "0a1b2c3d"))
        targets = read_inventory(manifest).targets
        connections = ProcessLocal(lambda: (clients, sessions))
        rig = QueryRig(sandbox, targets, connections, manifest, lines, AdminClient(sandbox.url))
        try:
            yield rig
        finally:
            clients.close()
            rig.close()
