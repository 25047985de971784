"""The faces of the proof: matrix, JSON, sentences, page and picture."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proof_worlds import BACKEND, HOSTILE, customer_arn, customers, trust_statement
from rolecall_generator.html_page import asset, csp_hash
from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_generator.proof import (
    Case,
    CellState,
    Proof,
    RoleState,
    Trust,
    condition_names,
    counterexample_sentences,
    prove,
    role_sentences,
    role_state,
    summarize,
)
from rolecall_generator.reports.formatters.html import proof_html
from rolecall_generator.reports.formatters.json import proof_json
from rolecall_generator.reports.graph.graph_model import EdgeState, access_graph, describe, to_mermaid
from rolecall_generator.reports.graph.svg import lay_out, to_svg
from rolecall_generator.text import REPLACEMENT, escape_markup, sanitize_lines

NO_ID: dict[str, Any] = {"Condition": None}
ROLE = "arn:aws:iam::507074252730:role/reena-assumedRole"
REENA = "arn:aws:iam::078352025563:user/reena"


def document(*statements: dict[str, Any]) -> PolicyDocument:
    return PolicyDocument.from_json({"Version": "2012-10-17", "Statement": list(statements)})


def switching() -> tuple[Access, Proof]:
    """A role to switch to that trusts the people's whole account, as intended."""
    trust = trust_statement(0, Principal={"AWS": "078352025563"}, Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})
    grant = document({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE})
    access = Access.of(Role(ROLE, document(trust)), Role(REENA.replace("user", "role"), None, {"a": grant}, existing=True))
    trusts = [
        Trust("reena", ROLE, (REENA.replace("user", "role"),), requires_mfa=True, delegates_to=frozenset({"078352025563"}))
    ]
    return access, prove(access, trusts)


def parsed(text: str) -> Xml.Element:
    return Xml.fromstring(text)  # noqa: S314 - our own output, without entities


def states(proof: Proof) -> dict[Case, CellState]:
    matrix = summarize(proof)
    return {case: mark.state for case, mark in zip(matrix.columns, matrix.rows[0].marks, strict=True)}


def test_matrix_has_failing_rows_first_and_counts_requests() -> None:
    """Rows keep the proof's order within failing and fine; counts are those of the proof."""
    _, proof = customers(4, {2: NO_ID})
    matrix = summarize(proof)

    assert ["customer-2", "customer-0", "customer-1", "customer-3"] == [row.subject for row in matrix.rows]
    assert (len(proof.cells), 2, 0) == (matrix.requests, matrix.failed, matrix.delegated)
    assert proof.failures == matrix.failing[0].failures
    assert Case.NO_MFA not in matrix.columns


def test_marks_say_failed_delegated_not_asked() -> None:
    """A mark is the worst of its cells; a column that a role has no request for is not asked."""
    _, proof = customers(1, {0: NO_ID})
    _, with_account = switching()
    both = summarize(Proof((*proof.rows, *with_account.rows)))
    fine_row = dict(zip(both.columns, both.passing[0].marks, strict=True))

    assert (CellState.OK, CellState.FAILED) == (states(proof)[Case.INTENDED], states(proof)[Case.NO_EXTERNAL_ID])
    assert CellState.NOT_APPLICABLE is fine_row[Case.NO_EXTERNAL_ID].state
    assert CellState.DELEGATED is fine_row[Case.OTHER_PRINCIPAL].state


def test_many_fine_rows_stand_as_one_number() -> None:
    """A table shows failing rows singly and counts the rest; a few fine rows are shown too."""
    many, sequential_limit = summarize(customers(50, {7: NO_ID})[1]), summarize(customers(3, {1: NO_ID})[1])

    assert (["customer-7"], 49) == ([row.subject for row in many.rows_to_print()[0]], many.rows_to_print()[1])
    assert (3, 0) == (len(sequential_limit.rows_to_print()[0]), sequential_limit.rows_to_print()[1])


def test_equal_marks_are_one_object() -> None:
    """Ten thousand customers need a handful of patterns."""
    assert 2 == len({id(row.marks) for row in summarize(customers(200, {7: NO_ID})[1]).rows})


