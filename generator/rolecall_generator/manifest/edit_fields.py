"""Fields of an entry of a YAML text: set in place, put in at their place, taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rolecall_generator.manifest.edit_error import BY_HAND
from rolecall_generator.manifest.edit_lists import cut_flow
from rolecall_generator.manifest.edit_nodes import Node
from rolecall_generator.manifest.edit_render import QUOTED_FIELDS, Value, dress_of, render, render_field
from rolecall_generator.manifest.edit_splices import Splices


def entry_node(splices: Splices, section: str, index: int) -> Node:
    """The mapping of one entry. Raises EditError where an alias stands for it."""
    pair = splices.root.pair(section) if splices.root is not None else None
    if pair is None:
        raise ValueError(f"no {section}")
    node = pair[1].children[index]
    if node.kind != "map" or not node.children:
        raise splices.refusal(node.start, "this entry is a repetition of another (an alias)", "write the entry out")
    return node


def set_field(splices: Splices, entry: Node, field: str, value: Value, order: Sequence[str]) -> None:
    """Give a field a value: in place where the entry has the field, else below the one that comes before it in `order`."""
    pair = entry.pair(field)
    if pair is None:
        _insert(splices, entry, field, value, order)
        return
    key, old = pair
    splices.keep_anchors(old)
    dress = dress_of(entry)
    if old.style in ("'", '"'):
        new = render(value, replace(dress, quote=old.style), quoted=True)
    else:
        new = render(value, dress, quoted=field in QUOTED_FIELDS)
    if old.start == old.end:  # `role:` with nothing behind it
        splices.replace(old.end, old.end, f" {new}")
    elif old.flow:
        splices.replace(old.start, old.end, new)
    else:
        _replace_block(splices, key, old, new)


def drop_field(splices: Splices, entry: Node, field: str) -> None:
    """Take a field that an entry has out of it, with the comment in its own line."""
    number = next(number for number, (key, _) in enumerate(entry.pairs) if key.value == field)
    key, value = entry.pairs[number]
    splices.keep_anchors(value)
    if entry.flow:
        cut_flow(splices, [(one.start, other.end) for one, other in entry.pairs], number, number)
        return
    start = splices.lines.start(key.start)
    if not splices.text[start : key.start].strip():
        splices.replace(start, splices.lines.next(value.end), "")
        return
    after = entry.pairs[number + 1][0].start if number + 1 < len(entry.pairs) else None
    if after is None or splices.text[value.end : after].strip():
        raise splices.refusal(key.start, f"{field} shares its line with other parts of the entry", BY_HAND)
    splices.replace(key.start, after, "")


def _insert(splices: Splices, entry: Node, field: str, value: Value, order: Sequence[str]) -> None:
    rank = {name: number for number, name in enumerate(order)}
    before = [pair for pair in entry.pairs if rank.get(pair[0].value, -1) < rank[field]]
    key, above = max(before or entry.pairs, key=lambda pair: rank.get(pair[0].value, -1))
    rendered = render_field(field, value, dress_of(entry))
    if entry.flow:
        splices.replace(above.end, above.end, f", {rendered}")
    else:
        splices.insert_lines(above.end if above.end > key.end else key.end, [" " * entry.children[0].column + rendered])


def _replace_block(splices: Splices, key: Node, old: Node, new: str) -> None:
    """A block list or mapping gives way to a value on the key's line; a comment there stays."""
    colon = splices.text.index(":", key.end) + 1
    line_end = splices.lines.end(colon)
    splices.replace(colon, colon, f" {new}")
    splices.replace(line_end, splices.lines.end(old.end), "")
