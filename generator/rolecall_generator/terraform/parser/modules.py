"""Resolves references in a module: variables, locals, resources with their instances, and the account.

Source of variables and their type constraints with `optional()`: `ext/typeexpr` of github.com/hashicorp/hcl, and
`internal/terraform/eval_variable.go` and `internal/configs` of github.com/hashicorp/terraform, versions 1.5 to 1.15,
November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rolecall_generator.iam import Arn, iam_arn
from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.conversion import convert, truth
from rolecall_generator.terraform.parser.expressions import (
    MAXIMUM_STEPS,
    EvaluationScope,
    count_steps,
    count_values,
    evaluate_attribute,
)
from rolecall_generator.terraform.parser.files import ModuleFiles
from rolecall_generator.terraform.parser.lexer import Unreadable
from rolecall_generator.terraform.parser.readers import read_native
from rolecall_generator.terraform.parser.schema import ARGUMENT_TYPES, KINDS, NAME_ARGUMENT, POLICY_ARGUMENTS
from rolecall_generator.terraform.parser.values import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    Collection,
    Document,
    ListValue,
    MapValue,
    Namespace,
    ObjectType,
    ObjectValue,
    SetValue,
    TupleType,
    TupleValue,
    Type,
    Unresolvable,
    Value,
    is_null,
    plain,
    without_optional,
)

_ARGUMENTS = frozenset({"type", "default", "description", "sensitive", "nullable", "ephemeral", "deprecated"})
_NAMED = {"string": STRING, "number": NUMBER, "bool": BOOL, "any": DYNAMIC}
_COLLECTIONS = ("list", "set", "map")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A type constraint. `defaults` are those of optional attributes; `inner` holds constraints by attribute or position.

    The key in `inner` is "" for the elements of a collection.
    """

    type: Type
    defaults: Mapping[str, Value] = field(default_factory=dict)
    inner: Mapping[str, Constraint] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """True if no attribute at any level has a default."""
        return not self.defaults and not self.inner


def variable_value(block: s.Block, given: tuple[s.Attribute, str] | None, scope: EvaluationScope) -> Value:
    """The value of a variable, from a variable definitions file or its default. Raises Unresolvable.

    `given`: the value in a variable definitions file, with the file's name; None if there is none. `scope`: that of the
    arguments of the block.
    """
    arguments = block.body.attributes
    unknown = sorted(set(arguments) - _ARGUMENTS)
    if unknown:
        raise Unresolvable(f"the argument {unknown[0]} of a variable is not supported", block.line, block.file)
    constraint = constraint_of(arguments["type"].expression, scope) if "type" in arguments else Constraint(DYNAMIC)
    default = conform(evaluate_attribute(arguments["default"], scope), constraint) if "default" in arguments else None
    value = default
    if given is not None:
        attribute, file = given
        value = conform(evaluate_attribute(attribute, replace(scope, file=file)), constraint)
    if given is None and "default" not in arguments:
        known = without_optional(constraint.type)
        raise Unresolvable(f"the variable {block.labels[0]} has no default", value_type=None if known == DYNAMIC else known)
    if is_null(value) and "nullable" in arguments and not truth(evaluate_attribute(arguments["nullable"], scope)):
        if is_null(default):
            raise Unresolvable(f"the variable {block.labels[0]} is null but not nullable", block.line, block.file)
        return default
    return value


def conform(value: Value, constraint: Constraint) -> Value:
    """Convert a value to a type constraint, with defaults for missing and null attributes. Raises Unresolvable."""
    return convert(_with_defaults(value, constraint), constraint.type)


def _with_defaults(value: Value, constraint: Constraint) -> Value:
    if is_null(value) or constraint.plain:
        return value
    if isinstance(value, (TupleValue, ListValue, SetValue)):
        return TupleValue(
            [
                _inside(item, constraint, str(position) if isinstance(constraint.type, TupleType) else "")
                for position, item in enumerate(value)
            ]
        )
    if not isinstance(value, (ObjectValue, MapValue)):
        return value
    named = isinstance(constraint.type, ObjectType)
    result = ObjectValue({name: _inside(item, constraint, name if named else "") for name, item in value.items()})
    for name, default in constraint.defaults.items():
        if is_null(result.get(name)):
            result[name] = _inside(default, constraint, name)
    return result


