"""The security review as Markdown and HTML: principals, permissions, conditions, proof, revocation; values are escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings

from bundle_worlds import changed, handovers_of, notes, with_trust
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.bundle.forms.review import review_form, review_html, review_markdown
from rolecall_generator.bundle.review.content import Review, review_of
from rolecall_generator.bundle.review.phrases import Phrase, PhraseValue, format_phrase
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests
from walkthrough_reader import tokens_of

ACCOUNT1 = "customers/account1"
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "p", "h1", "h2", "code", "section", "dl", "dt", "dd",
    "div", "svg", "desc", "rect", "text", "tspan", "g", "path", "details", "summary", "ul", "li", "span", "table", "thead",
    "tr", "th", "tbody", "td", "i", "figure", "figcaption", "pre", "script",
}  # fmt: skip
HOSTILE = "</code><script>alert(1)</script>`|<img src=x>![a](http://b)\"'&"


def customer(permissions: dict[str, Any] | None = None, **changes: Any) -> Review:
    """The review of one customer, with one permission set if the test needs it."""
    entry = {"name": "a", "account_id": "222222222222", "external_id": "id-1"} | changes
    sets = {"read": permissions or {"statements": [{"actions": ["s3:GetObject"], "resources": ["*"]}]}}
    return review_of(changed(permission_sets=sets, customers=[entry])["customers/a"])


def statement(**values: Any) -> dict[str, Any]:
    return {"statements": [{"resources": ["*"]} | values]}


def fact(review: Review, label: str) -> str:
    return next(str(fact.value) for fact in review.facts if fact.label == label)


class Page(HTMLParser):
    """The elements of an HTML page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("pdf", [False, True])
def test_all_formats_are_reproducible(pdf: bool) -> None:
    first, again = (review_form(replace(notes()[ACCOUNT1], pdf=pdf)) for _ in range(2))

    assert ["review/review.md", "review/review.html", *(["review/review.pdf"] if pdf else [])] == list(first)
    assert first == again


def test_review_lists_principals_and_conditions() -> None:
    review = review_of(notes()[ACCOUNT1])

    assert "Access to account 222222222222 (account1)" == str(review.title)
    assert "The role arn:aws:iam::111111111111:role/backend_role, and no one else." == fact(review, "Who may assume it")
    assert "The external ID 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101 is presented." == fact(review, "On which condition")
    assert "At most 1 hour (3600 seconds)." == fact(review, "Session")


def test_principal_arn_condition_is_shown_as_principal() -> None:
    review = customer(trust="account-root")

    assert "The role arn:aws:iam::111111111111:role/backend_role, and no one else." == fact(review, "Who may assume it")
    assert "The external ID id-1 is presented." == fact(review, "On which condition")


def test_missing_external_id_is_stated() -> None:
    assert fact(customer(external_id=None), "On which condition").startswith("No condition: neither an external ID")


def test_both_external_ids_of_rotation_are_listed() -> None:
    said = fact(customer(previous_external_id="id-0"), "On which condition")

    assert "The external ID id-1 or id-0 is presented (both are valid while the ID is rotated)." == said


def test_session_tags_and_source_identity_are_listed() -> None:
    """The maximum duration of a chained session is listed, too, if it is shorter than that of the role."""
    review = customer(session_tags=True, source_identity=True, max_session_seconds=43_200)

    assert "pass session tags (sts:TagSession) and set a source identity" in fact(review, "On which condition")
    assert fact(review, "Session").endswith("A role that assumes this one gets 1 hour at most (role chaining).")