def test_json_carries_counterexamples() -> None:
    """A failed cell has principal, context with absent keys as null, and the deciding statement as AWS writes it."""
    body = json.loads(proof_json(customers(3, {1: NO_ID})[1]))
    row = next(row for row in body["rows"] if not row["ok"])
    cell = next(cell for cell in row["cells"] if not cell["ok"])

    assert {"rows": 3, "cells": 18, "failed": 2, "delegated": 0, "undecided": 0, "exact": 2} == body["counts"]
    assert ("customer-1", customer_arn(1)) == (row["subject"], row["role"])
    witness = cell.pop("witness")
    assert {
        "case": "no external ID",
        "ok": False,
        "delegated": False,
        "state": "failed",
        "principal": BACKEND,
        "action": "sts:AssumeRole",
        "context": {},
        "requires": [],
        "expected": "refused",
        "allowed": True,
        "effect": "allow",
        "reason": f"allowed by trust policy of {customer_arn(1)}",
        "policy": f"trust policy of {customer_arn(1)}",
        "statement": trust_statement(1, Condition=None),
        "assumed": [],
    } == cell
    assert (BACKEND, {}) == (witness["principal"], witness["context"])
    assert ["aws", "sts", "assume-role"] == witness["command"][:3]


def test_json_compares_all_requests_of_each_role() -> None:
    """Each role has both directions; the one that fails has a request."""
    shut = {"Condition": {"StringEquals": {"sts:ExternalId": ["id-2"], "aws:PrincipalTag/team": "a"}}}
    body = json.loads(proof_json(customers(3, {1: NO_ID, 2: shut})[1]))
    found = {role["role"]: role for role in body["roles"]}

    assert ["exact", "wider", "narrower"] == [found[customer_arn(number)]["state"] for number in range(3)]
    assert ("refuted", "proven") == tuple(found[customer_arn(1)][way]["state"] for way in ("wider", "narrower"))
    assert customer_arn(2) == found[customer_arn(2)]["narrower"]["witness"]["role"]


@pytest.mark.parametrize("proof", [Proof(()), customers(1)[1], switching()[1]], ids=["empty", "one", "delegated"])
def test_json_agrees_with_the_proof(proof: Proof) -> None:
    """The verdict is the proof's, every cell is there, and the text is ASCII."""
    text = proof_json(proof)
    body = json.loads(text)

    assert text.isascii()
    assert (True, len(proof.cells)) == (body["ok"], sum(len(row["cells"]) for row in body["rows"]))
    assert len(proof.delegated) == sum(cell["delegated"] for row in body["rows"] for cell in row["cells"])


SENTENCES = {
    "open": (
        {0: NO_ID},
        (
            f"Role {BACKEND} can assume {customer_arn(0)} without an external ID, although this is not intended. "
            f"The statement TrustBackend in the trust policy of {customer_arn(0)} allows it."
        ),
    ),
    "shut": (
        {0: {"Condition": {"StringEquals": {"sts:ExternalId": "other"}}}},
        (
            f"Role {BACKEND} cannot assume {customer_arn(0)} with the external ID id-0, although this is intended. "
            f"No statement of the trust policy of {customer_arn(0)} allows it."
        ),
    ),
    "somebody": (
        {0: {"Sid": "", "Principal": {"AWS": "999999999999"}, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}},
        (
            f"Role arn:aws:iam::999999999999:role/x can assume {customer_arn(0)}, although this is not intended. "
            f"A statement without Sid in the trust policy of {customer_arn(0)} allows it. "
            "The request has aws:SourceIp = 192.0.2.0."
        ),
    ),
}


@pytest.mark.parametrize(("holes", "expected"), SENTENCES.values(), ids=SENTENCES)
def test_counterexamples_are_full_sentences(holes: dict[int, dict[str, Any]], expected: str) -> None:
    """Who can do what and how, which statement decides, and what the proof's own names stand for."""
    rows = customers(2, holes)[1].rows
    assert expected in [" ".join(counterexample_sentences(cell, row.role_arn)) for row in rows for cell in row.failures]


