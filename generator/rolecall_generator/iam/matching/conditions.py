"""Conditions compiled to tests of a request context.

Quotations are from the IAM User Guide, November 2026: "IAM JSON policy elements: Condition operators" unless another page
is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from rolecall_generator.iam import Condition
from rolecall_generator.iam.matching.operators import Compare, OperatorUse, TextMatch, UnsupportedError, parse_operator
from rolecall_generator.iam.matching.wildcards import ARN_COLONS, Context, PolicyTemplate, components_matcher


class Truth(IntEnum):
    """Outcome of a test. UNDECIDED: AWS does not document the outcome."""

    FALSE = 0
    TRUE = 1
    UNDECIDED = 2


@dataclass(frozen=True, slots=True)
class Test:
    """A compiled condition on `key` (lower case). `variables` are the context keys of variables in its values."""

    key: str
    run: Callable[[Context], Truth]
    variables: tuple[str, ...] = ()


def compile_condition(condition: Condition, *, variables: bool) -> Test:
    """Compile one condition. `variables`: the document's version supports policy variables.

    Raises UnsupportedError for an undocumented operator or value.
    """
    use = parse_operator(condition.operator)
    key = condition.key.lower()
    if not condition.values:
        raise UnsupportedError(f"{condition.operator} on {condition.key} has no value")
    if use.operator.compare is None:
        return Test(key, _null(key, condition.values))
    templates = _templates(condition.values, use.operator.text) if variables and use.operator.text is not None else ()
    if templates:
        names = tuple(variable.key for template in templates for variable in template.variables)
        return Test(key, _run_filled(key, use, templates, names), names)
    return Test(key, _run(key, use, use.operator.compare(condition.values)))


def _templates(values: tuple[str, ...], match: TextMatch) -> tuple[PolicyTemplate, ...]:
    """The values as templates if any of them has a variable, otherwise empty."""
    if not any("${" in value for value in values):
        return ()
    try:
        templates = tuple(PolicyTemplate(value) for value in values)
        if match in {TextMatch.WILDCARDS, TextMatch.ARN}:
            for template in templates:
                template.check_defaults()
        return templates
    except ValueError as error:
        raise UnsupportedError(str(error)) from error


def _run(key: str, use: OperatorUse, compare: Compare) -> Callable[[Context], Truth]:
    """A test of the request's values with `compare`, which is true if any value of the policy matches."""
    negated, absent = use.operator.negated, Truth(use.holds_when_absent)
    # ForAllValues: "The condition returns true if every context key value in the request matches a context key value in
    # the policy. It also returns true if there are no context keys in the request." ForAnyValue: "For no matching context
    # key or if the key does not exist, the condition returns false." (Single-valued vs. multivalued context keys). An
    # empty string counts as no value: "or if the context key value resolves to a null dataset, such as an empty string"
    # (Multivalued context key examples).
    if use.quantifier == "ForAllValues":

        def every(context: Context) -> Truth:
            values = context.get(key, ())
            return Truth(all(compare(value) != negated for value in values if value != "" or len(values) > 1))

        return every
    if use.quantifier == "ForAnyValue":

        def some(context: Context) -> Truth:
            values = context.get(key, ())
            if not values:
                return absent
            return Truth(any(compare(value) != negated for value in values if value != "" or len(values) > 1))

        return some

    def single(context: Context) -> Truth:
        values = context.get(key, ())
        if not values:
            return absent
        if len(values) > 1:
            # "Multivalued context keys require a condition set operator." (Single-valued vs. multivalued context keys)
            # The outcome without one is not documented.
            return Truth.UNDECIDED
        # "If a single negated matching condition operator includes multiple values for a context key, those values are
        # evaluated using a logical NOR." (Conditions with multiple context keys or values)
        return Truth.TRUE if compare(values[0]) != negated else Truth.FALSE

    return single


def _run_filled(
    key: str, use: OperatorUse, templates: tuple[PolicyTemplate, ...], names: tuple[str, ...]
) -> Callable[[Context], Truth]:
    """As `_run`, for values with variables, which are filled for each request.

    A variable without a value matches nothing: "operators like StringEquals or StringLike do not match, and the policy
    statement does not take effect." "Inverted condition operators like StringNotEquals or StringNotLike do match against a
    null value" (IAM policy elements: Variables and tags, Policy variables with no value).
    """

    def run(context: Context) -> Truth:
        if use.if_exists and not context.get(key):
            return Truth.TRUE
        if any(len(context.get(name, ())) > 1 for name in names):
            # "You can't use a multivalued condition key as a variable." The outcome is not documented.
            return Truth.UNDECIDED
        compares = [c for template in templates if (c := _filled_compare(use.operator.text, template, context)) is not None]
        truth = _run(key, use, lambda value: any(c(value) for c in compares))(context)
        if truth is Truth.TRUE and not use.operator.negated and len(compares) < len(templates):
            # One value matches, another is null: true by "evaluated using a logical OR", false by "does not take effect".
            return Truth.UNDECIDED
        return truth

    return run


def _filled_compare(match: TextMatch | None, template: PolicyTemplate, context: Context) -> Compare | None:
    if match is TextMatch.WILDCARDS:
        return template.matcher(context)
    if match is TextMatch.ARN:
        return _filled_arn(template, context)
    text = template.literal(context)
    if text is None:
        return None
    if match is TextMatch.EXACT:
        return text.__eq__
    lower = text.lower()
    return lambda value: value.lower() == lower


def _filled_arn(template: PolicyTemplate, context: Context) -> Compare | None:
    """An ARN pattern with variables. The components are split first, so that a value cannot add one."""
    found = [PolicyTemplate(part).matcher(context) for part in arn_components(template.text)]
    matchers = [matcher for matcher in found if matcher is not None]
    return components_matcher(matchers) if len(matchers) == len(found) else None


def arn_components(text: str) -> list[str]:
    """The six components of an ARN pattern; colons inside `${...}` do not separate components."""
    parts, depth = [""], 0
    for index, character in enumerate(text):
        if character == "{" and index and text[index - 1] == "$":
            depth = 1
        elif character == "}":
            depth = 0
        if character == ":" and not depth and len(parts) <= ARN_COLONS:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _null(key: str, values: tuple[str, ...]) -> Callable[[Context], Truth]:
    """Null: "use either true (the key doesn't exist — it is null) or false (the key exists and its value is not null)"."""
    expected = {value.lower() for value in values}
    if not expected <= {"true", "false"}:
        raise UnsupportedError('Null only supports the values "true" and "false"')

    def run(context: Context) -> Truth:
        present = any(context.get(key, ()))
        return Truth(("false" if present else "true") in expected)

    return run
