"""Seeded content for the accounts of a sandbox, different in each account and Region."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

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