def test_intended_users_of_trusted_account_are_listed() -> None:
    review = review_of(notes()["switch-roles/reena-in-sumesh/trusting"])

    assert (
        "Principals that account 078352025563 allows, and no one else. Intended: reena of account 078352025563."
    ) == fact(review, "Who may assume it")  # fmt: skip
    assert "The caller has signed in with MFA." == fact(review, "On which condition")


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (["s3:ListBucket", "s3:GetObject"], "1 list, 1 read; no write or permissions management"),
        (["s3:PutObject"], "1 write; no permissions management"),
        (["iam:PutRolePolicy"], "1 permissions management; no write"),
        (["s3:Nonsense"], "no action that AWS has today"),
        (["*"], "all access levels, permissions management among them"),
    ],
)
def test_actions_are_counted_by_access_level(actions: list[str], said: str) -> None:
    """The levels are those of AWS; write and permissions management are listed even if there are none."""
    (grant,) = customer(statement(actions=actions)).grants

    assert said == grant.levels


@pytest.mark.parametrize(
    ("permissions", "said"),
    [
        (statement(actions=["*"]), "This allows everything that no other policy denies."),
        (statement(actions=["iam:CreateAccess*"]), "iam:CreateAccessKey creates credentials of other principals."),
        (
            statement(not_actions=["iam:*"]),
            "This allows all actions that are not listed, including those that AWS adds in the future.",
        ),
        ({"managed_policies": ["AdministratorAccess"]}, "This policy allows everything."),
    ],
)
def test_broad_permissions_are_highlighted(permissions: dict[str, Any], said: str) -> None:
    (grant,) = customer(permissions).grants

    assert (True, said) == (grant.broad, str(grant.warnings[0]))


def test_deny_statement_has_no_warning() -> None:
    (grant,) = customer(statement(effect="Deny", actions=["*"])).grants

    assert ("Denies every action of every service on every resource.", False) == (str(grant.sentence), grant.broad)


def test_long_action_list_is_shortened_only_in_the_sentence() -> None:
    actions = [f"ec2:Describe{letter}*" for letter in "ABCDEFGHIJKL"]
    review = customer(statement(actions=actions))

    assert "12 actions (ec2:DescribeA*, " in str(review.grants[0].sentence)
    assert [] == [action for action in actions if action not in review.documents[-1].text]


def test_managed_policies_are_listed_by_arn() -> None:
    other = "arn:aws:iam::222222222222:policy/own"
    theirs, aws = customer({"managed_policies": ["ReadOnlyAccess", other]}).grants

    assert "arn:aws:iam::aws:policy/ReadOnlyAccess. AWS may change its content" in str(aws.sentence)
    assert f"Everything in the policy {other} of account 222222222222; its content is not part" in str(theirs.sentence)


@pytest.mark.parametrize("path", sorted(notes()))
def test_policy_documents_equal_those_of_the_module(path: str) -> None:
    handover = notes()[path]
    access = handover.module.access
    expected = {policy.document for policy in access.policies.values()}
    for role in access.roles.values():
        expected |= {role.trust, *role.inline.values()} - {None}  # type: ignore[arg-type]

    assert expected == {PolicyDocument.from_json(json.loads(text)) for text in _json_blocks(markdown_of(handover))}


def test_passed_proof_is_listed_by_case() -> None:
    verdict = review_of(notes()[ACCOUNT1]).verdict

    assert ("good", "Proven: 6 of 6 access checks passed.") == (verdict.state, verdict.summary)
    assert ["allowed", *["refused"] * 5] == [str(row.outcome) for row in verdict.rows]
    assert ["arn:aws:iam::222222222222:role/role1 allows exactly the intended requests."] == [*map(str, verdict.roles)]


def test_request_decided_by_the_callers_account_is_delegated() -> None:
    """Other principals of a trusted account count as neither proven nor failed."""
    verdict = review_of(notes()["switch-roles/reena-in-sumesh/trusting"]).verdict

    assert "Proven: 7 of 8 access checks passed; 1 decided by the caller's account, as intended." == verdict.summary
    assert {"decided by account 078352025563"} == {str(row.outcome) for row in verdict.rows if row.state == "delegated"}


