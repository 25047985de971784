"""Pydantic's validation errors as problems: the position, what is wrong, and a hint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rolecall_generator.errors import Problem
from rolecall_generator.iam import ACCOUNT_ID_PATTERN
from rolecall_generator.manifest.models import HINTS, IncludedFile, Manifest
from rolecall_generator.manifest.yaml_source import ListNode, Loc, MapNode, NodeRef, kind_of, mark_of, problem_at, walk
from rolecall_generator.text import clip, suggest

_SWITCH_ROLE_KEY = 3
"""Length of the loc of a switch role's own key: section, index, key."""
_NOUNS = {
    "customers": "customer",
    "switch_roles": "switch role",
    "users": "user",
    "roles": "backend role",
    "suppress": "suppression",
}
_DIGITS = re.compile(r"[-+]?[0-9]+")
Words = tuple[str, str]
"""The message and the hint."""


def translate(error: ValidationError, tree: Any, file: str, model: type[BaseModel]) -> list[tuple[Problem, Loc]]:
    """Convert a validation's errors to problems, each with the loc in the tree that it refers to."""
    found: list[tuple[Problem, Loc]] = []
    for detail in error.errors(include_url=False, include_input=False):
        loc = tree_loc(tree, detail)
        if loc is None:
            continue
        at_key = detail["loc"][-1:] == ("[key]",) or detail["type"] == "extra_forbidden"
        what, hint = _words(detail, loc, tree, model, at_key)
        found.append((problem_at(file, mark_of(tree, loc, key=at_key), what, hint), loc))
    return found


def customer_problems(tree: MapNode, file: str) -> Iterator[Problem]:
    """Problems of the customers in a tree `{customers: [...]}`, each validated on its own."""
    try:
        IncludedFile.model_validate(tree)
    except ValidationError as error:
        yield from (problem for problem, _ in translate(error, tree, file, IncludedFile))


def tree_loc(tree: Any, detail: ErrorDetails) -> Loc | None:
    """The error's loc without pydantic's labels for union members; None for errors of a member that does not apply.

    Only the string member applies to a scalar, and only the other one to a list or mapping: one mistake is one problem.
    """
    loc: list[str | int] = []
    node = tree
    for part in detail["loc"]:
        inside = (isinstance(node, MapNode) and part in node) or (isinstance(node, ListNode) and isinstance(part, int))
        if inside:
            loc.append(part)
            node = node[part]
        elif part == "[key]":
            continue
        elif detail["type"] == "missing" and isinstance(node, MapNode) and part == detail["loc"][-1]:
            loc.append(part)
        else:
            string_member = str(part).startswith(("constrained-str", "str"))
            if string_member is isinstance(node, MapNode | ListNode):
                return None
    return tuple(loc)


def _words(detail: ErrorDetails, loc: Loc, tree: Any, model: type[BaseModel], at_key: bool) -> Words:
    kind = detail["type"]
    spot = walk(tree, loc)
    context: Mapping[str, Any] = detail.get("ctx") or {}
    if kind == "missing":
        return _missing(loc, tree, model)
    if kind == "extra_forbidden":
        return _unknown_key(loc, model)
    subject = f"the key {clip(str(loc[-1]))} in {_name_of(loc[:-1])}" if at_key else _name_of(loc)
    if isinstance(spot.key, int) and isinstance(spot.value, MapNode | ListNode | None):
        subject = f"an entry of {subject}"
    if at_key and kind == "string_pattern_mismatch":
        phrase, hint = HINTS[context["pattern"]]
        return f"{subject} {phrase}", hint
    if make := _MESSAGES.get(kind):
        return make(subject, NodeRef(None, None, loc[-1], True) if at_key else spot, context)
    return f"{subject}: {detail['msg'][:1].lower()}{detail['msg'][1:]}", "see `gen schema` for the allowed values"


def _name_of(loc: Loc) -> str:
    return next((str(part) for part in reversed(loc) if isinstance(part, str)), "the file")


def _missing(loc: Loc, tree: Any, model: type[BaseModel]) -> Words:
    key = str(loc[-1])
    holder = walk(tree, loc[:-1]).value
    name = holder.get("name") if isinstance(holder, MapNode) else None
    section = _name_of(loc[:-1])
    noun = _NOUNS.get(section, section) if len(loc) > 1 and isinstance(loc[-2], int) else section
    owner = f"{noun} {clip(name)}" if isinstance(name, str) else noun
    owner = "the manifest" if len(loc) == 1 else owner
    models = _models_at(model, loc[:-1])
    described = next((field.description for at in models if (field := at.model_fields.get(key)) and field.description), None)
    return f"{owner} has no {key}", f"add {key}: {described}" if described else f"add {key}"


def _unknown_key(loc: Loc, model: type[BaseModel]) -> Words:
    key = str(loc[-1])
    if loc[0] == "switch_roles" and len(loc) == _SWITCH_ROLE_KEY and "external" in key.casefold():
        return (
            "an external ID on a switch role: the console cannot switch to a role that requires one",
            "remove it; require_mfa protects the role",
        )
    if len(loc) == 1 and model is not Manifest and key in Manifest.model_fields:
        return f"{key} is not allowed in an included file", "move it to the main manifest"
    known = [name for at in _models_at(model, loc[:-1]) for name in at.model_fields]
    return f"unknown key {clip(key)}", suggest(key, known, "remove it; known here")