def _inside(value: Value, constraint: Constraint, name: str) -> Value:
    inner = constraint.inner.get(name)
    return value if inner is None else _with_defaults(value, inner)


def constraint_of(expression: s.Expression, scope: EvaluationScope) -> Constraint:
    """Parse a type constraint; `scope` is that of defaults. Raises Unresolvable."""
    match expression:
        case s.Literal(str(code)):
            # JSON syntax; in the native syntax Terraform rejects quotes here.
            return constraint_of(_code(code), scope)
        case s.Name(name) if name in _NAMED:
            return Constraint(_NAMED[name])
        case s.Name(name) if name in ("list", "map"):
            return Constraint(Collection(name, DYNAMIC))
        case s.Call(name, (inner,), False) if name in _COLLECTIONS:
            element = constraint_of(inner, scope)
            return Constraint(Collection(name, element.type), inner={} if element.plain else {"": element})
        case s.Call("tuple", (s.Tuple(items),), False):
            elements = [constraint_of(item, scope) for item in items]
            nested = {str(position): element for position, element in enumerate(elements) if not element.plain}
            return Constraint(TupleType(tuple([element.type for element in elements])), inner=nested)
        case s.Call("object", (s.Object(items),), False):
            return _object(items, scope)
    raise Unresolvable("a type that is not supported")


def _code(code: str) -> s.Expression:
    try:
        return read_native(f"x {{\n  type = {code}\n}}\n", "").blocks[0].body.attributes["type"].expression
    except (Unreadable, KeyError, IndexError):
        raise Unresolvable("a type that is not supported") from None


def _object(items: tuple[tuple[s.Expression, s.Expression], ...], scope: EvaluationScope) -> Constraint:
    attributes: dict[str, Type] = {}
    optional: set[str] = set()
    defaults: dict[str, Value] = {}
    inner: dict[str, Constraint] = {}
    for key, expression in items:
        if not isinstance(key, s.Literal) or not isinstance(key.value, str) or key.value in attributes:
            raise Unresolvable("an object type with an unusual or repeated attribute")
        name, of = key.value, expression
        default: Value = None
        match expression:
            case s.Call("optional", (of, *rest), False) if len(rest) <= 1:
                optional.add(name)
                default = evaluate_attribute(s.Attribute(rest[0], expression.line), scope) if rest else None
        constraint = constraint_of(of, scope)
        attributes[name] = constraint.type
        if default is not None:
            defaults[name] = convert(default, constraint.type)
        if not constraint.plain:
            inner[name] = constraint
    return Constraint(ObjectType(tuple(sorted(attributes.items())), frozenset(optional)), defaults, inner)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a resource or data source; `count` and `for_each` make several."""

    kind: str
    address: str
    body: s.Body
    scope: EvaluationScope
    line: int

    @property
    def file(self) -> str:
        """The name of the file with its block."""
        return self.scope.file

    def get(self, argument: str) -> Value:
        """The value of an argument in its type in the schema; None if it is absent or null. Raises Unresolvable."""
        attribute = self.body.attributes.get(argument)
        return None if attribute is None else argument_value(argument, attribute, self.scope)

    def needed(self, argument: str) -> str:
        """The string of a required argument. Raises Unresolvable, also if it is empty."""
        value = self.get(argument)
        if value is None or value == "":
            raise Unresolvable(f"{argument} is missing", self.line, self.file)
        return plain(value)

    def strings(self, argument: str) -> list[Value]:
        """The strings of an argument, empty if it is absent. Raises Unresolvable."""
        return strings(self.get(argument), argument)


_VARIABLE = "variable."
_STEPS_OF_AN_ARGUMENT = 10
"""Evaluation steps that take as long as converting and storing an argument."""


def argument_value(argument: str, attribute: s.Attribute, scope: EvaluationScope) -> Value:
    """Evaluate an argument of a resource in its type in the provider's schema; None for null. Raises Unresolvable."""
    count_steps(scope, _STEPS_OF_AN_ARGUMENT)
    value = evaluate_attribute(attribute, scope)
    if isinstance(value, (str, Document)) and argument not in ARGUMENT_TYPES:
        return value
    if is_null(value):
        return None
    try:
        count_values(scope, [value])
        return convert(value, ARGUMENT_TYPES.get(argument, STRING))
    except Unresolvable as error:
        raise Unresolvable(error.reason, attribute.line, scope.file) from None
    except RecursionError:
        raise Unresolvable("a value too deep to be converted", attribute.line, scope.file) from None


