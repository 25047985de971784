"""Syntax trees of Terraform's native and JSON syntax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, bool or null."""

    value: str | int | Fraction | bool | None


@dataclass(frozen=True, slots=True)
class Template:
    """A string with interpolations."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Tuple:
    """`[a, b]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Object:
    """`{a = b}`; bare keys are literals here."""

    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class Name:
    """The root of a reference, as `var` or `aws_iam_role`."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Index:
    """`base.key` and `base[key]`; the first has a literal key."""

    base: Expression
    key: Expression


@dataclass(frozen=True, slots=True)
class Item:
    """The current element of a splat."""


@dataclass(frozen=True, slots=True)
class Splat:
    """`base[*].a.b`, or `base.*.a.b` if not `full`; `each` is the expression for one element, an `Item`."""

    base: Expression
    each: Expression
    full: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `expand` is true for `...` after the last argument."""

    name: str
    arguments: tuple[Expression, ...]
    expand: bool
    line: int


@dataclass(frozen=True, slots=True)
class Conditional:
    """`condition ? yes : no`."""

    condition: Expression
    yes: Expression
    no: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Unary:
    """`!a` or `-a`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class For:
    """`[for k, v in source : value if condition]`, or with `key =>` an object; `group` is true for `...`."""

    names: tuple[str, ...]
    source: Expression
    key: Expression | None
    value: Expression
    condition: Expression | None
    group: bool


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Syntax that is not evaluated."""

    what: str
    line: int


Expression = (
    Literal
    | Template
    | Tuple
    | Object
    | Name
    | Index
    | Item
    | Splat
    | Call
    | Conditional
    | Binary
    | Unary
    | For
    | Unsupported
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name = expression`."""

    expression: Expression
    line: int


@dataclass(frozen=True, slots=True)
class Body:
    """The content of a block or file. `repeated` lists arguments that occur twice, which Terraform rejects."""

    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    repeated: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its labels and position; `line` counts from 1."""

    type: str
    labels: tuple[str, ...]
    body: Body
    file: str
    line: int

    @property
    def address(self) -> str:
        """Terraform's address: `aws_iam_role.this`, `data.aws_iam_policy_document.trust`, `variable.x`."""
        if self.type == "resource":
            return ".".join(self.labels)
        return ".".join((self.type, *self.labels))
