"""Syntax trees: what both of Terraform's syntaxes say, as plain frozen values. Knows no Terraform resource."""

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
    """A string with `${ }` in it."""

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
    """The element that a splat is at."""


@dataclass(frozen=True, slots=True)
class Splat:
    """`base[*].a.b`, or `base.*.a.b` if not `full`; `each` is what follows the star, applied to an `Item`."""

    base: Expression
    each: Expression
    full: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `expand` is the `...` behind the last argument."""

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
    """`[for k, v in source : value if condition]`, or with `key =>` an object (`group` is its `...`)."""

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
    """What stands between braces. `repeated` names arguments that come twice, which Terraform refuses."""

    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    repeated: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A block with its labels and its place; `line` counts from 1."""

    type: str
    labels: tuple[str, ...]
    body: Body
    file: str
    line: int

    @property
    def address(self) -> str:
        """As Terraform names it: `aws_iam_role.this`, `data.aws_iam_policy_document.trust`, `variable.x`."""
        if self.type == "resource":
            return ".".join(self.labels)
        return ".".join((self.type, *self.labels))