def strings(value: Value, argument: str) -> list[Value]:
    """The elements of a set or list of strings, empty for None. Raises Unresolvable if one of them is null."""
    items = list(value) if isinstance(value, (ListValue, SetValue)) else []
    if any(map(is_null, items)):
        raise Unresolvable(f"a null in {argument}")
    return items


@dataclass(slots=True)
class ModuleScope:
    """The references of a module. Values are cached."""

    source: ModuleFiles
    account_id: str
    """Empty if the account is unknown: then what depends on it cannot be resolved."""
    partition: str
    document_json: Callable[[Instance], Document]
    _blocks: dict[str, s.Block] = field(default_factory=dict)
    _known: dict[str, object] = field(default_factory=dict)
    _budget: list[int] = field(default_factory=lambda: [MAXIMUM_STEPS])

    def __post_init__(self) -> None:
        for block in self.source.blocks:
            self._blocks.setdefault(block.address, block)
            if block.type == "locals":
                for name, attribute in block.body.attributes.items():
                    single = s.Block("local", (name,), s.Body({name: attribute}), block.file, block.line)
                    self._blocks.setdefault(single.address, single)

    def scope(self, file: str, local: Mapping[str, Value] | None = None) -> EvaluationScope:
        """The scope of expressions in a file."""
        return EvaluationScope(self, local or {}, file, self._budget)

    def root(self, name: str, line: int) -> Value:
        """The value of the first name of a reference. Raises Unresolvable."""
        if name == "var":
            return Namespace(self._variable)
        if name == "local":
            return Namespace(self._local)
        if name == "data":
            return Namespace(lambda kind: Namespace(lambda label: self.references(f"data.{kind}.{label}")))
        if name.startswith("aws_"):
            return Namespace(lambda label: self.references(f"{name}.{label}"))
        raise Unresolvable(f"{name} is known only to Terraform", line)

    def _remember(self, address: str, make: Callable[[s.Block], T]) -> T:
        block = self._blocks.get(address)
        if block is None:
            raise Unresolvable(f"{address} is not declared in the module")
        if address not in self._known:
            self._known[address] = _UNDERWAY
            try:
                self._known[address] = make(block)
            except Unresolvable as error:
                self._known[address] = error
        value = self._known[address]
        if value is _UNDERWAY:
            raise Unresolvable(f"{address} refers to itself")
        if isinstance(value, Unresolvable):
            # Not TerraformError: an error elsewhere in the module ends the plan, and `try` here does not handle it.
            raise Unresolvable(value.reason, value.line, value.file, value.type)
        return value  # type: ignore[return-value]

    def _variable(self, name: str) -> Value:
        def value(block: s.Block) -> Value:
            scope = EvaluationScope(NoNames(), {}, block.file, self._budget)
            try:
                return variable_value(block, self.source.values.get(name), scope)
            except Unresolvable as error:
                raise Unresolvable(error.reason, error.line or block.line, error.file or block.file, error.type) from None

        return self._remember(f"{_VARIABLE}{name}", value)

    @property
    def variables(self) -> list[s.Block]:
        """The variables whose values were read so far, except those that could not be resolved."""
        known = (address for address, value in self._known.items() if not isinstance(value, Unresolvable))
        return [self._blocks[address] for address in known if address.startswith(_VARIABLE)]

    def _local(self, name: str) -> Value:
        return self._remember(
            f"local.{name}",
            lambda block: evaluate_attribute(block.body.attributes[name], self.scope(block.file)),
        )

    def references(self, address: str) -> Value:
        """The value of a resource: a Namespace, or a tuple (`count`) or object (`for_each`) of them. Raises Unresolvable."""
        repeated, instances = self._remember(address, self._instances)
        values = [Namespace(_reader(self, instance)) for _, instance in instances]
        if repeated == "count":
            return TupleValue(values)
        if repeated == "for_each":
            return ObjectValue({key: value for (key, _), value in zip(instances, values, strict=True)})
        return values[0]

    def instances(self, block: s.Block) -> list[Instance]:
        """The instances of a resource or data source. Raises Unresolvable if their number cannot be determined."""
        if self._blocks.get(block.address) is not block:
            # A second block with the same address, already reported: its access is reported too.
            return [instance for _, instance in self._instances(block)[1]]
        return [instance for _, instance in self._remember(block.address, self._instances)[1]]

    def _instances(self, block: s.Block) -> tuple[str, list[tuple[str, Instance]]]:
        kind = ".".join(block.address.split(".")[:-1])
        arguments = block.body.attributes
        scope = self.scope(block.file)
        local: list[tuple[str, str, dict[str, Value]]]
        if "count" in arguments and "for_each" in arguments:
            raise Unresolvable("both count and for_each", block.line, block.file)
        if "count" in arguments:
            local = [
                (str(n), f"[{n}]", {"count": ObjectValue({"index": n})}) for n in range(_count(arguments["count"], scope))
            ]
            repeated = "count"
        elif "for_each" in arguments:
            local = [
                (key, f'["{key}"]', {"each": ObjectValue({"key": key, "value": value})})
                for key, value in _keyed(arguments["for_each"], scope)
            ]
            repeated = "for_each"
        else:
            local, repeated = [("", "", {})], ""
        return repeated, [
            (key, Instance(kind, block.address + suffix, block.body, self.scope(block.file, names), block.line))
            for key, suffix, names in local
        ]

    def computed(self, instance: Instance, name: str) -> Value:
        """An attribute of a resource, given as argument or computed by AWS. Raises Unresolvable."""
        kind = KINDS.get(instance.kind)
        if self.account_id and (given := self._given(instance.kind, name)):
            return given
        if instance.kind == "data.aws_iam_policy_document":
            if name in ("json", "minified_json"):
                return self.document_json(instance)
        elif kind is not None:
            if kind.arn is not None and (name == "arn" or (name, kind.arn) == ("id", "policy")):
                return self.arn(instance)
            if kind.arn is not None and name in _NAME_ATTRIBUTES.get(instance.kind, ("id", "name")):
                return self.name(instance)
            if name in kind.read and (value := instance.get(name)) is not None:
                return self._read_back(name, value)
        raise Unresolvable(f"{instance.address}.{name} is known only to AWS", instance.line, instance.file)

    def _read_back(self, name: str, value: Value) -> Value:
        """The value of an argument read as an attribute. Raises Unresolvable if the provider changes it."""
        if name in POLICY_ARGUMENTS:
            raise Unresolvable("the JSON of a policy, which the provider rewrites")
        if isinstance(value, MapValue) and any(map(is_null, value.values())):
            raise Unresolvable(f"a null in {name}")
        return value

    def _given(self, kind: str, name: str) -> str | None:
        """Attributes of the data sources of account and partition; None for others."""
        known = {
            ("data.aws_caller_identity", "account_id"): self.account_id,
            ("data.aws_caller_identity", "id"): self.account_id,
            ("data.aws_partition", "partition"): self.partition,
            ("data.aws_partition", "id"): self.partition,
        }
        return known.get((kind, name))

    def name(self, instance: Instance) -> str:
        """The IAM name of a resource. Raises Unresolvable."""
        return instance.needed(NAME_ARGUMENT.get(instance.kind, "name"))

    def arn(self, instance: Instance) -> str:
        """The ARN of the resource; an existing one can have it in a postcondition. Raises Unresolvable."""
        name = self.name(instance)
        kind = KINDS[instance.kind].arn or ""
        if instance.kind.startswith("data."):
            stated = self.postcondition_value(instance, "arn")
            arn = Arn.parse(stated) if stated else None
            if stated and arn is not None:
                if (arn.kind, arn.name, arn.account_id) != (kind, name, self.account_id):
                    raise Unresolvable(
                        f"the postcondition has {stated}, the ARN of another {kind}", instance.line, instance.file
                    )
                return stated
            return iam_arn(self.partition, self.account_id, kind, "/", name)
        path = instance.get("path")
        if path == "":
            raise Unresolvable("an empty path", instance.line, instance.file)
        return iam_arn(self.partition, self.account_id, kind, "/" if path is None else plain(path), name)

    def postcondition_value(self, instance: Instance, attribute: str) -> str | None:
        """The value in a postcondition `self.ATTRIBUTE == "..."` of the resource; None if there is none."""
        found: set[str] = set()
        for block in instance.body.blocks:
            for inner in block.body.blocks if block.type == "lifecycle" else ():
                condition = inner.body.attributes.get("condition")
                if inner.type == "postcondition" and condition is not None:
                    found.update(_equated(condition, attribute, instance.scope))
        return found.pop() if len(found) == 1 else None


