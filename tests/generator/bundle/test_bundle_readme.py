"""README.md of a bundle, the one thing to open: it tells of what is there, names what to send back, and links to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt

from bundle_worlds import SWITCH_ROLE, handovers
from manifests import customer, manifest_of
from rolecall_generator.bundle.build import bundle_files, readme_form
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests

WAYS = ["### With Terraform", "### With CloudFormation", "### With the AWS CLI", "### In the AWS console"]


def page(manifest: Manifest, path: str) -> str:
    return bundle_files(handovers(manifest)[path])["README.md"].decode()


def switch(path: str, **changes: Any) -> str:
    """A switch role's page."""
    return page(manifest_of(0, switch_roles=[SWITCH_ROLE | changes]), path)


def sent_back(text: str) -> str:
    """What stands under the heading Send back."""
    return text.partition("## Send back\n")[2].partition("\n## ")[0].strip()


def test_a_customer_is_told_who_asks_for_what_on_which_condition() -> None:
    """Backend role, own role, external ID and session length stand at the top."""
    top = page(manifest_of(0, customers=[customer(0, external_id="id-of-acme")]), "customer0").partition("\n## ")[0]

    for fact in ("arn:aws:iam::111111111111:role/backend_role", "role/vendor/VendorAccess", "id-of-acme", "3600 seconds"):
        assert fact in top


def test_all_four_ways_are_shown_in_their_order() -> None:
    """Terraform, CloudFormation, AWS CLI, console."""
    text = page(manifest_of(1), "customer0")

    assert sorted(WAYS, key=text.index) == [way for way in WAYS if way in text]


def test_a_way_that_the_bundle_has_not_is_not_told_of() -> None:
    """With the Terraform files alone there is no word of the other ways, nor of a review."""
    files = readme_form(handovers(manifest_of(1))["customer0"], {"terraform/main.tf"})
    text = files["README.md"].decode()

    assert [WAYS[0]] == [way for way in WAYS if way in text]
    assert "aws-cli" not in text
    assert "review/" not in text


def test_the_one_line_to_send_back_is_the_roles_arn_or_the_link() -> None:
    """A customer sends the ARN, the trusting side the switch-role link, the trusted side nothing."""
    assert "arn:aws:iam::200000000000:role/vendor/VendorAccess" in sent_back(page(manifest_of(1), "customer0"))
    assert "https://signin.aws.amazon.com/switchrole?" in sent_back(switch("switch-roles/ops/trusting"))
    assert "Nothing." == sent_back(switch("switch-roles/ops/trusted"))


def test_a_partition_without_a_public_console_sends_the_arn_back() -> None:
    """Where there is no link the role's ARN stands in its place."""
    text = switch("switch-roles/ops/trusting", partition="aws-iso")

    assert "arn:aws-iso:iam::900000000001:role/switched" in sent_back(text)


def test_an_account_in_which_nothing_is_made_has_nothing_to_do() -> None:
    """With `group_in: trusting` the trusted side's page shows no way and nothing to take back."""
    text = switch("switch-roles/ops/trusted", group_in="trusting")

    assert "nothing to do" in text
    assert [] == [way for way in WAYS if way in text]
    assert "## Remove the access" not in text


@pytest.mark.parametrize("path", ["switch-roles/ops/trusting", "switch-roles/ops/trusted"])
def test_people_who_are_made_are_named(path: str) -> None:
    """Users stand on the page of the account in which they are made."""
    text = switch(path, group_in=path.rpartition("/")[2])

    assert "`reena`" in text


@settings(max_examples=15, deadline=None)
@given(manifests())
def test_links_lead_to_files_and_values_stay_text(values: dict[str, Any]) -> None:
    """Every link is a file of the bundle or the console's; no value of a manifest becomes markup."""
    for handover in handovers(Manifest.model_validate(values)).values():
        files = bundle_files(handover)
        text = files["README.md"].decode()
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        flat = [child for token in tokens for child in (token, *(token.children or ()))]
        links = [str(token.attrs["href"]) for token in flat if token.type == "link_open"]

        assert [] == [link for link in links if link not in files]
        assert 1 == sum(token.type == "html_block" for token in flat)  # the line that says who generated it
        assert [] == [token.content for token in flat if token.type in {"html_inline", "image"}]


def test_two_external_ids_are_explained() -> None:
    """During a rotation the page says why there are two; of one id it says nothing."""
    said = "both are valid while the ID is rotated"
    both = customer(0, external_id="the-new-id", previous_external_id="the-old-id")

    assert said in page(manifest_of(0, customers=[both]), "customer0")
    assert said not in page(manifest_of(1), "customer0")


def test_a_boundary_that_must_exist_is_named() -> None:
    """AWS refuses a role whose boundary is not there: whoever applies it must know before."""
    boundary = "arn:aws:iam::900000000001:policy/limits"

    assert f"{boundary}`, which must exist before" in switch("switch-roles/ops/trusting", permissions_boundary=boundary)
    assert "must exist before" not in switch("switch-roles/ops/trusting")


def test_people_made_beside_the_role_are_taken_away_as_well() -> None:
    """With group_in: trusting the role is not all that was made in the account."""
    said = "then the users, the group and the policies that were created for it"

    assert said in switch("switch-roles/ops/trusting", group_in="trusting")
    assert said not in switch("switch-roles/ops/trusting")


def test_the_stacks_page_names_what_must_exist_and_sends_nothing_back_in_vain() -> None:
    """The boundary before the deployment; outputs to send back only where there is something to send back."""
    boundary = "arn:aws:iam::900000000001:policy/limits"
    manifest = manifest_of(0, switch_roles=[SWITCH_ROLE | {"permissions_boundary": boundary}])
    texts = {
        side: bundle_files(handovers(manifest)[f"switch-roles/ops/{side}"])["cloudformation/README.md"].decode()
        for side in ("trusting", "trusted")
    }

    assert f"The permissions boundary `{boundary}` must exist before you deploy." in texts["trusting"]
    assert "boundary" not in texts["trusted"]
    assert ("to send back" in texts["trusting"], "to send back" in texts["trusted"]) == (True, False)
