"""The cases of aws/aws-cli issue 10314, see `simulator_cases`."""

from __future__ import annotations

import pytest

from rolecall_generator.iam import Access, User
from rolecall_generator.iam.evaluation import Caller, Evaluator, Request
from rolecall_generator.proof.symbolic import InclusionState, compare
from simulator_cases import AFTER, BEFORE, CASES, ROLE, SILENT, TOKEN_OF_ANOTHER_SUBJECT, USER, SimulatorCase, policy
from symbolic_worlds import NO_CALLERS, inclusion, is_proven

NOT_PRINCIPAL = "8"
WRONG = {"1", "3", "4a", "5", "6", "7", "8", "9", "10", "11b"}


@pytest.mark.parametrize("case", [case for case in CASES if case.number != NOT_PRINCIPAL], ids=lambda case: case.number)
def test_all_requests_of_a_case_are_decided_correctly(case: SimulatorCase) -> None:
    """Trust policy and identity policy together: every request of the case is allowed, or none is."""
    assert case.correct == case.answer()


def test_not_principal_is_unknown() -> None:
    """AWS does not accept it in a trust policy, so there is no answer of STS to compare with."""
    (case,) = (case for case in CASES if case.number == NOT_PRINCIPAL)

    assert "unknown" == case.answer()


def test_simulator_is_wrong_in_all_but_two_requests() -> None:
    """It is right where the identity policy and the trust policy happen to agree."""
    assert WRONG == {case.number for case in CASES if case.simulator != case.correct}


def test_only_the_user_with_a_web_identity_cannot_exist() -> None:
    """No case is refused only because there are no such requests, except for case 7."""
    impossible = [case.number for case in CASES if is_proven(inclusion(case.requests, NO_CALLERS, ROLE))]

    assert ["7"] == impossible


def test_token_of_another_subject_is_refused() -> None:
    """The trust policy of case 7 with a request that can be sent."""
    assert "refused" == TOKEN_OF_ANOTHER_SUBJECT.answer()
    assert not is_proven(inclusion(TOKEN_OF_ANOTHER_SUBJECT.requests, NO_CALLERS, ROLE))


def test_control_on_a_bucket_is_allowed_by_the_identity_policy() -> None:
    """Case 2: the simulator evaluates the resource policy of a bucket; the identity policy is sufficient."""
    evaluator = Evaluator(Access.of(User(USER, inline={"identity": policy(SILENT)})))

    assert evaluator.may(Request(Caller(USER), "arn:aws:s3:::any-bucket/test.txt", "s3:GetObject")).allowed


def test_removed_condition_is_new_access() -> None:
    """Case 11: as Access Analyzer reports, the new policy allows requests that the old one refuses, and not the reverse."""
    found = compare(ROLE, AFTER, BEFORE)

    assert InclusionState.REFUTED is found.forward.state
    assert InclusionState.PROVEN is found.backward.state
