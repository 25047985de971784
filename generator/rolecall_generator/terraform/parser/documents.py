"""Policy documents from `data "aws_iam_policy_document"` and from JSON.

Source: AWS provider 3.39 to 6.x, `iam_policy_document_data_source.go` and its documentation, November 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from rolecall_generator.iam import Condition, PolicyDocument, Principal, Statement, root_arn
from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.conversion import decode_json
from rolecall_generator.terraform.parser.expressions import MAXIMUM_STEPS, EvaluationScope, count_steps
from rolecall_generator.terraform.parser.modules import Instance, NoNames, argument_value, iterations, strings
from rolecall_generator.terraform.parser.values import Document, ObjectValue, Unresolvable, Value, plain

_STATEMENT = frozenset({"sid", "effect", "actions", "not_actions", "resources", "not_resources"})
_ACCOUNT = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class _Closed:
    """A cached document without references, equal in every module with this body; None if it has references."""

    body: s.Body
    document: Document | None
    steps: int = 0


_closed: dict[int, _Closed] = {}
"""Cache by the body's id; the body is kept in the entry so that the id stays valid. Emptied when it is full."""
_KEPT = 2048
_STEPS_OF_A_STATEMENT = 10
_written: dict[tuple[int, str], tuple[PolicyDocument, PolicyDocument]] = {}
"""Documents in the form in which AWS stores them, by the id of the written document, with that document."""


def document_json(instance: Instance) -> Document:
    """The attribute `json` of a policy document data source. Raises Unresolvable."""
    closed = _read_closed(instance)
    return closed.document if closed.document is not None else Document(evaluate_document(instance))


def _read_closed(instance: Instance) -> _Closed:
    """The cache entry of a document; it has a document only if it can be evaluated without the module's names.

    Raises Unresolvable if the module has taken too many steps, as without the cache.
    """
    known = _closed.get(id(instance.body))
    if known is None:
        budget = [MAXIMUM_STEPS]
        isolated = replace(instance, scope=EvaluationScope(NoNames(), {}, instance.file, budget))
        try:
            known = _Closed(instance.body, Document(evaluate_document(isolated)), MAXIMUM_STEPS - budget[0])
        except Unresolvable:
            known = _Closed(instance.body, None)
        if len(_closed) >= _KEPT:
            _closed.clear()
        _closed[id(instance.body)] = known
    count_steps(instance.scope, known.steps)
    return known


def evaluate_document(instance: Instance) -> PolicyDocument:
    """The document of a policy document data source, without the cache. Raises Unresolvable."""
    version = instance.get("version")
    if version == "":
        raise Unresolvable("an empty version", instance.line, instance.file)
    statements: list[Statement] = []
    earlier = [_mergeable(text) for text in _texts(instance, "source_json", "source_policy_documents")]
    later = [_mergeable(text) for text in _texts(instance, "override_json", "override_policy_documents")]
    for document in earlier:
        count_steps(instance.scope, _STEPS_OF_A_STATEMENT * (len(statements) + 1))
        _merge(statements, document.statements, unique=True)
    own = [_statement(body, scope) for name, body, scope in expand(instance.body, instance.scope) if name == "statement"]
    sids = [statement.sid for statement in own if statement.sid]
    if len(set(sids)) != len(sids):
        raise Unresolvable("two statements with the same sid", instance.line, instance.file)
    _merge(statements, own)
    for document in later:
        count_steps(instance.scope, _STEPS_OF_A_STATEMENT * (len(statements) + 1))
        _merge(statements, document.statements)
    count_steps(instance.scope, _STEPS_OF_A_STATEMENT * len(statements))
    # The provider takes the newest version of all merged documents.
    versions = [document.version for document in (*earlier, *later)]
    return PolicyDocument(
        tuple(statements), max(PolicyDocument.VERSION if version is None else plain(version), *versions, "")
    )


def _mergeable(value: Value) -> PolicyDocument:
    """A document to be merged with others. Raises Unresolvable if versions of the provider parse it differently.

    Provider 3.39 drops conditions whose value is a bool or a number, and accepts only a list of statements.
    """
    document = policy_from_text(value)
    if isinstance(value, str):
        waiting: list[object] = [body := json.loads(value)]
        if not isinstance(body.get("Statement", []), list):
            raise Unresolvable(
                "a merged policy whose Statement is not a list, which not all versions of the provider accept"
            )
        while waiting:
            item = waiting.pop()
            if isinstance(item, (dict, list)):
                waiting.extend(item.values() if isinstance(item, dict) else item)
            elif not isinstance(item, str):
                raise Unresolvable("a bool or a number in a merged policy, which versions of the provider may drop")
    return document


