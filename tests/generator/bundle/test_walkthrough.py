"""The console walk-through creates exactly the module's access, for any names."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from bundle_worlds import changed, handovers_of
from rolecall_generator.bundle.forms.console import WALKTHROUGH, walkthrough_form
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests
from walkthrough_reader import tokens_of

SWITCH = {
    "name": "s",
    "trusting": {"name": "one", "account_id": "333333333333"},
    "trusted": {"name": "two", "account_id": "444444444444"},
    "role": "switched",
    "permissions": ["read"],
    "group": "people",
    "users": [{"name": "ann", "console_password": True}],
}


def text_of(handover: Handover) -> str:
    return walkthrough_form(handover)[WALKTHROUGH].decode()


def customer(**changes: Any) -> str:
    entry = {"name": "a", "account_id": "222222222222", "external_id": "id-1"} | changes
    return text_of(changed(customers=[entry])["customers/a"])


def switch(side: str, **changes: Any) -> str:
    return text_of(changed(switch_roles=[SWITCH | changes])[f"switch-roles/s/{side}"])


def commands_of(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The CloudShell commands as parsed by a shell: the operation, and its options with JSON decoded."""
    for token in tokens_of(text):
        if token.type == "fence" and token.info == "sh":
            _, _, operation, *rest = shlex.split(token.content)
            options = dict(zip(rest[::2], rest[1::2], strict=True))
            read = {name: json.loads(value) if value[0] in "[{" else value for name, value in options.items()}
            yield f"{operation} {next(iter(options.values()))}", read


def made(handover: Handover, name: str) -> dict[str, Any]:
    """The options of the commands with that name."""
    operation, _, plain = name.partition(" ")
    kind = operation.removeprefix("create-")
    access = handover.module.access
    parts: Any = {"role": access.roles, "group": access.groups, "user": access.users}[kind]
    (part,) = (part for arn, part in parts.items() if arn.rpartition("/")[2] == plain)
    path = part.arn.partition(f":{kind}")[2].removesuffix(plain)
    options = {f"--{kind}-name": plain, "--path": path}
    if kind == "role":
        options |= {"--assume-role-policy-document": readable(part.trust.to_json()), "--description": part.description}
    tags = getattr(part, "tags", {})
    return options | ({"--tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]} if tags else {})


def readable(document: dict[str, Any]) -> dict[str, Any]:
    """A document without its empty statement IDs."""
    statements = [{key: value for key, value in item.items() if value != ""} for item in document["Statement"]]
    return document | {"Statement": statements}


@settings(max_examples=30, deadline=None)
@given(manifests())
def test_commands_of_random_manifests_have_the_modules_values(values: dict[str, Any]) -> None:
    """Names, tags, paths and policies with special characters are unchanged; test_bundle_access.py reads the tables."""
    for handover in handovers_of(Manifest.model_validate(values)).values():
        assert [] == [name for name, said in commands_of(text_of(handover)) if said != made(handover, name)]


@settings(max_examples=30, deadline=None)
@given(manifests())
def test_values_never_become_markup(values: dict[str, Any]) -> None:
    for handover in handovers_of(Manifest.model_validate(values)).values():
        flat = [child for token in tokens_of(text_of(handover)) for child in (token, *(token.children or ()))]
        links = [str(token.attrs["href"]) for token in flat if token.type == "link_open"]

        assert [] == [token.content for token in flat if token.type in {"html_inline", "html_block", "image"}]
        assert [] == [link for link in links if not link.startswith("https://") or "signin.aws.amazon.com/" not in link]


def test_account_is_checked_before_anything_is_created() -> None:
    text = customer()
    before, _, after = text.partition("## 1.")

    assert "the **Account ID** must be `222222222222`" in before
    assert "Create role" in after


def test_role_with_path_is_created_by_command() -> None:
    """The console creates roles only at the path /: a CloudShell command has the path, the trust policy and the tags."""
    text = customer(path="/vendor/", tags={"team": "a b"})
    (line,) = (line for line in text.splitlines() if line.startswith("aws iam create-role"))
    words = shlex.split(line)
    options = dict(zip(words[3::2], words[4::2], strict=True))

    assert ("/vendor/", "VendorAccess") == (options["--path"], options["--role-name"])
    assert '[{"Key": "team", "Value": "a b"}]' == options["--tags"]
    assert '"sts:ExternalId":["id-1"]' in options["--assume-role-policy-document"]
    assert "**Create role**" not in text


def test_customer_sends_back_only_the_arn() -> None:
    text = customer(path="/vendor/")

    assert "\n    arn:aws:iam::222222222222:role/vendor/VendorAccess\n" in text.partition("## Send back")[2]


BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"
EXISTING = {"group": {"name": "people", "existing": True}, "users": [{"name": "ann", "existing": True}]}
Wording = tuple[Callable[[], str], tuple[str, ...], tuple[str, ...]]
WORDING: dict[str, Wording] = {
    "2 hours": (
        lambda: customer(max_session_seconds=7_200),
        ("set **Maximum session duration** to 2 hours, `7200` seconds",),
        (),
    ),
    "90 minutes": (
        lambda: customer(max_session_seconds=5_400),
        ("set **Maximum session duration** to 90 minutes, `5400` seconds",),
        (),
    ),
    "boundary": (lambda: customer(permissions_boundary=BOUNDARY), (f"select `{BOUNDARY}`",), ()),
    # AWS rejects a trust policy that names a missing role.
    "defaults": (
        customer,
        ("Invalid principal in policy",),
        ("set **Maximum session duration**", "Set permissions boundary"),
    ),
    "trust of an account": (lambda: customer(trust="account-root"), (), ("Invalid principal in policy",)),
    "users": (
        lambda: switch("trusted"),
        (
            "<https://444444444444.signin.aws.amazon.com/console>",
            "**Assign MFA device**",
            "<https://signin.aws.amazon.com/switchrole?account=333333333333&roleName=switched&displayName=s>",
            # The console attaches IAMUserChangePassword, which is not part of the module.
            "Remove it (**Users**, `ann`",
            "Users with a first password change it",
        ),
        ("cannot sign in to the console",),
    ),
    "users without a password": (
        lambda: switch("trusted", users=[{"name": "ann"}]),
        ("cannot sign in to the console",),
        ("IAMUserChangePassword",),
    ),
    "no MFA": (
        lambda: switch("trusted", require_mfa=False), ("\n2. Open <https://signin",), ("MFA device**",),
    ),
    "no public console": (
        lambda: switch("trusting", partition="aws-iso"),
        ("The account ID `333333333333` and the role's name `switched`",),
        ("<https://",),
    ),
    "group next to the role": (lambda: switch("trusting", group_in="trusting"), ("Create the group `people`",), ()),
    "nothing": (lambda: switch("trusted", group_in="trusting"), ("nothing is created in this account",), ()),
    "existing principals": (
        lambda: switch("trusted", **EXISTING),
        (
            "Open the group `people`",
            "Add the user `ann`",
            "**User groups**, `people`, tab **Users**, select `ann`, **Remove**",
            "**User groups**, `people`, tab **Permissions**: search for and select `assume-switched`, **Remove**",
        ),
        (
            "**Create group**",
            "**Create user**",
            "`people`, **Delete**",
            "`ann`, **Delete**",
            "cannot sign in to the console",
            "Users with a first password change it",
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDING)
def test_steps_are_those_that_the_module_needs(name: str) -> None:
    page, present, absent = WORDING[name]
    text = page()

    assert [] == [each for each in present if each not in text]
    assert [] == [each for each in absent if each in text]
