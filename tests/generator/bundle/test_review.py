"""The reviewer's page in words: who, what, on which condition, what is proven, how to take it back; values stay data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings

from review_worlds import changed, handovers_of, notes, with_trust
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.bundle.forms.review import review_form, review_html, review_markdown
from rolecall_generator.bundle.review.content import Review, review_of
from rolecall_generator.bundle.review.phrases import Phrase, PhraseValue, format_phrase
from rolecall_generator.iam.policy import PolicyDocument, Statement
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
    """The review of one customer, with one permission set where it matters."""
    entry = {"name": "a", "account_id": "222222222222", "external_id": "id-1"} | changes
    sets = {"read": permissions or {"statements": [{"actions": ["s3:GetObject"], "resources": ["*"]}]}}
    return review_of(changed(permission_sets=sets, customers=[entry])["customers/a"])


def statement(**values: Any) -> dict[str, Any]:
    """A permission set of one statement."""
    return {"statements": [{"resources": ["*"]} | values]}


def fact(review: Review, label: str) -> str:
    """What the table says of a label."""
    return next(str(fact.value) for fact in review.facts if fact.label == label)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its words."""

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
def test_all_forms_have_the_same_bytes_every_time(pdf: bool) -> None:
    """The same handover gives the same files, whatever was written before; a PDF only if it asks for one."""
    first, again = (review_form(replace(notes()[ACCOUNT1], pdf=pdf)) for _ in range(2))

    assert ["review/review.md", "review/review.html", *(["review/review.pdf"] if pdf else [])] == list(first)
    assert first == again


def test_the_page_says_who_may_assume_the_role_and_on_which_condition() -> None:
    """For a customer of the notes: the role by ARN, the external ID, the session's length."""
    review = review_of(notes()[ACCOUNT1])

    assert "Access to account 222222222222 (account1)" == str(review.title)
    assert "The role arn:aws:iam::111111111111:role/backend_role, and no one else." == fact(review, "Who may assume it")
    assert "The external ID 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101 is presented." == fact(review, "On which condition")
    assert "At most 1 hour (3600 seconds)." == fact(review, "Session")


def test_trust_by_account_and_principal_arn_names_the_role() -> None:
    """With `trust: account-root` the condition on aws:PrincipalArn says who it is, and is not told as a condition."""
    review = customer(trust="account-root")

    assert "The role arn:aws:iam::111111111111:role/backend_role, and no one else." == fact(review, "Who may assume it")
    assert "The external ID id-1 is presented." == fact(review, "On which condition")


def test_a_role_without_external_id_is_told_so() -> None:
    """Nothing is glossed over: no condition is said to be none."""
    assert fact(customer(external_id=None), "On which condition").startswith("No condition: neither an external ID")


def test_both_external_ids_of_a_rotation_are_named() -> None:
    """During a rotation two ids are accepted, and the page says why."""
    said = fact(customer(previous_external_id="id-0"), "On which condition")

    assert "The external ID id-1 or id-0 is presented (both are valid while the ID is rotated)." == said


def test_what_may_be_done_with_a_session_besides_is_told() -> None:
    """Session tags and a source identity are part of what is granted; a chained session is shorter than the role's limit."""
    review = customer(session_tags=True, source_identity=True, max_session_seconds=43_200)

    assert "pass session tags (sts:TagSession) and set a source identity" in fact(review, "On which condition")
    assert fact(review, "Session").endswith("A role that assumes this one gets 1 hour at most (role chaining).")


def test_switching_people_are_named_beside_the_account_that_is_trusted() -> None:
    """A trusted account decides who gets in: the page says whom the manifest means."""
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
    """The levels are AWS's own; a level that matters is named when it is missing too."""
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
def test_sweeping_grants_are_pointed_out(permissions: dict[str, Any], said: str) -> None:
    """What gives more than it seems to is marked, with the reason."""
    (grant,) = customer(permissions).grants

    assert (True, said) == (grant.broad, str(grant.warnings[0]))


def test_a_denial_is_never_a_warning() -> None:
    """Denying everything takes away: it is told as a denial, without a mark."""
    (grant,) = customer(statement(effect="Deny", actions=["*"])).grants

    assert ("Denies every action of every service on every resource.", False) == (str(grant.sentence), grant.broad)


