"""Changes of trust policies as sets of requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rolecall_generator.iam import Access
from rolecall_generator.proof import difference_sentence, trust_changes
from trust_worlds import CALLER, ORDINARY, ROLE, WITH_ID, statement, world

STRANGER = "arn:aws:iam::444444444444:role/eve"
FROM_OFFICE = {**WITH_ID, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}


def changed(*statements: dict[str, Any]) -> tuple[Access, Access]:
    return world([ORDINARY]), world(statements)


def test_equal_policies_have_no_change() -> None:
    assert [] == list(trust_changes(*changed(ORDINARY)))


def test_policy_written_differently_allows_the_same_requests() -> None:
    """A second statement that the first one covers changes nothing."""
    (change,) = trust_changes(*changed(ORDINARY, statement({"AWS": CALLER}, FROM_OFFICE)))

    assert (ROLE, (), (), True) == (change.role_arn, change.widens, change.narrows, change.complete)


def test_another_principal_widens() -> None:
    (change,) = trust_changes(*changed(ORDINARY, statement({"AWS": STRANGER}, WITH_ID)))
    (found,) = change.widens

    assert found.is_certain
    assert found.witness is not None
    assert (STRANGER, ()) == (found.witness.request.principal.arn, change.narrows)
    assert STRANGER in difference_sentence(found)


def test_another_condition_narrows() -> None:
    (change,) = trust_changes(*changed(statement({"AWS": CALLER}, FROM_OFFICE)))

    assert ((), True) == (change.widens, bool(change.narrows))
    assert {"aws:SourceIp"} <= {each.name for found in change.narrows for each in found.constraints}


def test_another_external_id_widens_and_narrows() -> None:
    (change,) = trust_changes(*changed(statement({"AWS": CALLER}, {"StringEquals": {"sts:ExternalId": "another"}})))
    body = change.to_json()

    assert (1, 1) == (len(change.widens), len(change.narrows))
    assert {"role", "complete", "widens", "narrows"} == body.keys()


@pytest.mark.parametrize("known", [True, False])
def test_unknown_trust_is_no_change(known: bool) -> None:
    """A role that is only referenced, and one that is new, have no trust policy to compare."""
    before, after = changed(ORDINARY, statement({"AWS": STRANGER}))
    roles = {**before.roles, ROLE: replace(before.roles[ROLE], trust=None)} if known else {}

    assert [] == list(trust_changes(replace(before, roles=roles), after))
