"""Hypothesis strategies for the model: ARNs, conditions, statements, policy documents, principals, whole Access values.

The pools are deliberately small: two drawn values share principals, actions and names often enough for comparisons to
be useful.
"""

from __future__ import annotations

from hypothesis import strategies as st

from rolecall_generator.iam.model import Access, ConsolePassword, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement

ACCOUNTS = ("111111111111", "222222222222", "078352025563")
NAMES = ("role1", "backend_role", "Ops")


def arns(kind: str) -> st.SearchStrategy[str]:
    """IAM ARNs of a kind (role, user, group, policy, instance-profile) in three accounts."""
    return st.builds(
        "arn:aws:iam::{}:{}{}{}".format, st.sampled_from(ACCOUNTS), st.just(kind), paths(), st.sampled_from(NAMES)
    )


def paths() -> st.SearchStrategy[str]:
    return st.sampled_from(["/", "/vendor/"])


def principals() -> st.SearchStrategy[Principal]:
    roots = st.sampled_from([f"arn:aws:iam::{account}:root" for account in ACCOUNTS])
    return st.one_of(
        st.builds(Principal, st.just("AWS"), st.one_of(roots, arns("role"), arns("user"))),
        st.sampled_from([Principal("*", "*"), Principal("AWS", "*"), Principal("Service", "ec2.amazonaws.com")]),
    )


def conditions() -> st.SearchStrategy[Condition]:
    flags = st.builds(
        Condition, st.sampled_from(["Bool", "BoolIfExists"]), st.just("aws:MultiFactorAuthPresent"), st.just(("true",))
    )
    keys = st.sampled_from(["sts:ExternalId", "aws:PrincipalArn", "aws:ResourceAccount"])
    operators = st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "ForAnyValue:StringLike"])
    values = st.lists(st.sampled_from(["a1", "b2", "c3"]), min_size=1, max_size=3).map(tuple)
    return st.one_of(flags, st.builds(Condition, operators, keys, values))


def _some(strategy: st.SearchStrategy[object], least: int = 1) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, min_size=least, max_size=3).map(tuple)


_actions = st.sampled_from(["sts:AssumeRole", "sts:TagSession", "s3:GetObject", "s3:PutObject", "ec2:Describe*", "*"])
_resources = st.sampled_from(["*", "arn:aws:s3:::example-bucket", "arn:aws:s3:::example-bucket/*"])


def statements(*, trust: bool) -> st.SearchStrategy[Statement]:
    """Statements of a trust policy (principals, no resources) or of an identity policy (resources, no principals)."""
    common = {
        "effect": st.sampled_from(["Allow", "Allow", "Deny"]),
        "sid": st.sampled_from(["", "", "First", "Second"]),
        "conditions": _some(conditions(), 0),
    }
    if trust:
        return st.one_of(
            st.builds(Statement, actions=_some(_actions), principals=_some(principals()), **common),
            st.builds(Statement, actions=_some(_actions), not_principals=_some(principals()), **common),
        )
    return st.one_of(
        st.builds(Statement, actions=_some(_actions), resources=_some(_resources), **common),
        st.builds(Statement, actions=_some(_actions), not_resources=_some(_resources), **common),
        st.builds(Statement, not_actions=_some(_actions), resources=_some(_resources), **common),
    )


def policy_documents(*, trust: bool = False) -> st.SearchStrategy[PolicyDocument]:
    return st.builds(
        PolicyDocument,
        st.lists(statements(trust=trust), max_size=2).map(tuple),
        st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"]),
    )


_tags = st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(["", "x", "y"]))
_inline = st.dictionaries(st.sampled_from(["main", "extra"]), policy_documents(), max_size=2)
_attached = st.frozensets(st.one_of(arns("policy"), st.just("arn:aws:iam::aws:policy/ReadOnlyAccess")), max_size=2)
_boundary = st.none() | arns("policy")
_text = st.sampled_from(["", "described"])


def roles() -> st.SearchStrategy[Role]:
    """Roles with known trust, and existing ones with unknown trust."""
    parts = {"inline": _inline, "attached": _attached, "tags": _tags}
    made = st.builds(
        Role,
        arn=arns("role"),
        trust=policy_documents(trust=True),
        boundary=_boundary,
        max_session_seconds=st.sampled_from([3600, 7200]),
        description=_text,
        **parts,
    )
    return st.one_of(made, st.builds(Role, arn=arns("role"), trust=st.none(), existing=st.just(True), **parts))


def managed_policies() -> st.SearchStrategy[ManagedPolicy]:
    return st.builds(ManagedPolicy, arn=arns("policy"), document=policy_documents(), description=_text, tags=_tags)


def groups() -> st.SearchStrategy[Group]:
    return st.builds(Group, arn=arns("group"), inline=_inline, attached=_attached, existing=st.booleans())


def users() -> st.SearchStrategy[User]:
    passwords = st.none() | st.builds(
        ConsolePassword, st.booleans(), st.sampled_from([None, "keybase:reena", "keybase:ravi"])
    )
    return st.builds(
        User,
        arn=arns("user"),
        groups=st.frozensets(arns("group"), max_size=2),
        inline=_inline,
        attached=_attached,
        console_password=passwords,
        boundary=_boundary,
        tags=_tags,
        existing=st.booleans(),
    )


def instance_profiles() -> st.SearchStrategy[InstanceProfile]:
    return st.builds(InstanceProfile, arn=arns("instance-profile"), role=arns("role"), tags=_tags)


def accesses(most: int = 3) -> st.SearchStrategy[Access]:
    """Access values of up to `most` parts, with unique ARNs."""
    part = st.one_of(roles(), managed_policies(), groups(), users(), instance_profiles())
    return st.lists(part, max_size=most, unique_by=lambda value: value.arn).map(lambda parts: Access.of(*parts))