def test_many_actions_are_counted_in_the_sentence_and_written_out_in_the_document() -> None:
    """A sentence names a few actions; the exact statement holds all of them."""
    actions = [f"ec2:Describe{letter}*" for letter in "ABCDEFGHIJKL"]
    review = customer(statement(actions=actions))

    assert "12 actions (ec2:DescribeA*, " in str(review.grants[0].sentence)
    assert [] == [action for action in actions if action not in review.documents[-1].text]


def test_managed_policies_are_named_by_arn() -> None:
    """AWS's policies and those of others: by ARN, and with who keeps their text."""
    other = "arn:aws:iam::222222222222:policy/own"
    theirs, aws = customer({"managed_policies": ["ReadOnlyAccess", other]}).grants

    assert "arn:aws:iam::aws:policy/ReadOnlyAccess. AWS may change its content" in str(aws.sentence)
    assert f"Everything in the policy {other} of account 222222222222; its content is not part" in str(theirs.sentence)


@pytest.mark.parametrize("path", sorted(notes()))
def test_the_exact_documents_are_the_modules_documents(path: str) -> None:
    """Every JSON block of the Markdown is one of the module's documents, and none is missing."""
    handover = notes()[path]
    access = handover.module.access
    expected = {policy.document for policy in access.policies.values()}
    for role in access.roles.values():
        expected |= {role.trust, *role.inline.values()} - {None}  # type: ignore[arg-type]

    assert expected == {PolicyDocument.from_json(json.loads(text)) for text in _json_blocks(markdown_of(handover))}


def test_a_good_proof_is_told_case_by_case() -> None:
    """All requests as intended: counted, and each kind with what came out."""
    verdict = review_of(notes()[ACCOUNT1]).verdict

    assert ("good", "Proven: 6 of 6 access checks passed.") == (verdict.state, verdict.summary)
    assert ["allowed", *["refused"] * 5] == [str(row.outcome) for row in verdict.rows]
    assert ["arn:aws:iam::222222222222:role/role1 allows exactly the intended requests."] == [*map(str, verdict.roles)]


def test_what_the_account_decides_is_said_to_be_left_to_it() -> None:
    """Neither proven nor wrong: other people of a trusted account."""
    verdict = review_of(notes()["switch-roles/reena-in-sumesh/trusting"]).verdict

    assert "Proven: 7 of 8 access checks passed; 1 decided by the caller's account, as intended." == verdict.summary
    assert {"decided by account 078352025563"} == {str(row.outcome) for row in verdict.rows if row.state == "delegated"}


def test_a_failed_proof_shows_its_counterexamples() -> None:
    """A trust policy without its condition: in every form the page is red and says who gets in and how."""
    open_door = replace(_trust_of(notes()[ACCOUNT1]), conditions=())
    review = review_of(with_trust(notes()[ACCOUNT1], open_door))
    said = (
        "arn:aws:iam::111111111111:role/backend_role can assume arn:aws:iam::222222222222:role/role1 without an external ID"
    )

    assert "Not as intended: 2 of 6 access checks had a different result." == review.verdict.summary
    assert said in str(review.verdict.failures[0])
    assert said in review_markdown(review)
    assert ("header", {"class": "bad"}) in Page(review_html(review)).elements


def test_each_way_to_take_access_back_is_named() -> None:
    """Running sessions first, then the four ways by which it was given."""
    methods = {each.label: str(each.steps) for each in review_of(notes()[ACCOUNT1]).revocations}

    assert ["Immediately", "Running sessions", "Terraform", "CloudFormation", "AWS CLI", "Console"] == list(methods)
    assert "AWSRevokeOlderSessions" in methods["Immediately"]
    assert "They end after 1 hour at the latest." in methods["Running sessions"]


def test_people_can_be_taken_out_one_by_one() -> None:
    """Where the people are, the group is the place; their sessions are cut where the role is."""
    methods = {
        each.label: str(each.steps) for each in review_of(notes()["switch-roles/reena-in-sumesh/trusted"]).revocations
    }

    assert "IAM console, User groups, reena-switchers, tab Users: remove the user from the group." == methods["One person"]
    assert methods["Running sessions"].startswith("End them in account 507074252730: IAM console, Roles, reena-assumedRole")


