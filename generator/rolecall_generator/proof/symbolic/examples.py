"""Requests that AWS can have, as examples of a set: actions of the catalog, resources of their forms, values of the types.

A cell's representative is the shortest string of the cell. It need not be an action or a resource that exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from rolecall_generator.iam import PARTITIONS, Condition
from rolecall_generator.iam.catalog import expand, find_action, services
from rolecall_generator.iam.evaluation import PrincipalKind
from rolecall_generator.iam.matching import Automaton, Patterns, outlines_of
from rolecall_generator.proof.symbolic.budget import BudgetShare, OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.cells import KeyCell
from rolecall_generator.proof.symbolic.keys import MFA_AGE, MFA_PRESENT, ValueType, key_facts
from rolecall_generator.proof.symbolic.language import Shape, answers_of, walk
from rolecall_generator.proof.symbolic.witness import accepts_value

NO_RESOURCE = "*"
"""The resource of a request whose action supports no resource types (Service Authorization Reference)."""
WITHOUT_SLASH = frozenset({"BucketName", "TableName"})
"""Names in the forms of resources that cannot have a slash."""
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_SERVICES = ("s3", "ec2", "sqs", "sts", "iam", "lambda", "dynamodb", "kms")
"""Services of which an action is an example of all actions that no policy names."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
_STEPS = 60_000
_COLONS = 5
_ROLES = frozenset({PrincipalKind.ROLE, PrincipalKind.SESSION})


@dataclass(frozen=True, slots=True)
class ExampleAction:
    """An action and the forms of its resources, with `*` for requests without one; None if they are not known."""

    name: str
    forms: tuple[str, ...] | None


def example_actions(
    named: str, prefixes: Iterable[str], answers: Callable[[str], Sequence[bool]]
) -> Iterator[ExampleAction]:
    """Actions of the catalog like `named`, the representative of a cell: one for each combination of forms.

    `prefixes` are those of the services that the policies name. `answers` tells of an action in lower case which lists of
    actions name it.
    """
    wanted, seen = answers(named.lower()), set[tuple[str, ...]]()
    for prefix in dict.fromkeys((named.lower().partition(":")[0], *prefixes, *_SERVICES)):
        if prefix not in services():
            continue
        for name in expand(f"{prefix}:*"):
            known = find_action(name)
            if known is None or known.resource_forms in seen or answers(name.lower()) != wanted:
                continue
            seen.add(known.resource_forms)
            optional = () if known.requires_resource and known.resource_forms else (NO_RESOURCE,)
            yield ExampleAction(str(known), (*known.resource_forms, *optional))


def example_resources(
    action: ExampleAction, unions: Sequence[Patterns], cells: Sequence[str], partition: str, account: str
) -> Iterator[str]:
    """Resources of the action's forms that are like one of `cells`, representatives by what the unions distinguish."""
    answers = partial(answers_of, [Automaton(patterns) for patterns in unions])
    wanted = {answers(text) for text in cells}
    owners = {text.split(":")[2] if text.count(":") >= _COLONS else "" for text in cells}
    for form in action.forms or ():
        if form == NO_RESOURCE:
            if answers(form) in wanted:
                yield form
            continue
        if form.count(":") >= _COLONS and "" not in owners and form.split(":")[2] not in owners:
            continue  # the cells are resources of other services
        names = {"Partition": partition, "Region": PARTITIONS[partition].default_region, "Account": account}
        pattern = _PLACEHOLDER.sub(lambda found, names=names: names.get(found[1], "?*"), form)  # type: ignore[misc]
        own = frozenset(outlines_of(Condition("StringLike", "", (pattern,))))
        try:
            found = walk([*unions, own], Shape(shortest=1), BudgetShare(SearchBudget(_STEPS, None)))
        except OutOfBudgetError:
            continue
        for text in sorted(found.found.values(), key=lambda text: (len(text), text)):
            if is_of_form(text, form, partition) and answers(text) in wanted:
                yield text


def is_resource_of(action: ExampleAction, text: str, partition: str) -> bool:
    """Whether a request of the action can name the resource, as far as its forms are known."""
    return action.forms is None or any(is_of_form(text, form, partition) for form in action.forms)


def is_of_form(text: str, form: str, partition: str) -> bool:
    """Whether a resource has the form of an ARN, with a name in place of each placeholder."""
    return _form_pattern(form, partition).fullmatch(text) is not None


@lru_cache(maxsize=1_024)
def _form_pattern(form: str, partition: str) -> re.Pattern[str]:
    known = {"Partition": re.escape(partition), "Account": "[0-9]{12}", "Region": "[a-z]{2,}(?:-[a-z]+)+-[0-9]+"}
    known |= dict.fromkeys(WITHOUT_SLASH, "[^/*?]+")
    parts = _PLACEHOLDER.sub("\0", form).split("\0")
    names = [known.get(name, "[^*?]+") for name in _PLACEHOLDER.findall(form)]
    return re.compile("".join(re.escape(part) + name for part, name in zip(parts, [*names, ""], strict=True)))


def is_possible(cell: KeyCell, caller: KeyCell | None) -> bool:
    """Whether AWS can have a request with the keys of the cell, by their types; for a role, without MFA.

    "The temporary credentials returned by AssumeRole do not include MFA information in the context" (Secure API access with
    MFA).
    """
    if cell.rest:
        return False
    if caller is not None and caller.caller is not None and caller.caller.kind in _ROLES:
        context: Mapping[str, tuple[str, ...]] = cell.context
        if context.get(MFA_PRESENT) == ("true",) or context.get(MFA_AGE):
            return False
    return all(_is_written_so(key, value) for key, values in cell.context.items() for value in values)


def _is_written_so(key: str, value: str) -> bool:
    """Whether AWS writes a value of the key so: a date as 2026-11-30T12:00:00Z, although 20 is one in seconds."""
    is_date = key_facts(key).type is not ValueType.DATE or _DATE.match(value) is not None
    return is_date and accepts_value(key, value)