def test_failed_proof_shows_counterexamples() -> None:
    open_door = replace(_trust_of(notes()[ACCOUNT1]), conditions=())
    review = review_of(with_trust(notes()[ACCOUNT1], open_door))
    said = (
        "arn:aws:iam::111111111111:role/backend_role can assume arn:aws:iam::222222222222:role/role1 without an external ID"
    )

    assert "Not as intended: 2 of 6 access checks had a different result." == review.verdict.summary
    assert said in str(review.verdict.failures[0])
    assert said in review_markdown(review)
    assert ("header", {"class": "bad"}) in Page(review_html(review)).elements


@pytest.mark.parametrize(
    ("change", "claims", "values"),
    [
        (
            {"conditions": ()},
            ["allows requests that are not intended"],
            ["sts:ExternalId: absent or not StringEquals 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"],
        ),
        (
            {"conditions": (Condition("StringEquals", "sts:ExternalId", ("another",)),)},
            ["allows requests that are not intended", "does not allow requests that are intended"],
            ["StringEquals another", "--external-id another"],
        ),
        (
            {"principals": (Principal("AWS", "arn:aws:iam::999999999999:role/eve"),)},
            ["allows requests that are not intended", "does not allow requests that are intended"],
            ["caller: named by Principal arn:aws:iam::999999999999:role/eve"],
        ),
        (
            {"principals": (Principal("AWS", "AROAEXAMPLE1234567890"),)},
            ["may allow requests that are not intended", "not known: "],
            ["a principal is not the ARN of a user, role, session or account"],
        ),
    ],
)  # fmt: skip
def test_deviation_from_the_intent_is_shown_as_sets_of_requests(
    change: dict[str, Any], claims: list[str], values: list[str]
) -> None:
    review = review_of(with_trust(notes()[ACCOUNT1], replace(_trust_of(notes()[ACCOUNT1]), **change)))
    page, markdown = Page(review_html(review)).words, review_markdown(review)

    for text in (*claims, *values):
        assert text in " ".join(map(str, review.verdict.roles))
        assert text in page
        assert text in markdown
    assert "allows exactly" not in page


def test_hostile_value_in_a_deviation_is_text_in_every_format() -> None:
    condition = Condition("StringEquals", "aws:UserAgent", (HOSTILE,))
    trust = _trust_of(notes()[ACCOUNT1])
    review = review_of(with_trust(notes()[ACCOUNT1], trust, replace(trust, sid="", conditions=(condition,))))

    assert any(HOSTILE.replace('"', '\\"') in str(phrase) for phrase in review.verdict.roles)
    assert set() == {tag for tag, _ in Page(review_html(review)).elements} - TAGS
    assert [] == markup_of(review_markdown(review))


def test_revocation_lists_every_method() -> None:
    methods = {each.label: str(each.steps) for each in review_of(notes()[ACCOUNT1]).revocations}

    assert ["Immediately", "Running sessions", "Terraform", "CloudFormation", "AWS CLI", "Console"] == list(methods)
    assert "AWSRevokeOlderSessions" in methods["Immediately"]
    assert "They end after 1 hour at the latest." in methods["Running sessions"]


def test_single_users_can_be_revoked() -> None:
    methods = {
        each.label: str(each.steps) for each in review_of(notes()["switch-roles/reena-in-sumesh/trusted"]).revocations
    }

    assert "IAM console, User groups, reena-switchers, tab Users: remove the user from the group." == methods["One person"]
    assert methods["Running sessions"].startswith("End them in account 507074252730: IAM console, Roles, reena-assumedRole")


def test_empty_module_is_stated() -> None:
    switch = {
        "name": "s", "trusting": {"name": "one", "account_id": "333333333333"},
        "trusted": {"name": "two", "account_id": "444444444444"}, "role": "r", "group": "g", "group_in": "trusting",
    }  # fmt: skip
    review = review_of(changed(switch_roles=[switch])["switch-roles/s/trusted"])

    assert str(review.lead).startswith("Nothing is created in this account")
    assert ((), ()) == (review.revocations, review.grants)


