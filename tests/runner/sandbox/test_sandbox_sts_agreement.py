"""Random trust configurations: the server over HTTP and the evaluator on the intended access make the same decision.

The evaluator gets the generated documents with a context built here; the server uses what IAM has stored, with the context
that it reads from the request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rolecall_generator.iam.evaluation.evaluator import Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller
from rolecall_generator.iam.model import Access, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_runner.sandbox.sts.sts import SandboxCredentials
from sandbox_rig import Rig, refusal_of, running, service_trust

ACCOUNTS = ("111111111111", "222222222222", "078352025563")
DEVICE = "arn:aws:iam::{}:mfa/reena"
IDS = ("Customer-1", "Customer-2", "other")
TEAMS = ("blue", "red")
BOUNDARY = PolicyDocument((Statement("Allow", ("s3:*", "sts:TagSession"), ("*",)),))
WIDE = PolicyDocument((Statement("Allow", ("*",), ("*",)),))


def caller_role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/vendor/backend_role"


def caller_user(account: str) -> str:
    return f"arn:aws:iam::{account}:user/reena"


def target(account: str) -> str:
    return f"arn:aws:iam::{account}:role/target"


@dataclass(frozen=True)
class Configuration:
    """A role's trust policy, a caller's own policies, and one request."""

    account: str
    trust: PolicyDocument
    caller: str
    way: str
    identity: PolicyDocument
    boundary: PolicyDocument | None
    parameters: dict[str, Any] = field(default_factory=dict)


def draw(random: Random) -> Configuration:
    account, home = random.choice(ACCOUNTS), random.choice(ACCOUNTS[:2])
    way = random.choice(["role", "role", "key", "key with code", "session", "session with MFA"])
    caller = caller_role(home) if way == "role" else caller_user(home)
    parameters: dict[str, Any] = {}
    if random.random() < 0.6:
        parameters["ExternalId"] = random.choice(IDS)
    if random.random() < 0.25:
        parameters["Tags"] = [{"Key": "team", "Value": random.choice(TEAMS)}]
    if random.random() < 0.15:
        parameters["SourceIdentity"] = random.choice(["reena", "ravi"])
    boundary = random.choice([None, None, None, WIDE, BOUNDARY])
    return Configuration(
        account, draw_trust(random, caller, home), caller, way, draw_identity(random, account), boundary, parameters
    )


def draw_trust(random: Random, caller: str, home: str) -> PolicyDocument:
    statements = []
    for _ in range(random.choice([1, 1, 2, 3])):
        named = [caller, caller, caller_role(random.choice(ACCOUNTS)), caller_user(random.choice(ACCOUNTS))]
        named += [f"arn:aws:iam::{home}:root", home, f"arn:aws:iam::{random.choice(ACCOUNTS)}:root"]
        who = [Principal("AWS", one) for one in random.sample(named, random.choice([1, 1, 2]))]
        if random.random() < 0.1:
            who = [Principal("*", "*")]
        actions = random.choice(
            [("sts:AssumeRole",), ("sts:*",), ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")]
        )
        conditions = tuple(draw_condition(random, caller) for _ in range(random.choice([0, 0, 1, 1, 2])))
        effect = random.choice(["Allow", "Allow", "Allow", "Deny"])
        statements.append(Statement(effect, actions, principals=tuple(dict.fromkeys(who)), conditions=conditions))
    return PolicyDocument(tuple(statements))


def draw_condition(random: Random, caller: str) -> Condition:
    some = tuple(random.sample(IDS, random.choice([1, 2])))
    return random.choice(
        [
            Condition(random.choice(["StringEquals", "StringNotEquals", "StringEqualsIfExists"]), "sts:ExternalId", some),
            Condition("StringLike", "sts:ExternalId", (random.choice(["Customer-*", "*", "?ther"]),)),
            Condition("Null", "sts:ExternalId", (random.choice(["true", "false"]),)),
            Condition(random.choice(["Bool", "BoolIfExists"]), "aws:MultiFactorAuthPresent", ("true",)),
            Condition("NumericLessThan", "aws:MultiFactorAuthAge", ("600",)),
            Condition(random.choice(["ArnLike", "ArnNotLike"]), "aws:PrincipalArn", (f"{caller[:-3]}*",)),
            Condition("StringEquals", "aws:PrincipalAccount", (random.choice(ACCOUNTS),)),
            Condition("StringEquals", "aws:RequestTag/team", (random.choice(TEAMS),)),
            Condition("ForAllValues:StringEquals", "aws:TagKeys", ("team",)),
            Condition("StringEquals", "sts:SourceIdentity", ("reena",)),
            Condition("StringLike", "sts:RoleSessionName", (random.choice(["probe", "night-*"]),)),
            Condition("StringEquals", "aws:username", ("reena",)),
        ]
    )


def draw_identity(random: Random, account: str) -> PolicyDocument:
    resources = random.choice([("*",), ("*",), (target(account),), (f"arn:aws:iam::{account}:role/*",), (target("9" * 12),)])
    conditions = (
        (Condition("StringEquals", "aws:ResourceAccount", (random.choice(ACCOUNTS),)),) if random.random() < 0.2 else ()
    )
    statements = [Statement("Allow", random.choice([("sts:*",), ("sts:AssumeRole",)]), resources, conditions=conditions)]
    if random.random() < 0.1:
        statements.append(Statement("Deny", ("sts:AssumeRole",), (target(random.choice(ACCOUNTS)),)))
    return PolicyDocument(tuple(statements))


def expected(it: Configuration) -> bool:
    """The evaluator's decision on the generated configuration."""
    home = it.caller.split(":")[4]
    policy = f"arn:aws:iam::{home}:policy/boundary"
    holder: Role | User
    inline, arn = {"main": it.identity}, policy if it.boundary else None
    if it.way == "role":
        holder, who = (
            Role(it.caller, WIDE, inline, boundary=arn),
            f"arn:aws:sts::{home}:assumed-role/backend_role/{INSTANCE}",
        )
    else:
        holder, who = User(it.caller, inline=inline, boundary=arn), it.caller
    boundary = [ManagedPolicy(policy, it.boundary)] if it.boundary else []
    access = Access.of(holder, Role(target(it.account), it.trust), *boundary)
    present = {"role": ("false",), "key": (), "session": ("false",)}.get(it.way, ("true",))
    context: dict[str, str | tuple[str, ...]] = {
        "sts:ExternalId": it.parameters.get("ExternalId", ()),
        "sts:SourceIdentity": it.parameters.get("SourceIdentity", ()),
        "sts:RoleSessionName": "probe",
        "aws:MultiFactorAuthPresent": present,
        "aws:MultiFactorAuthAge": "0" if present == ("true",) else (),
    }
    for tag in it.parameters.get("Tags", []):
        context |= {f"aws:RequestTag/{tag['Key']}": tag["Value"], "aws:TagKeys": tag["Key"]}
    return Evaluator(access).may_assume(Request(Caller(who), target(it.account), context=context)).allowed