def test_undecided_cells_claim_nothing() -> None:
    """For an unknown trust policy the sentence gives that reason."""
    proof = prove(Access(), [Trust("customer-0", customer_arn(0), (BACKEND,), "id-0")])

    assert " ".join(counterexample_sentences(proof.cells[0], customer_arn(0))).endswith(
        f"cannot be decided: the trust policy of {customer_arn(0)} is not known. An undecided check counts as failed."
    )


def test_roles_say_where_they_differ() -> None:
    """A role has a sentence with a command for each direction in which it differs, and none if it is exact."""
    shut = {"Condition": {"StringEquals": {"sts:ExternalId": "other"}}}
    roles = {role.role_arn: role for role in customers(3, {1: NO_ID, 2: shut})[1].roles}
    exact, wider, different = (roles[customer_arn(number)] for number in range(3))

    assert [RoleState.EXACT, RoleState.WIDER, RoleState.DIFFERENT] == [*map(role_state, (exact, wider, different))]
    assert [0, 1, 2] == [len(list(role_sentences(role))) for role in (exact, wider, different)]
    assert [True] * 2 == [witness is not None for _, witness in role_sentences(different)]


WORDS = {
    "StringEquals sts:ExternalId a": "external ID",
    "StringLike sts:ExternalId a*": "external ID like a*",
    "StringEqualsIfExists sts:externalid a": "external ID, if sent",
    "StringNotEquals sts:ExternalId a": "external ID (StringNotEquals)",
    "Bool aws:MultiFactorAuthPresent true": "MFA",
    "Bool aws:MultiFactorAuthPresent false": "MFA = false",
    "BoolIfExists aws:MultiFactorAuthPresent true": "MFA, if sent",
    "StringEquals aws:PrincipalTag/team a": "aws:PrincipalTag/team",
}


@pytest.mark.parametrize(("condition", "expected"), WORDS.items(), ids=list(WORDS))
def test_conditions_have_short_words(condition: str, expected: str) -> None:
    """Words never say more than the operator asks for."""
    operator, key, value = condition.split()

    assert (expected,) == condition_names(document({"Condition": {operator: {key: value}}}).statements[0])


def test_mermaid_draws_reaches_with_conditions() -> None:
    """The whole text for two customers, one of them open."""
    assert MERMAID == to_mermaid(access_graph(*customers(2, {1: NO_ID}), names={"111111111111": "backend"}))


MERMAID = """\
flowchart LR
  subgraph a1["200000000000"]
    n1["role Access"]
  end
  subgraph a2["200000000001"]
    n2["role Access"]
  end
  subgraph a3["backend #183; 111111111111"]
    n3["role backend_role"]
  end
  n3 -->|"external ID"| n1
  n3 -->|"no condition"| n2
  n3 ==>|"without an external ID, with another#39;s external ID"| n2
  linkStyle 2 stroke:#d1242f,stroke-width:3px,color:#d1242f
"""


def test_svg_says_the_same_in_words() -> None:
    """Title and description tell those who cannot see the picture, what is wrong first."""
    root = parsed(to_svg(access_graph(*customers(2, {1: NO_ID}))))
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in list(root)[:2]}

    assert "title desc" == " ".join(texts)
    assert "Who can assume which role: 1 result is not as intended" == texts["title"]
    expected = "role backend_role (111111111111) can assume role Access (200000000001), although this is not intended"
    assert texts["desc"].startswith(expected)


def test_every_way_to_stand_is_told_apart() -> None:
    """Intended, refused, unmeant, undecided and delegated reaches differ in the graph."""
    shut = {"Condition": {"StringEquals": {"sts:ExternalId": "other"}}}
    odd = {"Condition": {"NoSuchOperator": {"sts:ExternalId": "a"}}}
    access, proof = customers(4, {1: NO_ID, 2: shut, 3: odd})
    found = {edge.state for edge in access_graph(access, proof).edges} | {
        edge.state for edge in access_graph(*switching()).edges
    }

    assert set(EdgeState) - {EdgeState.TRUSTED} == found