def test_value_equal_to_a_fixed_phrase_is_not_cached_as_one() -> None:
    assert Phrase(("a",)) != format_phrase("{}", "a")
    assert "<code>a</code>" == format_phrase("{}", "a").__html__()


def test_values_are_escaped_in_markdown_and_html() -> None:
    phrase = format_phrase("It is {}.", HOSTILE)
    (inline,) = [token for token in tokens_of(phrase.md) if token.type == "inline"]

    assert [HOSTILE] == [child.content for child in inline.children or () if child.type == "code_inline"]
    assert [("code", {})] == Page(phrase.__html__()).elements
    assert f"It is {HOSTILE}." == Page(phrase.__html__()).words


@settings(max_examples=20, deadline=None)
@given(manifests())
def test_every_value_is_on_the_page_and_never_markup(values: dict[str, Any]) -> None:
    """For any manifest, the page has every fact, grant and document, but only the template's elements, no event handlers and
    no external addresses, and the Markdown has no HTML.
    """
    for handover in handovers_of(Manifest.model_validate(values)).values():
        review = review_of(replace(handover, source=HOSTILE))
        page = Page(review_html(review))
        names = [name for _, attributes in page.elements for name in attributes]
        said = [*(str(fact.value) for fact in review.facts), *(str(grant.sentence) for grant in review.grants)]

        assert set() == {tag for tag, _ in page.elements} - TAGS
        assert 1 == sum(tag == "script" for tag, _ in page.elements)
        assert [] == [name for name in names if name.startswith("on") or name in {"src", "href"}]
        assert [] == [text for text in (*said, *(document.text for document in review.documents)) if text not in page.words]
        assert [] == markup_of(review_markdown(review))


def markup_of(text: str) -> list[str]:
    flat = [child for token in tokens_of(text) for child in (token, *(token.children or ()))]
    return [token.content for token in flat if token.type in {"html_inline", "html_block", "image", "link_open"}]


def markdown_of(handover: Handover) -> str:
    return review_markdown(review_of(handover))


def _json_blocks(text: str) -> Iterator[str]:
    return (token.content for token in tokens_of(text) if token.type == "fence" and token.info == "json")


def _trust_of(handover: Handover) -> Statement:
    (role,) = handover.module.access.roles.values()
    assert role.trust is not None
    return role.trust.statements[0]


def test_phrase_requires_one_value_per_placeholder() -> None:
    """A missing value raises an error, so that no page contains braces."""
    with pytest.raises(ValueError, match="has 2 placeholders for 1 values"):
        format_phrase("{} and {}", "one")


def test_phrase_has_plain_text() -> None:
    """Used for titles and for search: text and values without markup."""
    assert "a `b` c" == str(Phrase(("a ", PhraseValue("`b`"), " c")))


def test_lists_have_no_space_before_separators() -> None:
    long = customer(
        statement(actions=["s3:GetObject"], resources=[f"arn:aws:s3:::bucket-{number}/*" for number in range(40)])
    )

    assert "arn:aws:s3:::bucket-0/*, arn:aws:s3:::bucket-1/*" in str(long.grants[0].sentence)
    assert [] == [text for text in (str(grant.sentence) for grant in long.grants) if " ," in text or " ;" in text]


def test_existing_group_is_not_deleted_by_revocation() -> None:
    group = {"name": "staff", "existing": True}
    entry = {
        "name": "s", "trusting": {"name": "a", "account_id": "333333333333"},
        "trusted": {"name": "b", "account_id": "444444444444"}, "role": "switched", "group": group,
        "users": [{"name": "ann", "existing": True}],
    }  # fmt: skip
    review = review_of(changed(switch_roles=[entry])["switch-roles/s/trusted"])
    (console,) = [str(method.steps) for method in review.revocations if method.label == "Console"]

    assert "staff, tab Permissions: remove assume-switched. The group itself existed before" in console
    assert "Delete" not in console