def policy_from_text(value: Value) -> PolicyDocument:
    """Parse a policy from JSON. Raises Unresolvable."""
    if isinstance(value, Document):
        return value.policy
    if not isinstance(value, str):
        raise Unresolvable("the policy is not a JSON string")
    return _policy(value)


@lru_cache(maxsize=1024)
def _policy(value: str) -> PolicyDocument:
    try:
        body = decode_json(value, _no_fraction)
        _check_json(body)
        if not isinstance(body, dict) or set(body) - {"Version", "Id", "Statement"}:
            raise ValueError("not an object of Version, Id and Statement")
        document = PolicyDocument.from_json(body)
    except (ValueError, AttributeError, RecursionError, TypeError) as error:
        raise Unresolvable(f"not a policy document ({error})") from None
    for statement in document.statements:
        _check(statement)
    return document


def _no_fraction(digits: str) -> object:
    raise ValueError(f"{digits} in a policy, which AWS may store in another form")


def _check_json(body: object, depth: int = 4) -> None:
    """Raise ValueError for nulls, and for lists or objects in place of strings.

    `depth`: the number of levels of objects allowed here, from the document through `Statement` and `Condition` to its keys.
    """
    if body is None:
        raise ValueError("null in a policy")
    if isinstance(body, dict):
        if not depth:
            raise ValueError("an object where a string is expected")
        for name, item in body.items():
            _check_json(item, _OBJECTS_IN.get(name, 0) if depth > _IN_STATEMENT else depth - 1)
    elif isinstance(body, list):
        for item in body:
            if isinstance(item, list):
                raise ValueError("a list within a list")
            _check_json(item, depth if depth == _STATEMENT_DEPTH else 0)


_OBJECTS_IN = {"Statement": 3, "Condition": 2, "Principal": 1, "NotPrincipal": 1}
_STATEMENT_DEPTH = 3
_IN_STATEMENT = 2


def stored_policy(value: Value, partition: str) -> PolicyDocument:
    """Parse a policy from JSON in the form in which AWS stores it. Results are cached. Raises Unresolvable."""
    document = policy_from_text(value)
    known = _written.get((id(document), partition))
    if known is None:
        known = (document, with_root_arns(document, partition))
        if len(_written) >= _KEPT:
            _written.clear()
        _written[id(document), partition] = known
    return known[1]


def with_root_arns(document: PolicyDocument, partition: str) -> PolicyDocument:
    """The document with account IDs in principals replaced by the account's root ARN, as AWS does."""

    def written(principal: Principal) -> Principal:
        if principal.type == "AWS" and _ACCOUNT.fullmatch(principal.identifier):
            return Principal("AWS", root_arn(partition, principal.identifier))
        return principal

    statements = (
        replace(
            statement,
            principals=tuple(map(written, statement.principals)),
            not_principals=tuple(map(written, statement.not_principals)),
        )
        for statement in document.statements
    )
    return replace(document, statements=tuple(statements))


def expand(body: s.Body, scope: EvaluationScope) -> Iterator[tuple[str, s.Body, EvaluationScope]]:
    """Yield nested blocks with type and scope, with `dynamic` blocks expanded. Raises Unresolvable."""
    for block in body.blocks:
        if block.type != "dynamic":
            yield block.type, block.body, scope
            continue
        content = [inner for inner in block.body.blocks if inner.type == "content"]
        for_each = block.body.attributes.get("for_each")
        if len(content) != 1 or for_each is None or set(block.body.attributes) - {"for_each", "iterator"}:
            raise Unresolvable("a dynamic block of an unusual form", block.line, scope.file)
        name = _iterator(block)
        for key, value in iterations(for_each, scope):
            yield block.labels[0], content[0].body, scope.within({name: ObjectValue({"key": key, "value": value})})


def _iterator(block: s.Block) -> str:
    attribute = block.body.attributes.get("iterator")
    if attribute is None:
        return block.labels[0]
    if isinstance(attribute.expression, s.Name):
        return attribute.expression.name
    raise Unresolvable("an iterator of an unusual form", attribute.line, block.file)