INSTANCE = "i-0123456789abcdef0"


@dataclass
class Server:
    """The accounts into which each configuration is written."""

    rig: Rig
    keys: dict[str, SandboxCredentials]

    def answer(self, it: Configuration) -> bool | None:
        """Write the configuration over the last one and try it; None for an error that is not a refusal."""
        home = it.caller.split(":")[4]
        iam = self.rig.administrator(home)
        kind, name = ("role", "backend_role") if it.way == "role" else ("user", "reena")
        holder = {f"{kind.capitalize()}Name": name}
        getattr(iam, f"put_{kind}_policy")(**holder, PolicyName="main", PolicyDocument=json.dumps(it.identity.to_json()))
        getattr(iam, f"delete_{kind}_permissions_boundary")(**holder)
        if it.boundary:
            arn = f"arn:aws:iam::{home}:policy/{'wide' if it.boundary is WIDE else 'narrow'}"
            getattr(iam, f"put_{kind}_permissions_boundary")(**holder, PermissionsBoundary=arn)
        trust = json.dumps(it.trust.to_json())
        self.rig.administrator(it.account).update_assume_role_policy(RoleName="target", PolicyDocument=trust)
        parameters = {"RoleArn": target(it.account), "RoleSessionName": "probe", **it.parameters}
        if it.way == "key with code":
            parameters |= {"SerialNumber": DEVICE.format(home), "TokenCode": "123456"}
        try:
            self.rig.client("sts", self.keys[f"{it.way.removesuffix(' with code')} {home}"]).assume_role(**parameters)
        except ClientError as error:
            return False if refusal_of(error) == ("AccessDenied", 403) else None
        return True


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as rig:
        keys: dict[str, SandboxCredentials] = {}
        for account in ACCOUNTS:
            iam = rig.administrator(account)
            iam.create_role(RoleName="backend_role", Path="/vendor/", AssumeRolePolicyDocument=json.dumps(service_trust()))
            rig.role(account, "target", service_trust())
            arn, key = rig.user(account, "reena")
            iam.create_virtual_mfa_device(VirtualMFADeviceName="reena")
            for name, document in (("wide", WIDE), ("narrow", BOUNDARY)):
                iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document.to_json()))
            keys |= {
                f"role {account}": rig.sandbox.instance_credentials(caller_role(account), instance_id=INSTANCE),
                f"key {account}": key,
                f"session {account}": rig.sandbox.user_credentials(arn),
                f"session with MFA {account}": rig.sandbox.user_credentials(arn, mfa=True),
            }
        yield Server(rig, keys)


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_server_and_evaluator_agree(server: Server, count: int) -> None:
    random = Random(count)  # noqa: S311 - reproducible test cases
    configurations = [draw(random) for _ in range(count)]
    wanted = [expected(it) for it in configurations]

    assert [] == [it for it, want in zip(configurations, wanted, strict=True) if server.answer(it) is not want]
    assert count / 10 < sum(wanted) < count * 9 / 10