MAXIMUM_INSTANCES = 10_000
_NAME_ATTRIBUTES = {"data.aws_iam_group": ("group_name",), "data.aws_iam_user": ("user_name",)}
"""Attributes with the name of the resource; `id` differs in these two."""
_UNDERWAY = object()


class NoNames:
    """A scope without references: for files of values, and documents that use none."""

    def root(self, name: str, line: int) -> Value:
        """Raise Unresolvable."""
        raise Unresolvable(f"{name} cannot be used in a variable definitions file", line)


def _reader(module: ModuleScope, instance: Instance) -> Callable[[str], Value]:
    return lambda name: module.computed(instance, name)


def _count(attribute: s.Attribute, scope: EvaluationScope) -> int:
    number = convert(evaluate_attribute(attribute, scope), NUMBER)
    if not isinstance(number, int) or not 0 <= number <= MAXIMUM_INSTANCES:
        raise Unresolvable("count is not a number of instances", attribute.line, scope.file)
    return number


def _keyed(attribute: s.Attribute, scope: EvaluationScope) -> list[tuple[str, Value]]:
    """Keys and values of a resource's `for_each`, a map or set of strings. Raises Unresolvable."""
    value = evaluate_attribute(attribute, scope)
    if isinstance(value, (ObjectValue, MapValue)):
        pairs = [(key, value[key]) for key in sorted(value)]
    elif isinstance(value, SetValue) and (value.element == STRING or not value):
        pairs = [(plain(item), item) for item in value]
    else:
        raise Unresolvable("for_each over a value that is neither a map nor a set of strings", attribute.line, scope.file)
    if len(pairs) > MAXIMUM_INSTANCES:
        raise Unresolvable("for_each over too many elements", attribute.line, scope.file)
    return pairs


