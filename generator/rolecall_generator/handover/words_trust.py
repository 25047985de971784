"""Who may assume a role, and on which condition: a trust policy in words."""

from __future__ import annotations

from collections.abc import Iterable

from rolecall_generator.handover.words import Phrase, capital, duration, listed, say, sentence
from rolecall_generator.iam.access import Role
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.policy import Condition, Principal, Statement
from rolecall_generator.iam.quotas import CHAINED_SESSION_SECONDS

_PRINCIPAL_ARN = "aws:principalarn"
_EXTERNAL_ID = "sts:externalid"
_MFA = "aws:multifactorauthpresent"

_EXTRAS = {
    "sts:TagSession": "pass session tags ({})",
    "sts:SetSourceIdentity": "set a source identity ({})",
}


def statements_of(role: Role) -> tuple[Statement, ...]:
    """The statements of the role's trust policy; none for a role that is only looked up."""
    return role.trust.statements if role.trust is not None else ()


def who_assumes(role: Role) -> Phrase:
    """Everybody whom the trust policy names: by `aws:PrincipalArn` where a statement asks for it, else by principal."""
    named = [who for statement in statements_of(role) if statement.effect == "Allow" for who in _callers(statement)]
    if not named:
        return Phrase(("Nobody.",))
    return capital(say("{}, and nobody else.", listed(dict.fromkeys(named))))


def _callers(statement: Statement) -> list[Phrase]:
    by_condition = [value for item in statement.conditions if item.key.lower() == _PRINCIPAL_ARN for value in item.values]
    if by_condition:
        return [_arn(arn) for arn in by_condition]
    return [_principal(principal) for principal in statement.principals]


def _principal(principal: Principal) -> Phrase:
    text = principal.identifier
    if text == "*":
        return Phrase(("everybody",))
    if principal.type == "AWS":
        return say("whom account {} lets in", text) if text.isdigit() else _arn(text)
    return say("the service {}", text)


def _arn(text: str) -> Phrase:
    parsed = parse_arn(text)
    if parsed is not None and parsed.resource == "root":
        return say("whom account {} lets in", parsed.account_id)
    return say(f"the {parsed.kind if parsed is not None and parsed.kind in {'role', 'user'} else 'principal'} {{}}", text)


def on_condition(role: Role) -> Phrase:
    """What a request must bring along. Statements that ask for the same are said once."""
    asked = dict.fromkeys(_asks(statement) for statement in statements_of(role) if statement.effect == "Allow")
    return sentence(list(asked)) if asked else Phrase(("Nothing is asked.",))


def _asks(statement: Statement) -> Phrase:
    conditions = [item for item in statement.conditions if item.key.lower() != _PRINCIPAL_ARN]
    if not conditions:
        return Phrase(("No condition: neither an external id nor MFA is asked for.",))
    return capital(say("{}.", listed(_condition(item) for item in conditions)))


def _condition(condition: Condition) -> Phrase:
    key, values = condition.key.lower(), condition.values
    if key == _EXTERNAL_ID and condition.operator == "StringEquals":
        more = "" if len(values) == 1 else " (two stand side by side while the id is rotated)"
        return say(f"the external id {{}} is presented{more}", listed(values, "or"))
    if key == _MFA and condition.operator == "Bool" and values == ("true",):
        return Phrase(("the caller has signed in with MFA",))
    return say("{} {} {}", condition.key, condition.operator, listed(values, "or"))


def allowed_besides(role: Role) -> Phrase | None:
    """What the caller may do with the session beyond opening it; None when nothing."""
    actions = dict.fromkeys(action for statement in statements_of(role) for action in statement.actions)
    extras = [say(_EXTRAS[action], action) for action in actions if action in _EXTRAS]
    return say("The caller may also {}.", listed(extras)) if extras else None


def session(role: Role, callers: Iterable[str] = ()) -> Phrase:
    """How long a session lasts at most. `callers` are ARNs of who opens it."""
    longest = role.max_session_seconds
    chained = longest > CHAINED_SESSION_SECONDS and any(":role/" in arn for arn in callers)
    limit = " A role that assumes this one gets 1 hour at most (role chaining)." if chained else ""
    return say(f"At most {duration(longest)} ({{}} seconds).{limit}", str(longest))
