"""The console walk-through creates exactly the module's access, for any names."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from review_worlds import changed, handovers_of, notes
from rolecall_generator.bundle.forms.console import WALKTHROUGH, walkthrough_form
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests
from walkthrough_reader import access_from, tokens_of

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
    """The walk-through of a module."""
    return walkthrough_form(handover)[WALKTHROUGH].decode()


def customer(**changes: Any) -> str:
    """The walk-through of one customer."""
    entry = {"name": "a", "account_id": "222222222222", "external_id": "id-1"} | changes
    return text_of(changed(customers=[entry])["customers/a"])


def switch(side: str, **changes: Any) -> str:
    """The walk-through of one side of a switch role."""
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


@pytest.mark.parametrize("path", sorted(notes()))
def test_walkthrough_of_example_accounts_has_the_modules_access(path: str) -> None:
    """Parsed only from its tables and JSON, each walk-through creates the module's access."""
    handover = notes()[path]

    assert handover.module.access.canonical() == access_from(text_of(handover)).canonical()


@settings(max_examples=30, deadline=None)
@given(manifests())
def test_walkthrough_of_random_manifests_has_the_modules_access(values: dict[str, Any]) -> None:
    """Names, descriptions, tags, paths and policies with special characters are unchanged, in both flows and sides."""
    for handover in handovers_of(Manifest.model_validate(values)).values():
        text = text_of(handover)

        assert handover.module.access.canonical() == access_from(text).canonical()
        assert [] == [name for name, said in commands_of(text) if said != made(handover, name)]


@settings(max_examples=30, deadline=None)
@given(manifests())
def test_values_never_become_markup(values: dict[str, Any]) -> None:
    """Values add no HTML tag, image or link; the only links are the page's own links to the console."""
    for handover in handovers_of(Manifest.model_validate(values)).values():
        flat = [child for token in tokens_of(text_of(handover)) for child in (token, *(token.children or ()))]
        links = [str(token.attrs["href"]) for token in flat if token.type == "link_open"]

        assert [] == [token.content for token in flat if token.type in {"html_inline", "html_block", "image"}]
        assert [] == [link for link in links if not link.startswith("https://") or "signin.aws.amazon.com/" not in link]


def test_account_is_checked_before_anything_is_created() -> None:
    """The first steps name the account, and so does the heading."""
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


@pytest.mark.parametrize(("seconds", "said"), [(7_200, "2 hours, `7200` seconds"), (5_400, "90 minutes, `5400` seconds")])
def test_session_duration_is_set_after_the_role_is_created(seconds: int, said: str) -> None:
    """The wizard has no field for it; for the default of one hour there is no such step."""
    assert f"set **Maximum session duration** to {said}" in customer(max_session_seconds=seconds)
    assert "set **Maximum session duration**" not in customer()


def test_boundary_is_selected_in_the_wizard() -> None:
    """The wizard's section for permissions boundaries is mentioned only if the role has one."""
    arn = "arn:aws:iam::aws:policy/PowerUserAccess"

    assert f"select `{arn}`" in customer(permissions_boundary=arn)
    assert "Set permissions boundary" not in customer()


def test_customer_sends_back_only_the_arn() -> None:
    """It is on a line of its own and includes the role's path."""
    text = customer(path="/vendor/")

    assert "\n    arn:aws:iam::222222222222:role/vendor/VendorAccess\n" in text.partition("## Send back")[2]


def test_missing_backend_role_is_explained() -> None:
    """AWS rejects a trust policy that names a missing role; this applies only to trust by role ARN."""
    assert "Invalid principal in policy" in customer()
    assert "Invalid principal in policy" not in customer(trust="account-root")


def test_steps_for_users_include_mfa_and_switching() -> None:
    """Users of the trusted account sign in, register MFA and open the switch-role link."""
    text = switch("trusted")

    assert "<https://444444444444.signin.aws.amazon.com/console>" in text
    assert "**Assign MFA device**" in text
    assert "<https://signin.aws.amazon.com/switchrole?account=333333333333&roleName=switched&displayName=s>" in text


def test_mfa_steps_are_omitted_without_mfa() -> None:
    """If the role does not require MFA, the remaining steps are numbered consecutively."""
    text = switch("trusted", require_mfa=False)

    assert "MFA device**" not in text
    assert "\n2. Open <https://signin" in text


def test_partition_without_public_console_has_no_link() -> None:
    """Users get account ID and role name instead."""
    text = switch("trusting", partition="aws-iso")

    assert "<https://" not in text
    assert "The account ID `333333333333` and the role's name `switched`" in text


def test_group_and_users_are_created_in_the_account_of_group_in() -> None:
    """With `group_in: trusting`, the trusting side creates them, and the trusted side creates nothing."""
    assert "Create the group `people`" in switch("trusting", group_in="trusting")
    assert "nothing is created in this account" in switch("trusted", group_in="trusting")


def test_existing_principals_are_not_created() -> None:
    """The policy is attached to an existing group, and an existing user is added to the group."""
    text = switch("trusted", group={"name": "people", "existing": True}, users=[{"name": "ann", "existing": True}])

    assert "Open the group `people`" in text
    assert "Add the user `ann`" in text
    assert ("**Create group**" in text, "**Create user**" in text) == (False, False)


def test_policy_added_by_the_console_is_removed() -> None:
    """The console attaches IAMUserChangePassword to users who must reset their password; the module does not have it."""
    assert "Remove it (**Users**, `ann`" in switch("trusted")
    assert "IAMUserChangePassword" not in switch("trusted", users=[{"name": "ann"}])


def test_missing_console_access_is_explained_for_users_without_password() -> None:
    """Only for new users without a password: new users with a password can sign in, and existing users are not changed."""
    said = "cannot sign in to the console"

    assert said in switch("trusted", users=[{"name": "reena"}])
    assert said not in switch("trusted", users=[{"name": "reena", "console_password": True}])
    assert said not in switch("trusted", users=[{"name": "reena", "existing": True}])


def test_existing_principals_are_not_deleted_by_removal_steps() -> None:
    """The policy and the added members are removed from an existing group; group and users are kept."""
    text = switch("trusted", group={"name": "people", "existing": True}, users=[{"name": "ann", "existing": True}])
    removing = text.partition("## Remove\n")[2]

    assert "**User groups**, `people`, tab **Users**, select `ann`, **Remove**" in removing
    assert "**User groups**, `people`, tab **Permissions**: search for and select `assume-switched`, **Remove**" in removing
    assert "`people`, **Delete**" not in removing
    assert "`ann`, **Delete**" not in removing


def test_password_change_is_mentioned_only_with_a_first_password() -> None:
    said = "Users with a first password change it"

    assert said in switch("trusted", users=[{"name": "ann", "console_password": True}])
    assert said not in switch("trusted", users=[{"name": "ann", "existing": True}])
