"""Readers of Terraform's native and JSON syntax: both produce the syntax trees of `syntax`.

The native syntax is parsed by python-hcl2 in pieces that end with a top-level block. Pieces and shapes (see `lexer`) are
cached in the process, so that what modules share is parsed once. The parse tree is used directly: converting it to
dicts, as `hcl2.loads` does, takes as long as parsing.

JSON does not distinguish blocks from arguments; the names listed here are blocks, all others are arguments. Source:
Terraform language documentation, "JSON Configuration Syntax", November 2026.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rolecall_generator.output import folder_lock
from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.conversion import decode_json
from rolecall_generator.terraform.parser.lexer import MAXIMUM_DEPTH, ScannedText, Unreadable, normalize, scan, scan_template
from rolecall_generator.terraform.parser.values import Unresolvable, parse_number
from rolecall_generator.user_cache import is_own_file, user_cache_folder

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

    Node = Tree[Token]

_Access = Callable[[s.Expression], s.Expression]

_TREES: dict[str, Any] = {}
_KEPT_TREES = 2048
"""Maximum number of cached trees, about 20 KB each; a full cache is emptied."""

_END_OF_BLOCK = "\n}\n"


@lru_cache(maxsize=64)
def read_native(text: str, file: str) -> s.Body:
    """Parse a `.tf` file. Raises Unreadable."""
    try:
        return s.Body(blocks=tuple(_in_pieces(text, file)))
    except Unreadable:
        # Only the whole file gives the line of an error, and arguments outside of blocks.
        return read_whole(text, file)


def read_whole(text: str, file: str) -> s.Body:
    """As `read_native`, in one piece, caching only trees."""
    return _body(scan(text), file, 1)


def _in_pieces(text: str, file: str) -> Iterator[s.Block]:
    """Yield the blocks of all pieces. Raises Unreadable if a piece may hold more than blocks."""
    *pieces, rest = text.split(_END_OF_BLOCK)
    line = 1
    for piece in pieces:
        yield from _blocks(piece + _END_OF_BLOCK, file, line)
        line += piece.count("\n") + 2
    if rest:
        yield from _blocks(rest, file, line)


@lru_cache(maxsize=1024)
def _blocks(piece: str, file: str, line: int) -> tuple[s.Block, ...]:
    """Parse a piece that starts at `line`, outside of all brackets.

    If every piece also ends outside of all brackets and holds only blocks, the pieces together are the blocks of the file.
    """
    scanned = scan(piece)
    body = _body(scanned, file, line)
    if scanned.depth or body.attributes or body.repeated:
        raise Unreadable("not a sequence of blocks", line)
    return body.blocks


def _body(scanned: ScannedText, file: str, line: int) -> s.Body:
    tree = _parse_tree(scanned.shape)
    try:
        return _HclReader(scanned.literals, file, line - 1).body(tree.children[0])
    except RecursionError:
        raise Unreadable("an expression of too many parts", 1) from None


@lru_cache(maxsize=4096)
def read_template(text: str) -> s.Expression:
    """Parse a template without escapes, as in the JSON syntax. Raises Unreadable."""
    return _body(scan_template(text), "", 1).attributes["x"].expression


def _parse_tree(shape: str) -> Any:
    tree = _TREES.get(shape)
    if tree is None:
        if len(_TREES) >= _KEPT_TREES:
            _TREES.clear()
        tree = _TREES[shape] = _parse(shape)
    return tree


def _parse(shape: str) -> Any:
    # Imported here: importing takes a quarter of a second, and cached runs parse no module.
    from lark.exceptions import LarkError, UnexpectedInput  # noqa: PLC0415

    try:
        # As in `hcl2.parses_to_tree`: the grammar requires a line break at the end.
        return parser().parse(shape + "\n")
    except UnexpectedInput as error:
        line = error.line if error.line and error.line > 0 else shape.count("\n") + 1
        raise Unreadable("not the syntax of Terraform", line) from None
    except (LarkError, RecursionError):
        raise Unreadable("not the syntax of Terraform", 1) from None


class _HclReader:
    """Converts a parse tree with the literals of its piece; `above` is the number of lines before the piece."""

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
        """The key of an object: a bare word is a literal, in parentheses a reference."""
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
        return self.nested(base, lambda item: self.chain(item, [access]))

    _index_expr_term = _get_attr_expr_term

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
        """`a.*.b[0]`: attributes and `.0` apply to each element, everything from `[` on to the resulting list."""
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
        """Apply an access to a base, or to each element if it ends in `[*]`: `a[*].b[*].c` is each `c` of each `b`."""
        before = self.expression(base)
        return _innermost(before, access) if _open_splat(base) else access(before)

    def _conditional(self, tree: Node) -> s.Expression:
        condition, yes, no = (self.expression(part) for part in _trees(tree))
        return s.Conditional(condition, yes, no)

    def _binary_op(self, tree: Node) -> s.Expression:
        left, term = _trees(tree)
        operator, right = _trees(term)
        # The operator's token may include the line break before it.
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
    """True if a chain of accesses has a `[*]` outside of parentheses: later accesses then apply to its elements."""
    if tree.data == "expr_term":
        return len(tree.children) == 1 and not isinstance(tree.children[0], str) and _open_splat(tree.children[0])
    if tree.data in ("attr_splat_expr_term", "get_attr_expr_term", "index_expr_term"):
        return _open_splat(_trees(tree)[0])
    return tree.data == "full_splat_expr_term"


def _trees(tree: Node) -> list[Any]:
    """The children that are rules, without line breaks."""
    return [child for child in tree.children if not isinstance(child, str) and child.data != "new_line_or_comment"]


_LABELS = {"resource": 2, "data": 2, "ephemeral": 2, "variable": 1, "output": 1, "module": 1, "provider": 1, "check": 1}
_NESTED_LABELS = {"dynamic": 1, "provisioner": 1, "backend": 1, "provider_meta": 1}
_NESTED = frozenset({
    "condition", "connection", "content", "inline_policy", "lifecycle", "not_principals", "postcondition", "precondition",
    "principals", "required_providers", "statement", "timeouts", "validation", *_NESTED_LABELS,
})  # fmt: skip
# Arguments whose strings are references, not templates.
_REFERENCES = frozenset({"depends_on", "ignore_changes", "replace_triggered_by", "from", "to", "provider"})
# Arguments that Terraform evaluates without a scope: `${` in a string is literal (verified with Terraform 1.11.4).
_LITERAL = {"variable": frozenset({"default", "deprecated", "description", "ephemeral", "nullable", "sensitive", "type"})}

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')


def read_json(text: str, file: str) -> s.Body:
    """Parse a `.tf.json` file. Raises Unreadable."""
    return _JsonReader(text, file).root(_document(text))


def read_json_values(text: str, file: str) -> s.Body:
    """Parse a `.tfvars.json` file into arguments; its strings are not templates. Raises Unreadable."""
    reader = _JsonReader(text, file)
    values = {
        name: s.Attribute(reader.literal(value), reader.line(name))
        for name, value in _document(text).items()
        if name != "//"
    }
    return s.Body(values)


def _document(text: str) -> dict[str, Any]:
    try:
        document = decode_json(text)
    except json.JSONDecodeError as error:
        raise Unreadable("not JSON", error.lineno) from None
    except ValueError as error:
        raise Unreadable(str(error), 1) from None
    except RecursionError:
        raise Unreadable("nested too deep", 1) from None
    if not isinstance(document, dict):
        raise Unreadable("not a JSON object", 1)
    _check_values(document)
    return document


def _check_values(document: dict[str, Any]) -> None:
    """Raise Unreadable for deep nesting, numbers that are not finite, and unpaired surrogates, which Terraform replaces."""
    pending: list[tuple[Any, int]] = [(document, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                raise Unreadable("a string with half a surrogate pair", 1)
        elif isinstance(value, float) and not math.isfinite(value):
            raise Unreadable("a number that is not JSON, or too large", 1)
        elif isinstance(value, (dict, list)):
            if depth > MAXIMUM_DEPTH:
                raise Unreadable(f"nested more than {MAXIMUM_DEPTH} deep", 1)
            pending += [(item, depth + 1) for item in value]
            if isinstance(value, dict):
                pending += [(item, depth + 1) for item in value.values()]


class _JsonReader:
    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines = _lines(text)

    def line(self, name: str) -> int:
        """The line of the first occurrence of a name (Python's JSON parser gives no positions)."""
        return self.lines.get(json.dumps(name, ensure_ascii=False), 1)

    def root(self, document: dict[str, Any]) -> s.Body:
        blocks: list[s.Block] = []
        for kind, value in document.items():
            if kind != "//":
                blocks.extend(self.blocks(kind, value, _LABELS.get(kind, 0)))
        return s.Body(blocks=tuple(blocks))

    def blocks(self, kind: str, value: Any, labels: int) -> Iterator[s.Block]:
        for names, body in _labelled(value, labels):
            if not isinstance(body, dict):
                raise Unreadable(f"{kind} is not a JSON object", self.line(kind))
            line = self.line(names[-1] if names else kind)
            yield s.Block(kind, names, self.body(body, kind), self.file, line)

    def body(self, body: dict[str, Any], kind: str) -> s.Body:
        attributes: dict[str, s.Attribute] = {}
        blocks: list[s.Block] = []
        for name, value in body.items():
            if name == "//":
                continue
            if name in _NESTED and kind != "locals" and isinstance(value, (dict, list)):
                blocks.extend(self.blocks(name, value, _NESTED_LABELS.get(name, 0)))
            else:
                expression = self.argument(kind, name, value)
                attributes[name] = s.Attribute(expression, self.line(name))
        return s.Body(attributes, tuple(blocks))

    def argument(self, kind: str, name: str, value: Any) -> s.Expression:
        """The expression of an argument in a block of type `kind`."""
        if name in _LITERAL.get(kind, ()):
            return self.literal(value)
        if name in _REFERENCES:
            return self.reference(value)
        return self.expression(value)

    def literal(self, value: Any) -> s.Expression:
        """A value whose strings are not templates."""
        if isinstance(value, dict):
            return s.Object(tuple((self.literal(key), self.literal(item)) for key, item in value.items()))
        if isinstance(value, list):
            return s.Tuple(tuple(self.literal(item) for item in value))
        return s.Literal(normalize(value) if isinstance(value, str) else value)

    def expression(self, value: Any) -> s.Expression:
        if isinstance(value, dict):
            return s.Object(tuple((self.expression(key), self.expression(item)) for key, item in value.items()))
        if isinstance(value, list):
            return s.Tuple(tuple(self.expression(item) for item in value))
        if isinstance(value, str):
            return read_template(value)
        return s.Literal(value)

    def reference(self, value: Any) -> s.Expression:
        if isinstance(value, list):
            return s.Tuple(tuple(self.reference(item) for item in value))
        if not isinstance(value, str):
            return s.Literal(value)
        return read_native(f"x = {value}\n", self.file).attributes["x"].expression


def _lines(text: str) -> dict[str, int]:
    """The line of the first occurrence of each string, by the string as written in the file."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        for match in _STRING.finditer(line):
            lines.setdefault(match.group(), number)
    return lines


def _labelled(value: Any, labels: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield labels and body of each block: one nested object per label; each level may be a list."""
    for item in value if isinstance(value, list) else [value]:
        if not labels:
            yield (), item
        elif not isinstance(item, dict):
            raise Unreadable("a block without its name", 1)
        else:
            for name, inner in item.items():
                if name == "//":
                    continue
                for names, body in _labelled(inner, labels - 1):
                    yield (name, *names), body


CACHE_NAME = "hcl2.lark"
"""Lark's parse tables in the user's cache folder. Lark builds them in about 1.5 s and loads them in 0.1 s.

python-hcl2 caches them in its own folder in site-packages, which is often not writable. Lark rebuilds the file if a version,
the grammar or an option differs, or if it is damaged.
"""


@lru_cache(maxsize=1)
def parser() -> Lark:
    """python-hcl2's parser; cached in the user's cache folder only if that is safe, since the file is a pickle."""
    folder = user_cache_folder()
    if folder is not None and is_own_file(folder / CACHE_NAME):
        # Lark writes the file in place: the lock keeps processes from writing it at the same time.
        with suppress(OSError), folder_lock(folder):
            return build(str(folder / CACHE_NAME))
    return build()


def build(cache: str | None = None) -> Lark:
    """Build the parser of `hcl2.parser.parser`, with its tables cached in the file `cache`."""
    # Imported here: see `_parse`.
    import hcl2.parser  # noqa: PLC0415
    from hcl2.postlexer import PostLexer  # noqa: PLC0415
    from lark import Lark  # noqa: PLC0415

    return Lark.open(
        "hcl2.lark",
        parser="lalr",
        rel_to=hcl2.parser.__file__,
        propagate_positions=True,
        postlex=PostLexer(),
        cache=cache or False,
    )
