"""Whether an action is allowed on some resource that must match patterns of several statements: of a policy and of a
permissions boundary, or of an Allow and not of a Deny.

Decided over all resources (see `proof.symbolic`), where no single name for each pattern is sufficient: `a*` and `*b` have
`ab` in common.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice, product

from rolecall_generator.iam import PolicyDocument, Role, Statement
from rolecall_generator.iam.catalog import find_action
from rolecall_generator.iam.evaluation import ASSUME_ROLE
from rolecall_generator.iam.matching import may_match
from rolecall_generator.proof.symbolic import (
    ActionForms,
    ActionScope,
    LimitState,
    ResourceOwner,
    SearchBudget,
    limit_permission,
)

EVERY_RESOURCE = "*"
IAM_PREFIX = "iam:"
_ACCOUNT_PART, _ARN_COLONS = 4, 5
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_OPEN_PART = re.compile(r"\$\{[^}]*\}|[*?]")
_PAIRS_TRIED = 20
"""Maximum number of pairs of patterns that are tried with one name, before the overlap is decided over all resources."""
_SECONDS = 0.5
"""Limit of time for one decision. Measured: 1 to 25 milliseconds for 40 patterns."""


@dataclass(frozen=True, slots=True)
class OverlapQuestion:
    """An action of a role, and the statements of its policies and of its boundary that concern the action.

    `limit` is empty if there is no boundary. `context`: known keys of the request, in lower case. `pattern`: only resources
    that match it. `outside`: only resources of other accounts.
    """

    role: Role
    action: str
    identity: tuple[Statement, ...]
    limit: tuple[Statement, ...]
    context: Mapping[str, tuple[str, ...]]
    pattern: str = EVERY_RESOURCE
    outside: bool = False

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All statements."""
        return *self.identity, *self.limit

    @property
    def is_needed(self) -> bool:
        """Whether a resource must match patterns of several statements."""
        patterned = [each for each in self.statements if EVERY_RESOURCE not in each.resources]
        return len(patterned) > 1 and (bool(self.limit) or any(each.effect != "Allow" for each in patterned))


@dataclass(slots=True)
class PatternOverlaps:
    """Answers questions about overlaps. Questions about the same statements and types of resources share the answer."""

    _known: dict[tuple[object, ...], LimitState] = field(init=False, default_factory=dict)

    def exists(self, question: OverlapQuestion, name: str, allows: Callable[[str], bool]) -> bool | None:
        """Whether the action is allowed on some resource; None if it is not known, False if no patterns must overlap.

        `name`: a name that no policy contains. `allows` decides one resource.
        """
        known = find_action(question.action)
        if known is None or not known.resource_forms or not question.is_needed:
            return False
        forms = known.resource_forms
        if question.limit and not any(each.not_resources for each in question.statements if each.effect == "Allow"):
            pairs = list(_pairs(question, forms))
            if not pairs:
                return False
            plain = question.pattern == EVERY_RESOURCE and not any(each.conditions for each in question.statements)
            if plain and any(map(allows, self._candidates(question, pairs, name, forms))):
                return True
        state = self._state(question, str(known), forms)
        return None if state is LimitState.UNKNOWN else state is not LimitState.ALL

    @staticmethod
    def _candidates(
        question: OverlapQuestion, pairs: Sequence[tuple[str, str]], name: str, forms: Sequence[str]
    ) -> Iterator[str]:
        """Resources that often match both patterns of a pair, by parts of the ARN."""
        for one, other in islice(pairs, _PAIRS_TRIED):
            parts = zip(one.split(":", _ARN_COLONS), other.split(":", _ARN_COLONS), strict=False)
            resource = ":".join(_common(*part, name) for part in parts)
            is_own = account_of(resource) == account_of(question.role.arn)
            if (is_own or not question.action.startswith(IAM_PREFIX)) and any(may_match(resource, form) for form in forms):
                yield resource

    def _state(self, question: OverlapQuestion, action: str, forms: tuple[str, ...]) -> LimitState:
        """How much of the action the statements stop."""
        role = question.role
        tested = {condition.key.lower() for each in question.statements for condition in each.conditions}
        context = {key: values for key, values in question.context.items() if key in tested}
        # By identity: the statements stay in the policies of the account.
        ids = tuple(map(id, (*question.identity, None, *question.limit)))
        key = (role.arn, ids, forms, tuple(context.items()), question.pattern, question.outside)
        if key not in self._known:
            partition, account = role.arn.split(":")[1], account_of(role.arn)
            scope = ActionScope(
                partition,
                caller=role.arn,
                actions=(ActionForms(action, forms),),
                context=context,
                owner=None if action == ASSUME_ROLE else ResourceOwner(account),
            )
            own = f"arn:{partition}:iam::{account}:*"
            # No action on IAM works on another account.
            listed = () if question.outside else (own,)
            limited = Statement("Allow", ("*",), listed, not_resources=(own,) if question.outside else ())
            is_limited = question.outside or action.startswith(IAM_PREFIX)
            levels = [
                question.identity,
                *((question.limit,) if question.limit else ()),
                *(((limited,),) if is_limited else ()),
            ]
            documents = [(PolicyDocument(tuple(_with_tags(each, role) for each in level)),) for level in levels]
            asked = Statement("Allow", (action,), (question.pattern,))
            self._known[key] = limit_permission(scope, asked, documents, budget=SearchBudget(seconds=_SECONDS)).state
        return self._known[key]


def _pairs(question: OverlapQuestion, forms: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A pattern of the policies and one of the boundary, for each pair that may have a resource of one of the forms in
    common. Patterns whose beginnings or ends differ have none.
    """
    patterns = (
        dict.fromkeys(
            without_variables(text, question.role)
            for each in statements
            if each.effect == "Allow"
            for text in each.resources
            if any(may_match(text, form) for form in forms)
        )
        for statements in (question.identity, question.limit)
    )
    for one, other in product(*patterns):
        (head, tail), (other_head, other_tail) = _ends(one), _ends(other)
        begins = head.startswith(other_head) or other_head.startswith(head)
        if begins and (tail.endswith(other_tail) or other_tail.endswith(tail)):
            yield one, other


def _common(one: str, other: str, name: str) -> str:
    """A string that often matches both patterns: the longer beginning, a name, and the longer end."""
    for text in (one, other):
        if _OPEN_PART.search(text) is None:
            return text
    head, tail = (max(each, key=len) for each in zip(_ends(one), _ends(other), strict=True))
    return f"{head}{name}{tail}"


@lru_cache(maxsize=4_096)
def _ends(pattern: str) -> tuple[str, str]:
    """The strings before the first and after the last wildcard or variable; both are the pattern if it has none."""
    parts = _OPEN_PART.split(pattern)
    return parts[0], parts[-1]


def _with_tags(statement: Statement, role: Role) -> Statement:
    """The statement with the tags of the role in its resources."""
    listed, others = (
        tuple(without_variables(each, role) for each in resources)
        for resources in (statement.resources, statement.not_resources)
    )
    return replace(statement, resources=listed, not_resources=others)


def without_variables(resource: str, role: Role) -> str:
    """The resource with the tags of the role, which its sessions have, in place of their variables."""
    values = {f"aws:principaltag/{key.lower()}": value for key, value in role.tags.items()}
    return _VARIABLE.sub(lambda found: values.get(found[1].lower(), found[0]), resource)


def account_of(resource: str) -> str:
    """The account of an ARN pattern; a wildcard if it has none."""
    parts = resource.split(":", 5)
    return parts[_ACCOUNT_PART] if len(parts) > _ACCOUNT_PART else EVERY_RESOURCE
