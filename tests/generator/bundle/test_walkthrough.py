"""The console walk-through: what it has people make is the module's access, whatever its names hold."""

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
    """The walk-through of a handover."""
    return walkthrough_form(handover)[WALKTHROUGH].decode()


def customer(**changes: Any) -> str:
    """The walk-through of one customer."""
    entry = {"name": "a", "account_id": "222222222222", "external_id": "id-1"} | changes
    return text_of(changed(customers=[entry])["customers/a"])


def switch(side: str, **changes: Any) -> str:
    """The walk-through of one side of a switch role."""
    return text_of(changed(switch_roles=[SWITCH | changes])[f"switch-roles/s/{side}"])


def commands_of(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands for CloudShell as a shell reads them: what they make, and their options with JSON read."""
    for token in tokens_of(text):
        if token.type == "fence" and token.info == "sh":
            _, _, operation, *rest = shlex.split(token.content)
            options = dict(zip(rest[::2], rest[1::2], strict=True))
            read = {name: json.loads(value) if value[0] in "[{" else value for name, value in options.items()}
            yield f"{operation} {next(iter(options.values()))}", read


def made(handover: Handover, name: str) -> dict[str, Any]:
    """The options by which the command of that name makes its part of the module."""
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
    """A document without the empty ids of statements."""
    statements = [{key: value for key, value in item.items() if value != ""} for item in document["Statement"]]
    return document | {"Statement": statements}


@pytest.mark.parametrize("path", sorted(notes()))
def test_the_notes_accounts_are_made_exactly(path: str) -> None:
    """Read back from tables and JSON alone, the walk-through of the notes makes the module's access."""
    handover = notes()[path]

    assert handover.module.access.canonical() == access_from(text_of(handover)).canonical()


@settings(max_examples=30, deadline=None)
@given(manifests())
def test_any_access_is_read_back_from_the_text(values: dict[str, Any]) -> None:
    """Hostile names, descriptions, tags, paths and policies come out as they are, in both flows and on both sides."""
    for handover in handovers_of(Manifest.model_validate(values)).values():
        text = text_of(handover)

        assert handover.module.access.canonical() == access_from(text).canonical()
        assert [] == [name for name, said in commands_of(text) if said != made(handover, name)]


@settings(max_examples=30, deadline=None)
@given(manifests())
def test_no_value_becomes_markup(values: dict[str, Any]) -> None:
    """No value opens an HTML tag, a picture, or a link but those to the console that the page itself has."""
    for handover in handovers_of(Manifest.model_validate(values)).values():
        flat = [child for token in tokens_of(text_of(handover)) for child in (token, *(token.children or ()))]
        links = [str(token.attrs["href"]) for token in flat if token.type == "link_open"]

        assert [] == [token.content for token in flat if token.type in {"html_inline", "html_block", "image"}]
        assert [] == [link for link in links if not link.startswith("https://") or "signin.aws.amazon.com/" not in link]


def test_the_account_is_checked_before_anything_is_made() -> None:
    """The first steps name the account, and the heading too."""
    text = customer()
    before, _, after = text.partition("## 1.")

    assert "the **Account ID** must be `222222222222`" in before
    assert "Create role" in after


def test_a_role_below_a_path_is_made_by_a_command() -> None:
    """The console makes roles at the path / alone: CloudShell gets one command with path, trust policy and tags."""
    text = customer(path="/vendor/", tags={"team": "a b"})
    (line,) = (line for line in text.splitlines() if line.startswith("aws iam create-role"))
    words = shlex.split(line)
    options = dict(zip(words[3::2], words[4::2], strict=True))

    assert ("/vendor/", "VendorAccess") == (options["--path"], options["--role-name"])
    assert '[{"Key": "team", "Value": "a b"}]' == options["--tags"]
    assert '"sts:ExternalId":["id-1"]' in options["--assume-role-policy-document"]
    assert "**Create role**" not in text


@pytest.mark.parametrize(("seconds", "said"), [(7_200, "2 hours, `7200` seconds"), (5_400, "90 minutes, `5400` seconds")])
def test_a_longer_session_is_set_after_the_role_is_made(seconds: int, said: str) -> None:
    """The role's wizard has no field for it; one hour is what AWS sets by itself, so then nothing is said."""
    assert f"set **Maximum session duration** to {said}" in customer(max_session_seconds=seconds)
    assert "set **Maximum session duration**" not in customer()


def test_a_boundary_is_selected_in_the_wizard() -> None:
    """With a permissions boundary the wizard's section is opened, without one it is left closed."""
    arn = "arn:aws:iam::aws:policy/PowerUserAccess"

    assert f"select `{arn}`" in customer(permissions_boundary=arn)
    assert "Set permissions boundary" not in customer()


def test_the_customer_sends_back_the_arn_alone() -> None:
    """What to send back stands on a line of its own, with the role's path."""
    text = customer(path="/vendor/")

    assert "\n    arn:aws:iam::222222222222:role/vendor/VendorAccess\n" in text.partition("## Send back")[2]


def test_a_missing_backend_role_is_explained() -> None:
    """AWS refuses a trust in a role that does not exist: only a trust by role ARN can meet that."""
    assert "Invalid principal in policy" in customer()
    assert "Invalid principal in policy" not in customer(trust="account-root")


def test_people_are_led_through_mfa_and_the_switch() -> None:
    """The trusted account's people sign in, register MFA and follow the link."""
    text = switch("trusted")

    assert "<https://444444444444.signin.aws.amazon.com/console>" in text
    assert "**Assign MFA device**" in text
    assert "<https://signin.aws.amazon.com/switchrole?account=333333333333&roleName=switched&displayName=s>" in text


def test_without_mfa_nothing_is_said_of_a_device() -> None:
    """Where the role asks for no MFA, the steps are numbered without it."""
    text = switch("trusted", require_mfa=False)

    assert "MFA device**" not in text
    assert "\n2. Open <https://signin" in text


def test_a_partition_without_public_console_has_no_link() -> None:
    """There people are told account ID and role name."""
    text = switch("trusting", partition="aws-iso")

    assert "<https://" not in text
    assert "The account ID `333333333333` and the role's name `switched`" in text


def test_group_and_users_follow_the_manifest_into_the_trusting_account() -> None:
    """With group_in: trusting the trusting side makes them, and the trusted side nothing."""
    assert "Create the group `people`" in switch("trusting", group_in="trusting")
    assert "nothing is created in this account" in switch("trusted", group_in="trusting")


def test_what_exists_is_not_made_again() -> None:
    """An existing group gets the policy, an existing user joins the group."""
    text = switch("trusted", group={"name": "people", "existing": True}, users=[{"name": "ann", "existing": True}])

    assert "Open the group `people`" in text
    assert "Add the user `ann`" in text
    assert ("**Create group**" in text, "**Create user**" in text) == (False, False)


def test_the_policy_that_the_console_adds_is_taken_away() -> None:
    """The console attaches a policy to users who must change their password; the module has none such."""
    assert "Remove it (**Users**, `ann`" in switch("trusted")
    assert "IAMUserChangePassword" not in switch("trusted", users=[{"name": "ann"}])


def test_who_gets_no_password_is_told_what_is_missing_for_the_console() -> None:
    """Of a new user without a password alone: one with a password can sign in, one that exists is as it is."""
    said = "cannot sign in to the console"

    assert said in switch("trusted", users=[{"name": "reena"}])
    assert said not in switch("trusted", users=[{"name": "reena", "console_password": True}])
    assert said not in switch("trusted", users=[{"name": "reena", "existing": True}])


def test_what_existed_before_is_not_deleted_by_the_last_steps() -> None:
    """An existing group loses the policy and the members it was given, and stays, as they do."""
    text = switch("trusted", group={"name": "people", "existing": True}, users=[{"name": "ann", "existing": True}])
    removing = text.partition("## Remove\n")[2]

    assert "**User groups**, `people`, tab **Users**, select `ann`, **Remove**" in removing
    assert "**User groups**, `people`, tab **Permissions**: search for and select `assume-switched`, **Remove**" in removing
    assert "`people`, **Delete**" not in removing
    assert "`ann`, **Delete**" not in removing


def test_a_first_password_is_spoken_of_where_there_is_one() -> None:
    """No one is told to change a password that was not given."""
    said = "Users with a first password change it"

    assert said in switch("trusted", users=[{"name": "ann", "console_password": True}])
    assert said not in switch("trusted", users=[{"name": "ann", "existing": True}])
