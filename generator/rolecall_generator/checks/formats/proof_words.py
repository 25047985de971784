"""Cells of the proof in sentences: the counterexample of a failed cell, and conditions in the words that people use."""

from __future__ import annotations

from rolecall_generator.checks.candidates import OTHER, STRANGER, is_invented
from rolecall_generator.checks.proof import EXTERNAL_ID, Case, Cell
from rolecall_generator.iam.evaluator import ASSUME_ROLE, Effect
from rolecall_generator.iam.operators import find_operator
from rolecall_generator.iam.policy import Condition, Statement
from rolecall_generator.iam.principals import Kind, identity_of

_KEYS = {
    "sts:externalid": "external id",
    "aws:multifactorauthpresent": "MFA",
    "aws:multifactorauthage": "recent MFA",
    "aws:sourceip": "source address",
    "aws:principalorgid": "organization",
    "aws:sourceaccount": "source account",
    "aws:sourcearn": "source ARN",
}
_NAMES_THE_CALLER = frozenset({"aws:principalarn", "aws:principalaccount", "aws:username"})
"""Keys that say who calls; the picture shows them as the caller, not as a condition."""

_WITH = {
    Case.NO_EXTERNAL_ID: "without an external id",
    Case.OTHER_EXTERNAL_ID: "with another customer's external id",
    Case.NO_MFA: "without MFA",
    Case.MFA_FALSE: "signed in without MFA",
}
_KINDS = {Kind.USER: "user", Kind.ROLE: "role", Kind.SESSION: "session", Kind.ROOT: "account", Kind.EXTERNAL: "service"}


def kind_word(arn: str) -> str:
    """What kind of principal an ARN names: user, role, session, account, or service (also an identity provider)."""
    return _KINDS[identity_of(arn).kind]


def condition_words(statement: Statement) -> tuple[str, ...]:
    """The statement's conditions in short words, those aside that say who calls: ("external id", "MFA")."""
    words = (_word(item) for item in statement.conditions if item.key.lower() not in _NAMES_THE_CALLER)
    return tuple(dict.fromkeys(words))


def _word(condition: Condition) -> str:
    word = _KEYS.get(condition.key.lower(), condition.key)
    use = find_operator(condition.operator)
    if use is not None and use.if_exists:
        return f"{word}, if sent"
    if use is None or use.quantifier is not None or use.operator.describe is None:
        return f"{word} ({condition.operator})"
    return use.operator.describe(word, condition.values)


def with_words(case: Case) -> str:
    """What sets the requests of this column apart from the intended one, as "without MFA"; empty where it is the caller."""
    return _WITH.get(case, "")


def counterexample(cell: Cell) -> str:
    """What is wrong with a failed cell, in full sentences on one line."""
    return " ".join(sentences(cell))


def sentences(cell: Cell) -> tuple[str, ...]:
    """The sentences of a counterexample: the request and what came out, then what decided so."""
    request, decision = cell.request, cell.decision
    who = f"{kind_word(request.principal.arn).capitalize()} {request.principal.arn}"
    what = "assume" if request.action == ASSUME_ROLE else f"use {request.action} on"
    how = f" {text}" if (text := _how(cell)) else ""
    if decision.effect is Effect.REFUSED:
        reason = decision.reason.removeprefix("refused: ")
        verdict = f"Whether {who[0].lower()}{who[1:]} can {what} {request.resource}{how} cannot be decided: {reason}."
        return verdict, "What is not decided is not proven."
    if cell.expected:
        verdict = f"{who} cannot {what} {request.resource}{how}, although this caller is meant to."
        return verdict, *_decided(cell, "refuses it"), f"{decision.reason[:1].upper()}{decision.reason[1:]}."
    verdict = f"{who} can {what} {request.resource}{how}, although nobody meant that."
    return verdict, *_decided(cell, "lets it in"), *_assumed(cell), *_stands_for(request.principal.arn)


def _how(cell: Cell) -> str:
    """The request's distinguishing mark, with the external id that was sent."""
    sent = cell.request.context.get(EXTERNAL_ID, ())
    text = with_words(cell.case)
    if isinstance(sent, str):
        return f"{text or 'with the external id'} {sent}"
    return text


def _decided(cell: Cell, verb: str) -> tuple[str, ...]:
    statement = cell.decision.statement
    if statement is None:
        return ()
    name = f"The statement {statement.sid}" if statement.sid else "A statement without a name"
    where = f" in the {cell.decision.policy}" if cell.decision.policy else ""
    return (f"{name}{where} {verb}.",)


def _assumed(cell: Cell) -> tuple[str, ...]:
    """The keys that the caller must send, as the statement writes them: the evaluator has them in lower case."""
    if not cell.decision.assumed:
        return ()
    statement = cell.decision.statement
    written = {item.key.lower(): item.key for item in statement.conditions} if statement is not None else {}
    keys = " and ".join(written.get(key, key) for key in cell.decision.assumed)
    return (f"It holds when the caller sends {keys} as the statement asks.",)


def _stands_for(arn: str) -> tuple[str, ...]:
    """What the names mean that the proof makes up: nobody has declared such a principal."""
    name = identity_of(arn).name
    if is_invented(arn, OTHER):
        return (f"{name} stands for any {kind_word(arn)} of that account.",)
    return (f"{name} stands for anybody in an account that occurs nowhere.",) if is_invented(arn, STRANGER) else ()
