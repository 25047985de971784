"""What IAM accepts and refuses when policies are saved, over HTTP with boto3, one probe per rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox_rig import Refused, Rig, allow, running, service_trust, statement_of, trust

ACCOUNT, OTHER = "111111111111", "222222222222"
ROLE, USER = f"arn:aws:iam::{OTHER}:role/vendor/backend_role", f"arn:aws:iam::{OTHER}:user/reena"


@dataclass(frozen=True)
class Account:
    """An account with a role, a user, a group and a policy to write to."""

    rig: Rig
    iam: Any
    policy: str

    def save(self, document: Any, name: str = "holder") -> Any:
        """Save a trust policy."""
        text = document if isinstance(document, str) else json.dumps(document)
        return self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=text)

    def make(self, name: str = "new-role", **parameters: Any) -> Any:
        """Create a role that EC2 may use."""
        return self.iam.create_role(
            **{"RoleName": name, "AssumeRolePolicyDocument": json.dumps(service_trust()), **parameters}
        )

    def put(self, document: Any, kind: str = "role") -> Any:
        """Put an inline policy."""
        text = document if isinstance(document, str) else json.dumps(document)
        put = getattr(self.iam, f"put_{kind}_policy")
        return put(**{f"{kind.capitalize()}Name": "holder", "PolicyName": "main", "PolicyDocument": text})


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with running() as rig:
        other = rig.administrator(OTHER)
        other.create_role(RoleName="backend_role", Path="/vendor/", AssumeRolePolicyDocument=json.dumps(service_trust()))
        other.create_user(UserName="reena")
        iam = rig.administrator(ACCOUNT)
        iam.create_role(RoleName="holder", AssumeRolePolicyDocument=json.dumps(service_trust()))
        iam.create_user(UserName="holder")
        iam.create_group(GroupName="holder")
        for number in range(11):
            name, text = f"p{number}", json.dumps(allow("s3:GetObject"))
            made = iam.create_policy(PolicyName=name, PolicyDocument=text)["Policy"]
            if number < 10:
                iam.attach_role_policy(RoleName="holder", PolicyArn=made["Arn"])
                iam.attach_user_policy(UserName="holder", PolicyArn=made["Arn"])
                iam.attach_group_policy(GroupName="holder", PolicyArn=made["Arn"])
        yield Account(rig, iam, made["Arn"])


def sized(document: dict[str, Any], characters: int) -> str:
    """The document with a Sid that gives it this many characters, and white space that does not count."""
    body = json.loads(json.dumps(document))
    body["Statement"][0]["Sid"] = ""
    missing = characters - len(json.dumps(body, separators=(",", ":")))
    body["Statement"][0]["Sid"] = "x" * missing
    return json.dumps(body, indent=8)


Attempt = Callable[[Account], Any]

TAKEN: dict[str, Attempt] = {
    "a role of another account": lambda a: a.save(trust(ROLE)),
    "a user of another account": lambda a: a.save(trust(USER)),
    "an account root": lambda a: a.save(trust("arn:aws:iam::999999999999:root")),
    "an account id": lambda a: a.save(trust("999999999999")),
    "everybody": lambda a: a.save(trust("*")),
    "a service": lambda a: a.save(service_trust("lambda.amazonaws.com")),
    "a session of a role that exists": lambda a: a.save(trust(f"arn:aws:sts::{OTHER}:assumed-role/backend_role/night")),
    "a trust policy of 2,048 characters": lambda a: a.save(sized(trust("999999999999"), 2_048)),
    "a role name of 64 characters": lambda a: a.make("r" * 64),
    "a role with a path": lambda a: a.make("pathed", Path="/vendor/eu/"),
    "twelve hours": lambda a: a.make("long", MaxSessionDuration=43_200),
    "AWS's own policy as boundary": lambda a: a.make("b", PermissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess"),
    "a managed policy of 6,144 characters": lambda a: a.iam.create_policy(PolicyName="full",
        PolicyDocument=sized(allow("s3:GetObject"), 6_144)),
    "inline policies of 10,240 characters": lambda a: a.put(sized(allow("s3:GetObject"), 10_240)),
    "a policy that is attached already": lambda a: a.iam.attach_role_policy(RoleName="holder",
        PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/p0"),
    "a boundary of a user": lambda a: a.iam.put_user_permissions_boundary(UserName="holder", PermissionsBoundary=a.policy),
}  # fmt: skip


@pytest.mark.parametrize("attempt", TAKEN.values(), ids=TAKEN)
def test_valid_policy_is_accepted(account: Account, attempt: Attempt) -> None:
    """The call succeeds as in AWS, up to the exact limit."""
    answer = attempt(account)

    assert 200 == answer["ResponseMetadata"]["HTTPStatusCode"]


def malformed(attempt: Attempt, text: str) -> Refused:
    return Refused(attempt, text, "MalformedPolicyDocument", 400)


def unsaved(document: Any, text: str) -> Refused:
    """A trust policy that IAM does not save."""
    return malformed(lambda account: account.save(document), text)


def over(attempt: Attempt, text: str) -> Refused:
    return Refused(attempt, text, "LimitExceeded", 409)


def invalid(attempt: Attempt, text: str) -> Refused:
    return Refused(attempt, text, "ValidationError", 400)


ASSUME: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole"}
READ: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def principal(text: str, kind: str = "AWS") -> Refused:
    body = statement_of(**ASSUME, Principal={kind: text})
    shown = "SERVICE" if kind == "Service" else kind
    return unsaved(body, f'^Invalid principal in policy: "{shown}":"{re.escape(text)}"$')


REFUSED: dict[str, Refused] = {
    "a role that does not exist": principal(f"arn:aws:iam::{OTHER}:role/nobody"),
    "a role by another path": principal(f"arn:aws:iam::{OTHER}:role/backend_role"),
    "a role in other letters": principal(f"arn:aws:iam::{OTHER}:role/vendor/Backend_Role"),
    "a user that does not exist": principal(f"arn:aws:iam::{OTHER}:user/nobody"),
    "a session of no role": principal(f"arn:aws:sts::{OTHER}:assumed-role/nobody/night"),
    "a group": principal(f"arn:aws:iam::{OTHER}:group/readers"),
    "a wildcard in a principal": principal(f"arn:aws:iam::{OTHER}:role/*"),
    "an account id of 11 digits": principal("12345678901"),
    "a root of no account": principal("arn:aws:iam::1234:root"),
    "another partition": principal(f"arn:aws-cn:iam::{OTHER}:root"),
    "a unique id of nobody": principal("AROAJQABLZS4A3QDU576Q"),
    "nonsense": principal("nonsense"),
    "a service that is none": principal("nonsense", "Service"),
    "a role that trusts no one real": malformed(
        lambda a: a.make("orphan", AssumeRolePolicyDocument=json.dumps(trust(f"arn:aws:iam::{OTHER}:role/nobody"))),
        "^Invalid principal in policy"),
    "NotPrincipal": unsaved(statement_of(**ASSUME, NotPrincipal={"AWS": ROLE}), "NotPrincipal"),
    "a trust policy with a resource": unsaved(statement_of(**ASSUME, Principal="*", Resource="*"),
        "^Has prohibited field Resource$"),
    "a trust policy without a principal": unsaved(statement_of(**ASSUME), "Principal"),
    "an action that is not STS's": unsaved(trust(ROLE, action="s3:GetObject"),
        "^AssumeRole policy may only specify STS AssumeRole actions.$"),
    "an unknown operator": unsaved(trust(ROLE, StringResembles={"sts:ExternalId": "x"}), "^Syntax errors in policy.$"),
    "an unknown operator in a permissions policy": malformed(
        lambda a: a.put(statement_of(**READ, Condition={"StringResembles": {"aws:PrincipalArn": "x"}})),
        "Syntax errors in policy."),
    "an unknown element": unsaved(statement_of(**ASSUME, Principal="*", Colour="red"), "^Syntax errors in policy.$"),
    "an effect that is none": unsaved(statement_of(**ASSUME | {"Effect": "No"}, Principal="*"), "Invalid effect: No"),
    "what is no JSON": unsaved('{"Version": ', "^This policy contains invalid Json$"),
    "an unknown version": unsaved(trust(ROLE) | {"Version": "2026-01-01"}, "Syntax errors"),
    "no statement": unsaved({"Version": "2012-10-17", "Statement": []}, "Syntax errors"),
    "a permissions policy with a principal": malformed(lambda a: a.put(statement_of(**READ, Principal="*")),
        "should not specify a principal"),
    "an action without its service": malformed(lambda a: a.put(allow("GetObject")), "must be prefaced by a vendor"),
    "a trust policy of 2,049 characters": over(lambda a: a.save(sized(trust("999999999999"), 2_049)),
        "^Cannot exceed quota for ACLSizePerRole: 2048$"),
    "a managed policy of 6,145 characters": over(
        lambda a: a.iam.create_policy(PolicyName="big", PolicyDocument=sized(allow("s3:GetObject"), 6_145)),
        "^Cannot exceed quota for PolicySize: 6144$"),
    "a version of 6,145 characters": over(
        lambda a: a.iam.create_policy_version(PolicyArn=a.policy, PolicyDocument=sized(allow("s3:GetObject"), 6_145)),
        "PolicySize: 6144"),
    "inline policies of a role over 10,240": over(lambda a: a.put(sized(allow("s3:GetObject"), 10_241)),
        "^Maximum policy size of 10240 bytes exceeded for role hol"),
    "inline policies of a user over 2,048": over(lambda a: a.put(sized(allow("s3:GetObject"), 2_049), "user"),
        "Maximum policy size of 2048 bytes exceeded for user"),
    "inline policies of a group over 5,120": over(lambda a: a.put(sized(allow("s3:GetObject"), 5_121), "group"),
        "Maximum policy size of 5120 bytes exceeded for group"),
    "an eleventh policy on a role": over(lambda a: a.iam.attach_role_policy(RoleName="holder", PolicyArn=a.policy),
        "exceed quota for PoliciesPerRole: 10"),
    "an eleventh policy on a user": over(lambda a: a.iam.attach_user_policy(UserName="holder", PolicyArn=a.policy),
        "PoliciesPerUser: 10"),
    "an eleventh policy on a group": over(lambda a: a.iam.attach_group_policy(GroupName="holder", PolicyArn=a.policy),
        "PoliciesPerGroup: 10"),
    "a role name of 65 characters": invalid(lambda a: a.make("r" * 65), "'roleName' .* less than or equal to 64"),
    "a role name with a slash": invalid(lambda a: a.make("a/b"), "specified value for roleName is invalid"),
    "a path without its end": invalid(lambda a: a.make(Path="/vendor"), "specified value for path is invalid"),
    "a path of 513 characters": invalid(lambda a: a.make(Path=f"/{'x' * 511}/"), "'path' .* less than or equal to 512"),
    "less than an hour": invalid(lambda a: a.make(MaxSessionDuration=3_599),
        "'maxSessionDuration' .* greater than or equal to 3600"),
    "more than twelve hours": invalid(lambda a: a.make(MaxSessionDuration=43_201),
        "'maxSessionDuration' .* less than or equal to 43200"),
    "a name that differs by case alone": Refused(lambda a: a.make("HOLDER"), "^Role with name HOLDER already exists.$",
        "EntityAlreadyExists", 409),
    "a boundary that does not exist": Refused(lambda a: a.make(PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/none"),
        "does not exist or is not attachable", "NoSuchEntity", 404),
    "an attached policy that is to go": Refused(lambda a: a.iam.delete_policy(PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/p0"),
        "^Cannot delete a policy attached to entities.$", "DeleteConflict", 409),
    "a change of AWS's own policy": Refused(lambda a: a.iam.create_policy_version(
        PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess", PolicyDocument=json.dumps(allow("s3:*"))),
        "is an AWS managed policy", "AccessDenied", 403),
}  # fmt: skip


@pytest.mark.parametrize("no", REFUSED.values(), ids=REFUSED)
def test_invalid_policy_is_refused(account: Account, no: Refused) -> None:
    """Code, HTTP status and message are those of AWS, and nothing is saved."""
    no.check(account)