def test_a_module_that_makes_nothing_says_so() -> None:
    """With group_in: trusting the trusted account has nothing to review and nothing to take back."""
    switch = {
        "name": "s", "trusting": {"name": "one", "account_id": "333333333333"},
        "trusted": {"name": "two", "account_id": "444444444444"}, "role": "r", "group": "g", "group_in": "trusting",
    }  # fmt: skip
    review = review_of(changed(switch_roles=[switch])["switch-roles/s/trusted"])

    assert str(review.lead).startswith("Nothing is created in this account")
    assert ((), ()) == (review.revocations, review.grants)


def test_a_value_never_equals_our_own_words() -> None:
    """What is remembered of a phrase of our own is never used for a value of the same text."""
    assert Phrase(("a",)) != format_phrase("{}", "a")
    assert "<code>a</code>" == format_phrase("{}", "a").__html__()


def test_values_are_code_in_markdown_and_html() -> None:
    """A hostile value is one code span in Markdown, and text in HTML."""
    phrase = format_phrase("It is {}.", HOSTILE)
    (inline,) = [token for token in tokens_of(phrase.md) if token.type == "inline"]

    assert [HOSTILE] == [child.content for child in inline.children or () if child.type == "code_inline"]
    assert [("code", {})] == Page(phrase.__html__()).elements
    assert f"It is {HOSTILE}." == Page(phrase.__html__()).words


@settings(max_examples=20, deadline=None)
@given(manifests())
def test_no_value_becomes_an_element(values: dict[str, Any]) -> None:
    """Whatever a manifest holds, the page has our own elements alone, no handler, and no address outside itself."""
    for handover in handovers_of(Manifest.model_validate(values)).values():
        elements = Page(review_html(review_of(replace(handover, source=HOSTILE)))).elements
        names = [name for _, attributes in elements for name in attributes]

        assert set() == {tag for tag, _ in elements} - TAGS
        assert 1 == sum(tag == "script" for tag, _ in elements)
        assert [] == [name for name in names if name.startswith("on") or name in {"src", "href"}]


@settings(max_examples=20, deadline=None)
@given(manifests())
def test_every_value_is_on_the_page(values: dict[str, Any]) -> None:
    """Nothing is dropped: every fact, grant and document stands in the HTML, and the Markdown has no markup of theirs."""
    for handover in handovers_of(Manifest.model_validate(values)).values():
        review = review_of(handover)
        words = Page(review_html(review)).words
        flat = [child for token in tokens_of(review_markdown(review)) for child in (token, *(token.children or ()))]
        said = [*(str(fact.value) for fact in review.facts), *(str(grant.sentence) for grant in review.grants)]

        assert [] == [text for text in (*said, *(document.text for document in review.documents)) if text not in words]
        assert [] == [token.content for token in flat if token.type in {"html_inline", "html_block", "image", "link_open"}]


def markdown_of(handover: Handover) -> str:
    """The review of a handover as Markdown."""
    return review_markdown(review_of(handover))


def _json_blocks(text: str) -> Iterator[str]:
    return (token.content for token in tokens_of(text) if token.type == "fence" and token.info == "json")


def _trust_of(handover: Handover) -> Statement:
    (role,) = handover.module.access.roles.values()
    assert role.trust is not None
    return role.trust.statements[0]


def test_a_phrase_needs_as_many_values_as_it_has_places() -> None:
    """A sentence with a hole is a mistake of ours, not a page with braces in it."""
    with pytest.raises(ValueError, match="has 2 placeholders for 1 values"):
        format_phrase("{} and {}", "one")


def test_a_phrase_is_plain_text_too() -> None:
    """For titles and for the search: words and values as they are."""
    assert "a `b` c" == str(Phrase(("a ", PhraseValue("`b`"), " c")))


def test_lists_have_no_space_before_their_signs() -> None:
    """Commas and semicolons stand at the word before them, in long lists as well."""
    long = customer(
        statement(actions=["s3:GetObject"], resources=[f"arn:aws:s3:::bucket-{number}/*" for number in range(40)])
    )

    assert "arn:aws:s3:::bucket-0/*, arn:aws:s3:::bucket-1/*" in str(long.grants[0].sentence)
    assert [] == [text for text in (str(grant.sentence) for grant in long.grants) if " ," in text or " ;" in text]


def test_an_existing_group_is_not_deleted_to_take_access_back() -> None:
    """The policy that it was given goes; the group was there before."""
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