def iterations(attribute: s.Attribute, scope: EvaluationScope) -> list[tuple[Value, Value]]:
    """Keys and values of the `for_each` of a dynamic block. Raises Unresolvable.

    The order of a set of objects is undefined, which does not matter for the supported blocks.
    """
    value = evaluate_attribute(attribute, scope)
    if isinstance(value, (ObjectValue, MapValue)):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, SetValue):
        return [(item, item) for item in value]
    if isinstance(value, (TupleValue, ListValue)):
        return list(enumerate(value))
    raise Unresolvable("for_each over a value that is not a list, set or map", attribute.line, scope.file)


def _equated(condition: s.Attribute, attribute: str, scope: EvaluationScope) -> Iterator[str]:
    """Yield the string with which the condition compares `self.ATTRIBUTE`, if it is only that comparison."""
    expression = condition.expression
    if isinstance(expression, s.Template) and len(expression.parts) == 1:
        expression = expression.parts[0]
    if not isinstance(expression, s.Binary) or expression.operator != "==":
        return
    for one, other in ((expression.left, expression.right), (expression.right, expression.left)):
        match one:
            case s.Index(s.Name("self"), s.Literal(name)) if name == attribute:
                try:
                    value = evaluate_attribute(s.Attribute(other, condition.line), scope)
                except Unresolvable:
                    return
                if isinstance(value, str):
                    yield value