def _texts(instance: Instance, single: str, several: str) -> list[Value]:
    """The documents of the arguments `single` and `several`, without empty ones, which the provider ignores."""
    one = instance.get(single)
    if one is not None and instance.strings(several):
        # Provider 3.39 applies `override_json` last.
        raise Unresolvable(
            f"both {single} and {several}, whose order differs between versions of the provider",
            instance.line,
            instance.file,
        )
    return [value for value in (*([] if one is None else [one]), *instance.strings(several)) if value != ""]


def _merge(statements: list[Statement], added: Iterable[Statement], *, unique: bool = False) -> None:
    """Replace statements with the same sid and add the others. `unique`: the same sid is an error."""
    places = {statement.sid: place for place, statement in enumerate(statements) if statement.sid}
    for statement in added:
        if statement.sid not in places:
            places.update({statement.sid: len(statements)} if statement.sid else {})
            statements.append(statement)
        elif unique:
            raise Unresolvable(f"two source documents with the sid {statement.sid}")
        else:
            statements[places[statement.sid]] = statement


def _statement(body: s.Body, scope: EvaluationScope) -> Statement:
    _known(body, _STATEMENT, scope)
    values = _values(body, scope)
    principals: dict[str, list[Principal]] = {"principals": [], "not_principals": []}
    conditions: list[Condition] = []
    for name, inner, inner_scope in expand(body, scope):
        if name == "condition":
            conditions.append(_condition(inner, inner_scope))
        elif name in principals:
            principals[name].extend(_principals(inner, inner_scope))
        else:
            raise Unresolvable(f"the block {name} is not supported in a statement", None, scope.file)
    statement = Statement(
        effect=_string(values, "effect", "Allow"),
        sid=_string(values, "sid", ""),
        actions=_strings(values, "actions"),
        not_actions=_strings(values, "not_actions"),
        resources=_variables(values, "resources"),
        not_resources=_variables(values, "not_resources"),
        principals=tuple(principals["principals"]),
        not_principals=tuple(principals["not_principals"]),
        conditions=tuple(conditions),
    )
    _check(statement)
    return statement


def _known(body: s.Body, arguments: frozenset[str], scope: EvaluationScope) -> None:
    for name, attribute in body.attributes.items():
        if name not in arguments:
            raise Unresolvable(f"the argument {name} is not supported", attribute.line, scope.file)


def _values(body: s.Body, scope: EvaluationScope) -> dict[str, Value]:
    return {name: argument_value(name, attribute, scope) for name, attribute in body.attributes.items()}


def _condition(body: s.Body, scope: EvaluationScope) -> Condition:
    values = _exactly(body, scope, ("test", "variable", "values"))
    return Condition(_string(values, "test"), _string(values, "variable"), _variables(values, "values"))


def _principals(body: s.Body, scope: EvaluationScope) -> list[Principal]:
    values = _exactly(body, scope, ("type", "identifiers"))
    kind = _string(values, "type")
    return [Principal(kind, identifier) for identifier in _variables(values, "identifiers")]


def _exactly(body: s.Body, scope: EvaluationScope, names: tuple[str, ...]) -> dict[str, Value]:
    _known(body, frozenset(names), scope)
    values = {} if body.blocks else _values(body, scope)
    if any(values.get(name) is None for name in names):
        raise Unresolvable(f"one of {', '.join(names)} is missing", None, scope.file)
    return values


def _string(values: Mapping[str, Value], name: str, default: str = "") -> str:
    value = values.get(name)
    return default if value is None else plain(value)


def _strings(values: Mapping[str, Value], name: str) -> tuple[str, ...]:
    return tuple(map(plain, strings(values.get(name), name)))


def _variables(values: Mapping[str, Value], name: str) -> tuple[str, ...]:
    """Strings in which `&{` is `${`, for policy variables of IAM."""
    return tuple(item.replace("&{", "${") for item in _strings(values, name))


def _check(statement: Statement) -> None:
    """Raise Unresolvable for what AWS or a version of the provider may interpret differently."""
    if statement.effect not in ("Allow", "Deny"):
        raise Unresolvable(f"the effect {statement.effect!r} is neither Allow nor Deny")
    keys = [(condition.operator.lower(), condition.key.lower()) for condition in statement.conditions]
    if len(set(keys)) != len(keys):
        # Provider 3.39 keeps the last condition, later versions merge the values.
        raise Unresolvable("two conditions of a statement with the same operator and key")
