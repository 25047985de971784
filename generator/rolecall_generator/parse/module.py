"""What the names in a module stand for: variables, locals, resources with their instances, the account it is meant for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall_generator.iam.arn import iam_arn, parse_arn
from rolecall_generator.parse import syntax as s
from rolecall_generator.parse.expressions import MAXIMUM_STEPS, Namespace, Scope, evaluate_attribute
from rolecall_generator.parse.functions import Unresolvable, text
from rolecall_generator.parse.kinds import KINDS, NAME_ARGUMENT
from rolecall_generator.parse.source import Source


@dataclass(frozen=True, slots=True)
class Instance:
    """One resource or data source, one of several with `count` or `for_each`."""

    kind: str
    address: str
    body: s.Body
    scope: Scope
    line: int

    @property
    def file(self) -> str:
        """The file that it stands in."""
        return self.scope.file

    def get(self, argument: str) -> Any:
        """An argument's value, None when it is absent. Raises Unresolvable."""
        attribute = self.body.attributes.get(argument)
        return None if attribute is None else evaluate_attribute(attribute, self.scope)

    def needed(self, argument: str) -> str:
        """An argument that must be there, as text. Raises Unresolvable."""
        value = self.get(argument)
        if value is None:
            raise Unresolvable(f"{argument} is missing", self.line, self.file)
        return text(value)