def test_without_a_proof_the_trust_policies_speak() -> None:
    """The picture of an access alone says whom the roles trust, root with a condition on the caller as that caller."""
    root = {
        "Principal": {"AWS": "111111111111"},
        "Condition": {"ArnEquals": {"aws:PrincipalArn": BACKEND}, "StringEquals": {"sts:ExternalId": "id-1"}},
    }
    access, _ = customers(3, {1: root, 2: {"Principal": "*", "Condition": None}})

    assert [
        "role backend_role (111111111111) can assume role Access (200000000000) (condition: external ID)",
        "role backend_role (111111111111) can assume role Access (200000000001) (condition: external ID)",
        "any principal can assume role Access (200000000002) (no condition)",
    ] == list(describe(access_graph(access)))


def test_many_customers_stand_as_one_and_failing_ones_singly() -> None:
    """Beyond forty roles only what is wrong is drawn by itself."""
    graph = access_graph(*customers(100, {7: NO_ID, 9: NO_ID}))
    nodes = {node.key: node for account in graph.roles for node in account.nodes}

    assert [customer_arn(7), customer_arn(9), "group 1"] == list(nodes)
    assert ("98 customer roles", 98) == (nodes["group 1"].name, nodes["group 1"].count)
    assert "role backend_role (111111111111) can assume 98 customer roles (98 accounts) (condition: external ID)" in list(
        describe(graph)
    )


def test_a_picture_of_failures_alone_stays_small() -> None:
    """Where hundreds fail alike, those beyond two hundred stand as one, as failing."""
    graph = access_graph(*customers(300, dict.fromkeys(range(300), NO_ID)))

    assert "100 failing roles" == graph.roles[-1].nodes[0].name
    assert {EdgeState.INTENDED, EdgeState.UNINTENDED} == {edge.state for edge in graph.edges if edge.target == "group 1"}


WAYS = st.dictionaries(
    st.integers(0, 11),
    st.sampled_from([NO_ID, {"Principal": "*"}, {"Principal": {"AWS": "999999999999"}, "Condition": None}]),
)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), WAYS)
def test_nothing_of_the_picture_covers_another(count: int, holes: dict[int, dict[str, Any]]) -> None:
    """Boxes of a column do not overlap, every edge ends at a port of its own within its role, and all is on the paper."""
    layout = lay_out(access_graph(*customers(count, holes)))
    for column in (layout.callers, layout.roles):
        shapes = [box.shape for box in column]
        assert all(above.y + above.height < below.y for above, below in itertools.pairwise(shapes))
        assert all(shape.y > 0 and shape.y + shape.height < layout.height for shape in shapes)
    places = {node.key: shape for box in layout.roles for node, shape in box.nodes}
    for curve in layout.curves:
        shape = places[curve.edge.target]
        assert shape.y < curve.end[1] < shape.y + shape.height

    assert len(layout.curves) == len({curve.end for curve in layout.curves})


def test_legend_explains_what_occurs_and_no_more() -> None:
    """Each kind of edge in the picture has its line in the legend."""
    plain, broken = (to_svg(access_graph(*customers(2, holes))) for holes in ({}, {1: NO_ID}))

    assert ("intended, and proven" in plain, "not intended, but allowed" in plain) == (True, False)
    assert "not intended, but allowed" in broken


def test_nothing_asked_is_nothing_proven() -> None:
    """An empty manifest claims nothing, and its page and picture are still whole."""
    picture = to_svg(access_graph(Access(), Proof(())))
    page = proof_html(Proof(()), title="t", picture_svg=picture, generated="g")

    assert "No principal can assume any role." == parsed(picture)[1].text
    assert "Nothing to prove" in page
    assert "✓ Proven" not in page


def test_page_says_the_picture_in_words() -> None:
    """The sentences of the picture stand in the page, escaped."""
    access, proof = customers(1)
    words = describe(access_graph(access, proof, names={"111111111111": "<backend>"}))
    page = proof_html(proof, title="t", picture_svg="<svg></svg>", generated="g", sentences=words)

    assert "<li>role backend_role (&lt;backend&gt; · 111111111111) can assume role Access (200000000000) " in page


def test_page_is_the_same_for_the_same_proof() -> None:
    """Nothing of the moment or the machine gets into the page."""
    worlds = [customers(5, {3: {"Principal": "*"}}) for _ in range(2)]
    pages = [
        proof_html(proof, title="t", picture_svg=to_svg(access_graph(access, proof)), generated="g")
        for access, proof in worlds
    ]

    assert pages[0] == pages[1]


