"""Terraform's native syntax -> syntax trees, by python-hcl2's parser.

A file is read in pieces that end with a top-level block, and a piece that was read before is not read again: what modules
share is read once, though the files differ elsewhere. python-hcl2 parses a piece's shape (see `lexical`), and a shape is
parsed once a process: the modules of ten thousand customers with the same permissions have the same few shapes. Its tree is
walked as it stands; turning it into rule objects and dicts, as `hcl2.loads` does, costs as much again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rolecall_generator.parse import syntax as s
from rolecall_generator.parse.grammar import parser
from rolecall_generator.parse.lexical import Scanned, Unreadable, scan, scan_template
from rolecall_generator.parse.numbers import parse_number
from rolecall_generator.parse.values import Unresolvable

if TYPE_CHECKING:
    from lark import Token, Tree

    Node = Tree[Token]

_Access = Callable[[s.Expression], s.Expression]

_TREES: dict[str, Any] = {}
_KEPT_TREES = 2048
"""Trees of an ordinary piece take about 20 KB; the cache is emptied when it is full."""

_END_OF_BLOCK = "\n}\n"


@lru_cache(maxsize=64)
def read_native(text: str, file: str) -> s.Body:
    """Blocks and attributes of a `.tf` file. Raises Unreadable. Files that all modules share are read once."""
    try:
        return s.Body(blocks=tuple(_in_pieces(text, file)))
    except Unreadable:
        # The place of a mistake, and what arguments outside of blocks mean, are those of the whole.
        return read_whole(text, file)


def read_whole(text: str, file: str) -> s.Body:
    """As `read_native`, in one piece and remembering nothing but trees."""
    return _body(scan(text), file, 1)


def _in_pieces(text: str, file: str) -> Iterator[s.Block]:
    """Blocks piece by piece. Raises Unreadable when a piece is nothing but blocks is not sure."""
    *pieces, rest = text.split(_END_OF_BLOCK)
    line = 1
    for piece in pieces:
        yield from _blocks(piece + _END_OF_BLOCK, file, line)
        line += piece.count("\n") + 2
    if rest:
        yield from _blocks(rest, file, line)


@lru_cache(maxsize=1024)
def _blocks(piece: str, file: str, line: int) -> tuple[s.Block, ...]:
    """The blocks of a piece that starts at `line`, outside of everything.

    When it ends outside of everything too, the next piece starts so; and since a body is a sequence of blocks, pieces that
    are bodies each make the body that the whole is.
    """
    scanned = scan(piece)
    body = _body(scanned, file, line)
    if scanned.depth or body.attributes or body.repeated:
        raise Unreadable("no sequence of blocks", line)
    return body.blocks


def _body(scanned: Scanned, file: str, line: int) -> s.Body:
    tree = _parsed(scanned.shape)
    try:
        return _Reader(scanned.literals, file, line - 1).body(tree.children[0])
    except RecursionError:
        raise Unreadable("an expression of too many parts", 1) from None


@lru_cache(maxsize=4096)
def read_template(text: str) -> s.Expression:
    """A template without escapes, as the JSON syntax has it. Raises Unreadable."""
    return _body(scan_template(text), "", 1).attributes["x"].expression


def _parsed(shape: str) -> Any:
    tree = _TREES.get(shape)
    if tree is None:
        if len(_TREES) >= _KEPT_TREES:
            _TREES.clear()
        tree = _TREES[shape] = _parse(shape)
    return tree


def _parse(shape: str) -> Any:
    # Imported here: a quarter of a second that a run without a module to read must not pay.
    from lark.exceptions import LarkError, UnexpectedInput  # noqa: PLC0415

    try:
        # As `hcl2.parses_to_tree` does: the grammar knows the end of a line, not the end of a file.
        return parser().parse(shape + "\n")
    except UnexpectedInput as error:
        line = error.line if error.line and error.line > 0 else shape.count("\n") + 1
        raise Unreadable("not the syntax of Terraform", line) from None
    except (LarkError, RecursionError):
        raise Unreadable("not the syntax of Terraform", 1) from None


class _Reader:
    """Walks one tree with the literals of one piece; `above` counts the lines that stand above it in its file."""

    def __init__(self, literals: tuple[str, ...], file: str, above: int) -> None:
        self.literals = literals
        self.file = file
        self.above = above

    def line(self, token: Any) -> int:
        return int(token.line) + self.above

    def body(self, tree: Node) -> s.Body:
        attributes: dict[str, s.Attribute] = {}
        repeated = []
        blocks = []
        for child in _trees(tree):
            if child.data == "attribute":
                token = child.children[0].children[0]
                attribute = s.Attribute(self.expression(child.children[-1]), self.line(token))
                if str(token) in attributes:
                    repeated.append((str(token), self.line(token)))
                attributes[str(token)] = attribute
            elif child.data == "block":
                blocks.append(self.block(child))
        return s.Body(attributes, tuple(blocks), tuple(repeated))

    def block(self, tree: Node) -> s.Block:
        *head, body = _trees(tree)
        first = head[0].children[0]
        labels = [self.label(part) for part in head[1:]]
        return s.Block(str(first), tuple(labels), self.body(body), self.file, self.line(first))

    def label(self, tree: Node) -> str:
        if tree.data != "string":
            return str(tree.children[0])
        value = self.string(tree)
        if isinstance(value, s.Literal):
            return str(value.value)
        raise Unreadable("a block label that is a template", 1)

    def string(self, tree: Node) -> s.Expression:
        parts: list[s.Expression] = []
        for part in _trees(tree):
            content = part.children[0]
            if isinstance(content, str):
                parts.append(s.Literal(self.literals[int(content)]))
            else:
                parts.append(self.expression(content.children[1]))
        if len(parts) == 1 and isinstance(parts[0], s.Literal):
            return parts[0]
        return s.Template(tuple(parts))

    def expression(self, tree: Any) -> s.Expression:
        handler = getattr(self, f"_{tree.data}", None)
        if handler is None:
            return s.Unsupported(str(tree.data).replace("_", " "), getattr(tree.meta, "line", 1) + self.above)
        result: s.Expression = handler(tree)
        return result

    def _expr_term(self, tree: Node) -> s.Expression:
        return self.expression(_trees(tree)[0])

    def _string(self, tree: Node) -> s.Expression:
        return self.string(tree)

    def _int_lit(self, tree: Node) -> s.Expression:
        return self.number(tree.children[0])

    _float_lit = _int_lit

    def number(self, token: Any) -> s.Expression:
        try:
            return s.Literal(parse_number(str(token)))
        except Unresolvable as error:
            return s.Unsupported(error.reason, self.line(token))

    def _literal_value(self, tree: Node) -> s.Expression:
        return s.Literal({"true": True, "false": False, "null": None}[str(tree.children[0])])

    def _identifier(self, tree: Node) -> s.Expression:
        token: Any = tree.children[0]
        return s.Name(str(token), self.line(token))

    def _tuple(self, tree: Node) -> s.Expression:
        return s.Tuple(tuple(self.expression(item) for item in _trees(tree)))

    def _object(self, tree: Node) -> s.Expression:
        items = []
        for element in _trees(tree):
            key, value = _trees(element)
            items.append((self.object_key(_trees(key)[0]), self.expression(value)))
        return s.Object(tuple(items))

    def object_key(self, tree: Node) -> s.Expression:
        """A bare word is the key itself; in parentheses it is a reference."""
        if tree.data == "keyword":
            return s.Literal(str(tree.children[0]))
        inner = tree.children[0] if tree.data == "expr_term" else tree
        if not isinstance(inner, str) and inner.data in ("identifier", "literal_value"):
            return s.Literal(str(inner.children[0]))
        key = self.expression(tree)
        if isinstance(key, s.Index) and "(" not in tree.children:
            return s.Unsupported("a reference as a key without parentheses", getattr(tree.meta, "line", 1) + self.above)
        return key

    def _function_call(self, tree: Node) -> s.Expression:
        names = [child for child in _trees(tree) if child.data == "identifier"]
        arguments = next((child for child in _trees(tree) if child.data == "arguments"), None)
        line = self.line(names[0].children[0])
        values = () if arguments is None else tuple(self.expression(item) for item in _trees(arguments))
        expand = arguments is not None and any(child == "..." for child in arguments.children)
        return s.Call("::".join(str(name.children[0]) for name in names), values, expand, line)

    def _get_attr_expr_term(self, tree: Node) -> s.Expression:
        base, access = _trees(tree)
        return self.behind(base, [access])

    _index_expr_term = _get_attr_expr_term

    def behind(self, base: Node, accesses: list[Node]) -> s.Expression:
        """What a chain of accesses selects, all of them for each element when the base is a full splat."""
        return self.nested(base, lambda item: self.chain(item, accesses))

    def chain(self, base: s.Expression, accesses: list[Node]) -> s.Expression:
        for access in accesses:
            base = s.Index(base, self.access(access))
        return base

    def access(self, tree: Node) -> s.Expression:
        if tree.data == "get_attr":
            return s.Literal(str(_trees(tree)[0].children[0]))
        if tree.data == "short_index":
            return self.number(tree.children[-1])
        return self.expression(_trees(tree)[0])

    def _attr_splat_expr_term(self, tree: Node) -> s.Expression:
        """`a.*.b[0]`: attributes and `.0` are taken from each element, everything from `[` on from the whole list."""
        base, splat = _trees(tree)
        accesses = _trees(splat)
        inside = next((n for n, access in enumerate(accesses) if access.data == "braces_index"), len(accesses))
        each = self.chain(s.Item(), accesses[:inside])
        return self.nested(base, lambda item: self.chain(s.Splat(item, each, full=False), accesses[inside:]))

    def _full_splat_expr_term(self, tree: Node) -> s.Expression:
        base, splat = _trees(tree)
        each = self.chain(s.Item(), _trees(splat))
        return self.nested(base, lambda item: s.Splat(item, each, full=True))

    def nested(self, base: Node, access: _Access) -> s.Expression:
        """An access to a base; to each of its elements if that ends in `[*]`: `a[*].b[*].c` is every `c` of every `b`."""
        before = self.expression(base)
        return _innermost(before, access) if _open_splat(base) else access(before)

    def _conditional(self, tree: Node) -> s.Expression:
        condition, yes, no = (self.expression(part) for part in _trees(tree))
        return s.Conditional(condition, yes, no)

    def _binary_op(self, tree: Node) -> s.Expression:
        left, term = _trees(tree)
        operator, right = _trees(term)
        # The operator's token may carry the line break before it.
        return s.Binary(str(operator.children[0]).strip(), self.expression(left), self.expression(right))

    def _unary_op(self, tree: Node) -> s.Expression:
        return s.Unary(str(tree.children[0]), self.expression(_trees(tree)[0]))

    def _for_tuple_expr(self, tree: Node) -> s.Expression:
        intro, *rest = _trees(tree)
        condition = self.expression(_trees(rest.pop())[0]) if rest[-1].data == "for_cond" else None
        names = tuple(str(part.children[0]) for part in _trees(intro) if part.data == "identifier")
        source = self.expression(_trees(intro)[-1])
        key = self.expression(rest[0]) if rest[1:] else None
        group = any(child == "..." for child in tree.children)
        return s.For(names, source, key, self.expression(rest[-1]), condition, group)

    _for_object_expr = _for_tuple_expr


def _innermost(expression: s.Expression, access: _Access) -> s.Expression:
    if isinstance(expression, s.Splat) and expression.full:
        return s.Splat(expression.base, _innermost(expression.each, access), full=True)
    return access(expression)


def _open_splat(tree: Node) -> bool:
    """Whether a chain of accesses has a `[*]` outside of parentheses: all that follows is taken from its elements."""
    if tree.data == "expr_term":
        return len(tree.children) == 1 and not isinstance(tree.children[0], str) and _open_splat(tree.children[0])
    if tree.data in ("attr_splat_expr_term", "get_attr_expr_term", "index_expr_term"):
        return _open_splat(_trees(tree)[0])
    return tree.data == "full_splat_expr_term"


def _trees(tree: Node) -> list[Any]:
    """The children that are rules, line breaks left out."""
    return [child for child in tree.children if not isinstance(child, str) and child.data != "new_line_or_comment"]