@dataclass(slots=True)
class Module:
    """One module's names. Mutable only as a memory of what was evaluated."""

    source: Source
    account_id: str
    """Empty while the account is not known: then nothing that depends on it is resolved."""
    partition: str
    document_json: Callable[[Instance], str]
    _blocks: dict[str, s.Block] = field(default_factory=dict)
    _known: dict[str, Any] = field(default_factory=dict)
    _budget: list[int] = field(default_factory=lambda: [MAXIMUM_STEPS])

    def __post_init__(self) -> None:
        for block in self.source.blocks:
            self._blocks.setdefault(block.address, block)
            if block.type == "locals":
                for name, attribute in block.body.attributes.items():
                    single = s.Block("local", (name,), s.Body({name: attribute}), block.file, block.line)
                    self._blocks.setdefault(single.address, single)

    def scope(self, file: str, local: Mapping[str, Any] | None = None) -> Scope:
        """The module's names as seen from one file."""
        return Scope(self, local or {}, file, self._budget)

    def root(self, name: str, line: int) -> Any:
        """What the first name of a reference stands for. Raises Unresolvable."""
        if name == "var":
            return Namespace(self._variable)
        if name == "local":
            return Namespace(self._local)
        if name == "data":
            return Namespace(lambda kind: Namespace(lambda label: self.references(f"data.{kind}.{label}")))
        if name.startswith("aws_"):
            return Namespace(lambda label: self.references(f"{name}.{label}"))
        raise Unresolvable(f"{name} is known to Terraform alone", line)

    def _remember(self, address: str, make: Callable[[s.Block], Any]) -> Any:
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
            raise Unresolvable(value.reason, value.line, value.file)
        return value

    def _variable(self, name: str) -> Any:
        def value(block: s.Block) -> Any:
            if name in self.source.values:
                given, file = self.source.values[name]
                return evaluate_attribute(given, Scope(NoNames(), {}, file, self._budget))
            if "default" not in block.body.attributes:
                raise Unresolvable(f"the variable {name} has no default")
            return evaluate_attribute(block.body.attributes["default"], self.scope(block.file))

        return self._remember(f"variable.{name}", value)

    def _local(self, name: str) -> Any:
        return self._remember(
            f"local.{name}",
            lambda block: evaluate_attribute(block.body.attributes[name], self.scope(block.file)),
        )

    def references(self, address: str) -> Any:
        """A resource as a value: one Namespace, a list of them (`count`) or a map (`for_each`). Raises Unresolvable."""
        repeated, instances = self._remember(address, self._instances)
        values = [Namespace(_reader(self, instance)) for _, instance in instances]
        if repeated == "count":
            return values
        if repeated == "for_each":
            return {key: value for (key, _), value in zip(instances, values, strict=True)}
        return values[0]

    def instances(self, block: s.Block) -> list[Instance]:
        """The instances of a resource or data source. Raises Unresolvable when their number cannot be known."""
        if self._blocks.get(block.address) is not block:
            # A second block of one address: found and reported before, read all the same.
            return [instance for _, instance in self._instances(block)[1]]
        return [instance for _, instance in self._remember(block.address, self._instances)[1]]

    def _instances(self, block: s.Block) -> tuple[str, list[tuple[str, Instance]]]:
        kind = ".".join(block.address.split(".")[:-1])
        arguments = block.body.attributes
        scope = self.scope(block.file)
        if "count" in arguments and "for_each" in arguments:
            raise Unresolvable("both count and for_each", block.line, block.file)
        if "count" in arguments:
            number = evaluate_attribute(arguments["count"], scope)
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAXIMUM_INSTANCES:
                raise Unresolvable("count is no number of instances", arguments["count"].line, block.file)
            local: list[tuple[str, str, dict[str, Any]]] = [
                (str(n), f"[{n}]", {"count": {"index": n}}) for n in range(number)
            ]
            repeated = "count"
        elif "for_each" in arguments:
            local = [
                (key, f'["{key}"]', {"each": {"key": key, "value": value}})
                for key, value in pairs(evaluate_attribute(arguments["for_each"], scope), arguments["for_each"], block.file)
            ]
            repeated = "for_each"
        else:
            local, repeated = [("", "", {})], ""
        return repeated, [
            (key, Instance(kind, block.address + suffix, block.body, self.scope(block.file, names), block.line))
            for key, suffix, names in local
        ]

    def computed(self, instance: Instance, name: str) -> Any:
        """An attribute of a resource, whether it is written or AWS makes it. Raises Unresolvable."""
        kind = KINDS.get(instance.kind)
        if self.account_id and (given := self._given(instance.kind, name)):
            return given
        if instance.kind == "data.aws_iam_policy_document" and name in ("json", "minified_json"):
            return self.document_json(instance)
        if kind is not None and kind.arn is not None:
            if name == "arn" or (name, kind.arn) == ("id", "policy"):
                return self.arn(instance)
            if name in ("id", "name", "user_name", "group_name"):
                return self.name(instance)
        if kind is not None and name in kind.read and name in instance.body.attributes:
            return instance.get(name)
        raise Unresolvable(f"{instance.address}.{name} is known to AWS alone", instance.line, instance.file)

    def _given(self, kind: str, name: str) -> str | None:
        """What the account and the partition say about themselves."""
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
        """The ARN that the resource has or will have. An existing one may state its own in a postcondition."""
        name = self.name(instance)
        kind = KINDS[instance.kind].arn or ""
        if instance.kind.startswith("data."):
            stated = self.stated(instance, "arn")
            arn = parse_arn(stated) if stated else None
            if stated and arn is not None:
                if (arn.kind, arn.name, arn.account_id) != (kind, name, self.account_id):
                    raise Unresolvable(f"the postcondition names {stated}, another {kind}", instance.line, instance.file)
                return stated
            return iam_arn(self.partition, self.account_id, kind, "/", name)
        return iam_arn(self.partition, self.account_id, kind, text(instance.get("path") or "/"), name)

    def stated(self, instance: Instance, attribute: str) -> str | None:
        """What a postcondition `self.ATTRIBUTE == "..."` of the resource holds it to; None when there is none."""
        found: set[str] = set()
        for block in instance.body.blocks:
            for inner in block.body.blocks if block.type == "lifecycle" else ():
                condition = inner.body.attributes.get("condition")
                if inner.type == "postcondition" and condition is not None:
                    found.update(_equated(condition, attribute, instance.scope))
        return found.pop() if len(found) == 1 else None


MAXIMUM_INSTANCES = 10_000
_UNDERWAY = object()


class NoNames:
    """Names of a file of values, and of a document that stands for itself: none."""

    def root(self, name: str, line: int) -> Any:
        """Refuse. Raises Unresolvable."""
        raise Unresolvable(f"{name} has no place in a file of values", line)


def _reader(module: Module, instance: Instance) -> Callable[[str], Any]:
    return lambda name: module.computed(instance, name)


def pairs(value: Any, attribute: s.Attribute, file: str) -> list[tuple[str, Any]]:
    """Keys and values of a `for_each`: a map's own, a set's elements twice. Raises Unresolvable."""
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return [(item, item) for item in dict.fromkeys(value)]
        # Sets of objects stand in dynamic blocks alone, where the keys do not matter.
        return [(str(number), item) for number, item in enumerate(value)]
    raise Unresolvable("for_each over something that is no set or map", attribute.line, file)


def _equated(condition: s.Attribute, attribute: str, scope: Scope) -> Iterator[str]:
    """The text that `self.ATTRIBUTE` is compared with, when the condition is that comparison and nothing else."""
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