def test_policy_names_the_hashes_of_what_stands_in_the_page() -> None:
    """Every style and script that runs has its hash in the policy, and the policy allows nothing else."""
    access, proof = customers(2)
    page = proof_html(proof, title="t", picture_svg=to_svg(access_graph(access, proof)), generated="g")
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0]
    inline = [csp_hash(text) for text in re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", page, re.DOTALL)]

    assert policy.startswith("default-src 'none'; ")
    assert sorted(inline) == sorted(re.findall(r"'sha256-[^']+'", policy))


@pytest.mark.parametrize("name", ["page.css", "page.js", "proof.css", "graph.css", "verify.css", "review.css"])
def test_assets_ask_nobody_for_anything(name: str) -> None:
    """No address, no import, no end of the element that they stand in."""
    assert [] == re.findall(r"https?:|//[a-z]|@import|url\(|</s(?:cript|tyle)", asset(name))


ANY_TEXT = st.one_of(st.text(max_size=40), st.text("<>&\"'`#;[]()|{}\\/-!= \n\r\t\x00\ud800\u202e%:", max_size=40))


def kept_on_pages(text: str) -> str:
    """The text with hidden characters replaced; workflow commands, which contain `:` or `#`, are kept."""
    plain = text.replace("\r\n", "\n")
    shown = sanitize_lines(plain.translate({ord(":"): "a", ord("#"): "b"}))
    return "".join(new if new == REPLACEMENT else old for old, new in zip(plain, shown, strict=True))


@given(ANY_TEXT)
def test_escaped_text_reads_as_it_was(text: str) -> None:
    """In XML the text comes back letter by letter, but for characters that cannot be shown."""
    read = parsed(f'<a b="{escape_markup(text)}">{escape_markup(text)}</a>')

    # XML reads every end of line as a line feed, and in attributes as a space (XML 1.0, 2.11 and 3.3.3).
    assert kept_on_pages(text) == (read.text or "")
    assert re.sub("\r\n|[\r\n\t]", " ", kept_on_pages(text)) == read.get("b")


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_mermaid_keeps_its_shape_for_any_name(account: str, name: str) -> None:
    """Whatever names are, the lines are those of plain names, and quotes stand only around labels."""
    access, proof = customers(1)
    graph = access_graph(access, proof, names={"111111111111": account})
    boxes = tuple(replace(box, nodes=tuple(replace(node, name=name) for node in box.nodes)) for box in graph.roles)
    lines = to_mermaid(replace(graph, roles=boxes)).split("\n")

    assert len(to_mermaid(graph).split("\n")) == len(lines)
    assert all(re.fullmatch(r'[^"]*(?:"[^"\[\](){}<>|`\\%&]+"[^"]*)?', line) for line in lines)


@settings(deadline=None, max_examples=50)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_page_and_picture_hold_for_any_name(subject: str, title: str, sid: str) -> None:
    """Names add no element to the page, the picture stays well-formed, and both can be written to a file."""
    access, proof = customers(2, {1: {"Sid": sid, "Condition": None}}, name=lambda number: f"{subject}{number}")
    picture = to_svg(access_graph(access, proof, names={"111111111111": title}))
    page = proof_html(proof, title=title, picture_svg=picture, generated=sid)
    plain_access, plain_proof = customers(2, {1: {"Condition": None}})
    plain = proof_html(plain_proof, title="t", picture_svg=to_svg(access_graph(plain_access, plain_proof)), generated="g")

    assert parsed(picture).tag.endswith("svg")
    assert page.encode("utf-8")
    assert len(re.findall("<[a-z!/]", plain)) == len(re.findall("<[a-z!/]", page))


def test_hostile_name_ends_no_script() -> None:
    """The classic attack is text in the page, in every place that shows a name."""
    access, proof = customers(1, {0: NO_ID}, name=lambda _: HOSTILE)
    page = proof_html(proof, title=HOSTILE, picture_svg=to_svg(access_graph(access, proof)), generated=HOSTILE)

    assert 1 == page.count("</script>")
    assert "<img" not in page