def _models_at(model: type[BaseModel], loc: Loc) -> list[type[BaseModel]]:
    """The models that are possible at a loc, from the annotations of the fields."""
    models = [model]
    name_next = False
    for part in loc:
        if isinstance(part, int):
            continue
        if name_next:  # a key of a mapping is chosen by the user, not a field
            name_next = False
            continue
        fields = [at.model_fields[part].annotation for at in models if part in at.model_fields]
        origins = map(get_origin, fields)
        name_next = any(isinstance(origin, type) and issubclass(origin, Mapping) for origin in origins)
        models = [found for annotation in fields for found in _models_in(annotation)]
    return models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _text(subject: str, spot: NodeRef, _context: Mapping[str, Any]) -> Words:
    value, raw = spot.value, spot.raw
    if isinstance(value, MapNode | ListNode):
        shape = "a mapping" if isinstance(value, MapNode) else "a list"
        return f"{subject} is {shape} where a string is expected", "write a single string"
    if value is None:
        return f"{subject} has no value", "write a value, or remove the key"
    raw = str(value) if raw is None else raw
    zeros = _DIGITS.fullmatch(raw) and raw.lstrip("+-").startswith("0") and len(raw) > 1
    loss = " and loses its leading zeros" if zeros else ""
    hint = f'write "{clip(raw)}" in quotes'
    if subject == "account_id" and not re.fullmatch(ACCOUNT_ID_PATTERN, raw):
        hint = "write its 12 digits in quotes"
    return f"{subject} {clip(raw)} is read by YAML as {kind_of(value)}{loss}", hint


def _pattern(subject: str, spot: NodeRef, context: Mapping[str, Any]) -> Words:
    if spot.value == "":
        return f"{subject} is empty", "write a value, or remove the key"
    phrase, hint = HINTS.get(context["pattern"], ("does not match the allowed pattern", "see `gen schema` for its pattern"))
    return f'{subject} "{clip(str(spot.value))}" {phrase}', hint


def _too_long(subject: str, spot: NodeRef, context: Mapping[str, Any]) -> Words:
    limit = context["max_length"]
    return f"{subject} has {len(spot.value):,} characters, and {limit:,} are allowed", f"shorten it to {limit:,} characters"


def _literal(subject: str, spot: NodeRef, context: Mapping[str, Any]) -> Words:
    shown = clip(_shown(spot))
    choices = re.findall(r"'([^']*)'", context["expected"]) or [str(context["expected"])]
    if len(choices) == 1:
        return f"{subject} {shown} is not known", f"write {subject}: {choices[0]}"
    return f"{subject} {shown} is not a valid choice", suggest(shown, choices, "write one of")


def _worded(what: str, hint: str) -> Callable[[str, NodeRef, Mapping[str, Any]], Words]:
    """A message and hint in which `{subject}`, `{value}`, `{shown}` (as written) and the limits of pydantic are replaced."""

    def words(subject: str, spot: NodeRef, context: Mapping[str, Any]) -> Words:
        values = {**context, "subject": subject, "value": spot.value, "shown": clip(_shown(spot))}
        return what.format(**values), hint.format(**values)

    return words


_NOT_A_NUMBER = _worded("{subject} {shown} is not a whole number", "write a whole number without quotes")
_NOT_A_BOOLEAN = _worded("{subject} {shown} is neither true nor false", "write true or false")


def _list(subject: str, spot: NodeRef, _context: Mapping[str, Any]) -> Words:
    if isinstance(spot.value, MapNode):
        return f"{subject} is a mapping where a list is expected", "start each entry with `- `"
    if spot.value is None:
        return f"{subject} has no value", "write a list, or remove the key"
    shown = clip(_shown(spot))
    return f"{subject} is a single value where a list is expected", f"write [{shown}]"


def _mapping(subject: str, spot: NodeRef, _context: Mapping[str, Any]) -> Words:
    if spot.value is None:
        return f"{subject} has no value", "write `KEY: VALUE` below it, or remove the key"
    shape = "a list" if isinstance(spot.value, ListNode) else "a single value"
    return f"{subject} is {shape} where keys are expected", "write `KEY: VALUE` lines"


def _shown(spot: NodeRef) -> str:
    if isinstance(spot.value, MapNode | ListNode):
        return "(a mapping)" if isinstance(spot.value, MapNode) else "(a list)"
    return spot.raw if spot.raw is not None else str(spot.value)


_MESSAGES: dict[str, Callable[[str, NodeRef, Mapping[str, Any]], Words]] = {
    "string_type": _text,
    "string_pattern_mismatch": _pattern,
    "string_too_long": _too_long,
    "string_too_short": _worded("{subject} is empty", "write a value"),
    "literal_error": _literal,
    "int_type": _NOT_A_NUMBER,
    "int_parsing": _NOT_A_NUMBER,
    "int_parsing_size": _NOT_A_NUMBER,
    "int_from_float": _NOT_A_NUMBER,
    "greater_than_equal": _worded("{subject} {value} is too small", "write {ge} or more"),
    "less_than_equal": _worded("{subject} {value} is too large", "write {le} or less"),
    "bool_type": _NOT_A_BOOLEAN,
    "bool_parsing": _NOT_A_BOOLEAN,
    "tuple_type": _list,
    "mapping_type": _mapping,
    "dict_type": _mapping,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
}
