"""Edits of entries in a YAML or CSV file: entries and fields are added and changed in the style of their neighbours.

Everything else stays byte for byte as it is.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from rolecall_generator.manifest import CSV_COLUMNS, Customer, Suppression, SwitchRole
from rolecall_generator.manifest.editing.text_edits import (
    BY_HAND,
    QUOTED_FIELDS,
    Splices,
    Style,
    Value,
    YamlNode,
    render,
    render_field,
    render_map,
    style_of,
)

_CELL = re.compile(r' *"(?:[^"]|"")*"[^,]*|[^,]*')
_PREFIXES = {field: prefix for prefix, field in CSV_COLUMNS.maps.items()}


@dataclass(frozen=True, slots=True)
class _Row:
    """The lines of a row: index of the first line, and of the line after the last."""

    first: int
    after: int


class CsvRowEditor:
    """A CSV file with pending edits. Indexes count the customers of the file as it was read."""

    def __init__(self, text: str) -> None:
        self._lines = list(io.StringIO(text, newline=""))
        self._rows, self._header, self._head_line = _rows(self._lines)
        self._cells: dict[int, list[str]] = {}
        self._removed: set[int] = set()
        self._new: list[Mapping[str, Value]] = []
        self._columns = list(self._header)
        head = _body(self._lines[0]) if self._lines else ""
        self._separator = ", " if head.count(", ") == head.count(",") > 0 else ","
        self._all_quoted = bool(head) and all(cell.strip().startswith('"') for cell in _split(head))

    def add(self, _section: str, entry: Item, /) -> None:
        """Append a customer; missing columns are added to the header."""
        if isinstance(entry, str):
            raise TypeError("a CSV file has no include")
        for column in _flat(entry):
            self._column(column)
        self._new.append(entry)

    def remove(self, _section: str, index: int, /) -> None:
        """Remove a customer's row."""
        self._removed.add(index)

    def set(self, _section: str, index: int, field: str, value: Value, /) -> None:
        """Set a customer's field; for a mapping, cells of keys that are not in `value` become empty."""
        cells = self._raw(index)
        for number, column in enumerate(self._columns):
            if field in _PREFIXES and column.startswith(f"{_PREFIXES[field]}:"):
                _put(cells, number, "")
        for column, text in _flat({field: value}).items():
            _put(cells, self._column(column), text, quoted=self._all_quoted)

    def unset(self, _section: str, index: int, field: str, /) -> None:
        """Clear the cells of a customer's field."""
        cells = self._raw(index)
        for number, column in enumerate(self._columns):
            if column == field or (field in _PREFIXES and column.startswith(f"{_PREFIXES[field]}:")):
                _put(cells, number, "")

    def result(self) -> str:
        """The text with all edits applied."""
        if not self._lines:  # a new file
            return "".join(f"{row}\n" for row in (",".join(self._columns), *map(self._row, self._new)))
        taken = {line for index in self._removed for line in range(self._rows[index].first, self._rows[index].after)}
        changed = {self._rows[index].first: index for index in self._cells if index not in self._removed}
        out: list[str] = []
        skipped = 0
        for number, line in enumerate(self._lines):
            if number < skipped or number in taken:
                continue
            if number == self._head_line and len(self._columns) > len(self._header):
                new = "".join(f",{_cell(column, quoted=self._all_quoted)}" for column in self._columns[len(self._header) :])
                out.append(_body(line) + new + _break(line))
            elif number in changed:
                row = self._rows[changed[number]]
                out.append(",".join(self._cells[changed[number]]) + _break(self._lines[row.after - 1]))
                skipped = row.after
            else:
                out.append(line)
        return self._ended(out, [self._row(entry) for entry in self._new])

    def _ended(self, out: list[str], new: list[str]) -> str:
        """The lines and the new rows; the text ends with a line break if it did before."""
        newline = next((_break(line) for line in reversed(self._lines) if _break(line)), "\n")
        final = bool(_break(self._lines[-1]))
        if out and new and not _break(out[-1]):
            out[-1] += newline
        text = "".join([*out, *(row + newline for row in new)])
        return text if final or not text.endswith(newline) else text.removesuffix(newline)

    def _column(self, name: str) -> int:
        if name not in self._columns:
            self._columns.append(name)
        return self._columns.index(name)

    def _raw(self, index: int) -> list[str]:
        """The cells of a row as written, with quotes and spaces."""
        if index not in self._cells:
            row = self._rows[index]
            self._cells[index] = _split(_body("".join(self._lines[row.first : row.after])))
        return self._cells[index]

    def _row(self, entry: Mapping[str, Value]) -> str:
        flat = _flat(entry)
        return self._separator.join(_cell(flat.get(column, ""), quoted=self._all_quoted) for column in self._columns)


def _rows(lines: list[str]) -> tuple[list[_Row], list[str], int]:
    """The non-blank rows, the header's cells, and the index of the header's last line."""
    reader = csv.reader(iter(lines), strict=True, skipinitialspace=True)
    header = [cell.strip() for cell in next(reader, [])]
    rows: list[_Row] = []
    start = header_lines = reader.line_num
    for row in reader:
        if any(row):
            rows.append(_Row(start, reader.line_num))
        start = reader.line_num
    return rows, header, header_lines - 1


def _split(row: str) -> list[str]:
    """Split a row into cells, quotes and spaces included."""
    cells: list[str] = []
    at = 0
    while True:
        found = _CELL.match(row, at)
        cells.append(found.group() if found else row[at:])
        at += len(cells[-1])
        if at >= len(row):
            return cells
        at += 1  # the comma


def _put(cells: list[str], number: int, text: str, *, quoted: bool = False) -> None:
    """Replace a cell; leading spaces and existing quotes are kept."""
    cells += [""] * (number + 1 - len(cells))
    old = cells[number].lstrip(" ")
    space = cells[number][: len(cells[number]) - len(old)]
    cells[number] = space + _cell(text, quoted=quoted or old.startswith('"'))


def _cell(text: str, *, quoted: bool) -> str:
    """A cell as CSV, in quotes if `quoted` or if it needs them."""
    if not text and not quoted:
        return ""  # csv.writer quotes an empty cell that is the only one in its row
    stream = io.StringIO()
    # The writer only quotes line breaks that occur in its line terminator.
    csv.writer(stream, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, lineterminator="\r\n").writerow([text])
    return stream.getvalue().removesuffix("\r\n")


def _flat(entry: Mapping[str, Value]) -> dict[str, str]:
    """The cells of an entry by column."""
    flat: dict[str, str] = {}
    for field, value in entry.items():
        if isinstance(value, Mapping):
            flat |= {f"{_PREFIXES[field]}:{key}": str(text) for key, text in value.items()}
        elif isinstance(value, str):
            flat[field] = value
        elif isinstance(value, Sequence):
            flat[field] = " ".join(value)
        elif field in CSV_COLUMNS.booleans:
            flat[field] = "true" if value else "false"
        else:
            flat[field] = str(value)
    return flat


def _body(line: str) -> str:
    return line.rstrip("\r\n")


def _break(line: str) -> str:
    return line[len(_body(line)) :]


_ORDER = {
    "customers": tuple(Customer.model_fields),
    "switch_roles": tuple(SwitchRole.model_fields),
    "suppress": tuple(Suppression.model_fields),
}


class YamlText:
    """A YAML file with pending edits. Indexes count a section's entries in the file as it was read."""

    def __init__(self, text: str, file: str) -> None:
        self._splices = Splices(text, file)
        self._added: dict[str, list[Item]] = {}
        self._removed: dict[str, set[int]] = {}

    def add(self, section: str, entry: Item, /) -> None:
        """Append an entry, or a pattern of `include`, to a section."""
        self._added.setdefault(section, []).append(entry)

    def remove(self, section: str, index: int, /) -> None:
        """Remove an entry."""
        self._removed.setdefault(section, set()).add(index)

    def set(self, section: str, index: int, field: str, value: Value, /) -> None:
        """Set a field of an entry, or insert it after the last existing field that precedes it in the models' order.

        Raises EditError.
        """
        splices, entry = self._splices, self._entry(section, index)
        pair = entry.pair(field)
        if pair is None:
            _insert(splices, entry, field, value, _ORDER[section])
            return
        key, old = pair
        splices.keep_anchors(old)
        style = style_of(entry)
        if old.style in ("'", '"'):
            new = render(value, replace(style, quote=old.style), quoted=True)
        else:
            new = render(value, style, quoted=field in QUOTED_FIELDS)
        if old.start == old.end:  # `role:` without a value
            splices.replace(old.end, old.end, f" {new}")
        elif old.flow:
            splices.replace(old.start, old.end, new)
        else:
            _replace_block(splices, key, old, new)

    def unset(self, section: str, index: int, field: str, /) -> None:
        """Remove an existing field of an entry, with the comment on its line. Raises EditError."""
        splices, entry = self._splices, self._entry(section, index)
        number = next(number for number, (key, _) in enumerate(entry.pairs) if key.value == field)
        key, value = entry.pairs[number]
        splices.keep_anchors(value)
        if entry.flow:
            _cut_flow(splices, [(one.start, other.end) for one, other in entry.pairs], number, number)
            return
        start = splices.lines.start(key.start)
        if not splices.text[start : key.start].strip():
            splices.replace(start, splices.lines.next(value.end), "")
            return
        after = entry.pairs[number + 1][0].start if number + 1 < len(entry.pairs) else None
        if after is None or splices.text[value.end : after].strip():
            raise splices.refusal(key.start, f"{field} shares its line with other parts of the entry", BY_HAND)
        splices.replace(key.start, after, "")

    def result(self) -> str:
        """The text with all edits applied. Raises EditError."""
        cleared = {
            section
            for section, indexes in self._removed.items()
            if _remove_entries(self._splices, section, indexes, refilled=section in self._added)
        }
        for section, entries in self._added.items():
            _add_entries(self._splices, section, entries, cleared=section in cleared)
        return self._splices.result()

    def _entry(self, section: str, index: int) -> YamlNode:
        """The mapping of an entry. Raises EditError for an alias."""
        root = self._splices.root
        pair = root.pair(section) if root is not None else None
        if pair is None:
            raise ValueError(f"no {section}")
        node = pair[1].children[index]
        if node.kind != "map" or not node.children:
            raise self._splices.refusal(node.start, "this entry is an alias", "write out the entry")
        return node


def _insert(splices: Splices, entry: YamlNode, field: str, value: Value, order: Sequence[str]) -> None:
    rank = {name: number for number, name in enumerate(order)}
    before = [pair for pair in entry.pairs if rank.get(pair[0].value, -1) < rank[field]]
    key, above = max(before or entry.pairs, key=lambda pair: rank.get(pair[0].value, -1))
    rendered = render_field(field, value, style_of(entry))
    if entry.flow:
        splices.replace(above.end, above.end, f", {rendered}")
    else:
        splices.insert_lines(above.end if above.end > key.end else key.end, [" " * entry.children[0].column + rendered])


def _replace_block(splices: Splices, key: YamlNode, old: YamlNode, new: str) -> None:
    """Replace a block list or mapping with a value on the key's line; a comment on that line is kept."""
    colon = splices.text.index(":", key.end) + 1
    line_end = splices.lines.end(colon)
    splices.replace(colon, colon, f" {new}")
    splices.replace(line_end, splices.lines.end(old.end), "")


Entry = Mapping[str, Value]
Item = Entry | str
"""A customer or switch role, or a pattern of `include`."""
_DASH = re.compile(r" *-(?=\s|\Z)")
_COMMENT = re.compile(r" *#")
_COMMA = re.compile(r"\s*, *")
_BETWEEN = "a comment between entries in brackets would be removed with one of them"
_REST = re.compile(r"[ \t]*(?P<comma>,)?[ \t]*(?:#.*)?")


def _add_entries(splices: Splices, section: str, entries: Sequence[Item], *, cleared: bool = False) -> None:
    """Append entries to a list, which is created if missing. `cleared`: `_remove_entries` has emptied its brackets."""
    root = splices.root
    pair = root.pair(section) if root is not None else None
    if root is None or pair is None:
        _new_section(splices, root, section, entries)
    elif not pair[1].children:
        _fill_empty(splices, root, pair, entries)
    elif pair[1].flow:
        _add_flow(splices, pair[1], entries, cleared=cleared)
    else:
        _add_block(splices, pair[1], entries)


def _lines_of(entry: Item, indent: str, style: Style, gap: str = " ") -> list[str]:
    """Render an entry in block style."""
    if isinstance(entry, str):
        return [f"{indent}-{gap}{render(entry, style)}"]
    lines = [render_field(key, value, style) for key, value in entry.items()]
    inner = " " * (len(indent) + 1 + len(gap))
    return [f"{indent}-{gap}{lines[0]}", *(inner + line for line in lines[1:])]


def _inline(entry: Item, style: Style) -> str:
    return render(entry, style) if isinstance(entry, str) else render_map(entry, style)


def _bracketed(entries: Sequence[Item], style: Style) -> str:
    return "[" + ", ".join(_inline(entry, style) for entry in entries) + "]"


def _new_section(splices: Splices, root: YamlNode | None, section: str, entries: Sequence[Item]) -> None:
    style = Style() if root is None else style_of(root)
    if root is not None and root.flow:
        added = f", {render(section, style)}: {_bracketed(entries, style)}"
        splices.replace(root.children[-1].end, root.children[-1].end, added)
        return
    indent = " " * (root.children[0].column if root is not None else 0)
    lines = [f"{indent}{render(section, style)}:"]
    lines += (line for entry in entries for line in _lines_of(entry, indent + "  ", style))
    end = root.end if root is not None else len(splices.text)
    splices.insert_lines(end, ["", *lines] if root is not None else lines)


def _fill_empty(splices: Splices, root: YamlNode, pair: tuple[YamlNode, YamlNode], entries: Sequence[Item]) -> None:
    """Replace `customers: []` with a block list; a comment behind it is kept."""
    key, value = pair
    if "#" in splices.text[value.start : value.end] or value.anchor:
        raise splices.refusal(value.start, "the empty list has a comment or an anchor", BY_HAND)
    style = style_of(root)
    if root.flow:
        splices.replace(value.start, value.end, _bracketed(entries, style))
        return
    start = value.start
    while splices.text[start - 1] == " ":
        start -= 1
    splices.replace(start, value.end, "")
    indent = " " * (key.column + 2)
    splices.insert_lines(value.end, [line for entry in entries for line in _lines_of(entry, indent, style)])


def _add_flow(splices: Splices, items: YamlNode, entries: Sequence[Item], *, cleared: bool) -> None:
    last, text, lines = items.children[-1], splices.text, splices.lines
    rendered = [_inline(entry, style_of(last)) for entry in entries]
    end = lines.end(last.end)
    own_line = not text[lines.start(last.start) : last.start].strip() and end < items.end
    if cleared:
        parting = f",{lines.newline(last.end)}{text[lines.start(last.start) : last.start]}" if own_line else ", "
        splices.replace(last.end, last.end, parting.join(rendered))
        return
    if not own_line:
        splices.replace(last.end, last.end, "".join(f", {entry}" for entry in rendered))
        return
    indent = text[lines.start(last.start) : last.start]
    if _COMMA.match(text, last.end) is None:
        splices.replace(last.end, last.end, ",")
        rendered = [*(f"{entry}," for entry in rendered[:-1]), rendered[-1]]
    else:
        rendered = [f"{entry}," for entry in rendered]
    splices.insert_lines(last.end, [indent + entry for entry in rendered])


def _add_block(splices: Splices, items: YamlNode, entries: Sequence[Item]) -> None:
    text, lines = splices.text, splices.lines
    last, count = items.children[-1], len(items.children)
    dash = _dash(splices, items, count - 1)
    indent = text[lines.start(dash) : dash]
    style = style_of(last)
    gap = " "
    first = last.children[0] if last.children else last
    if lines.start(first.start) == lines.start(dash):
        gap = text[dash + 1 : last.start] or " "
    below = _end_of(splices, last, len(indent))
    top = _top(splices, items, count - 1)
    parted = count > 1 and not text[lines.start(top - 1) : top].strip()
    new: list[str] = []
    for entry in entries:
        new += [""] if parted else []
        new += (
            [f"{indent}-{gap}{_inline(entry, style)}"]
            if last.flow and last.kind == "map"
            else _lines_of(entry, indent, style, gap)
        )
    splices.insert_lines(below, new)


def _remove_entries(splices: Splices, section: str, indexes: Collection[int], *, refilled: bool = False) -> bool:
    """Remove entries of a list with their comments. `refilled`: `_add_entries` appends others.

    Returns whether the brackets of a flow list were emptied, for `cleared` of `_add_entries`.
    """
    pair = splices.root.pair(section) if splices.root is not None else None
    if pair is None:
        raise ValueError(f"no {section}")
    key, items = pair
    splices.keep_anchors(*(items.children[index] for index in indexes))
    everything = len(set(indexes)) == len(items.children)
    if items.flow and everything and _clear_flow(splices, items, refilled=refilled):
        return True
    for first, last in _runs(indexes):
        if items.flow:
            _cut_flow(splices, [(child.start, child.end) for child in items.children], first, last)
        else:
            _cut_block(splices, items, first, last)
    if not items.flow and everything and not refilled:
        colon = splices.text.index(":", key.end) + 1
        if splices.text[items.start] != "-":
            raise splices.refusal(items.start, "the list has an anchor or a tag", BY_HAND)
        splices.replace(colon, colon, " []")
    return False


def _clear_flow(splices: Splices, items: YamlNode, *, refilled: bool) -> bool:
    """Remove all entries of a flow list, unless there are comments: leaves `[]`, or the position for new entries.

    Returns whether it was done. Raises EditError if it is refilled and there is a comment between the entries.
    """
    start = splices.text.rindex("[", items.start, items.children[0].start) + 1
    edges = [start, *(edge for child in items.children for edge in (child.start, child.end)), items.end - 1]
    gaps = list(zip(edges[::2], edges[1::2], strict=True))
    commented = [one for one, other in (gaps[1:-1] if refilled else gaps) if "#" in splices.text[one:other]]
    if commented and refilled:
        raise splices.refusal(commented[0], _BETWEEN, BY_HAND)
    if commented:
        return False
    splices.replace(edges[1] if refilled else edges[0], edges[-2] if refilled else edges[-1], "")
    return True


def _cut_flow(splices: Splices, units: Sequence[tuple[int, int]], first: int, last: int) -> None:
    """Remove units first to last of a flow list or mapping, with their commas."""
    text = splices.text
    if last + 1 < len(units):
        start, end, gap = units[first][0], units[last + 1][0], (units[last][1], units[last + 1][0])
    elif first:
        start, end, gap = units[first - 1][1], units[last][1], (units[first - 1][1], units[first][0])
    else:
        comma = _COMMA.match(text, units[last][1])
        start, end = units[first][0], comma.end() if comma else units[last][1]
        gap = (end, end)
    between = "#" in text[gap[0] : gap[1]]
    behind = "#" in text[units[last][1] : splices.lines.end(units[last][1])]
    whole = _whole_lines(splices, units[first][0], units[last][1], comma=last + 1 < len(units))
    if (between or behind) and whole is not None:
        splices.replace(*whole, "")
    elif not between:
        splices.replace(start, end, "")
    else:
        raise splices.refusal(gap[0], _BETWEEN, BY_HAND)


def _whole_lines(splices: Splices, first: int, last: int, *, comma: bool) -> tuple[int, int] | None:
    """Offsets of the lines from first to last; None if they have other content or a comment directly above.

    `comma`: a unit follows, so the lines must include the comma behind `last`.
    """
    text, lines = splices.text, splices.lines
    start = lines.start(first)
    rest = _REST.fullmatch(text, last, lines.end(last))
    above = start > 0 and _COMMENT.match(text, lines.start(start - 1))
    if above or text[start:first].strip() or rest is None or (comma and not rest["comma"]):
        return None
    return start, lines.next(last)


def _cut_block(splices: Splices, items: YamlNode, first: int, last: int) -> None:
    text, lines = splices.text, splices.lines
    dash = _dash(splices, items, first)
    start = _top(splices, items, first)
    after = last + 1
    commented = after < len(items.children) and _top(splices, items, after) != lines.start(_dash(splices, items, after))
    if first == 0 and not commented:
        start = lines.start(dash)  # a comment above the first entry describes the list, unless each entry has one
    column = dash - lines.start(dash)
    end = lines.next(_end_of(splices, items.children[last], column))
    blank_above = start > 0 and not text[lines.start(start - 1) : start].strip()
    if last + 1 < len(items.children):
        if blank_above or first == 0:
            while end < len(text) and not text[end : lines.next(end)].strip():
                end = lines.next(end)
    elif end == len(text) or not text[end : lines.next(end)].strip():
        while start > 0 and not text[lines.start(start - 1) : start].strip():
            start = lines.start(start - 1)
    splices.replace(start, end, "")


def _dash(splices: Splices, items: YamlNode, index: int) -> int:
    """Offset of the dash of an item of a block list."""
    item = items.children[index]
    floor = items.children[index - 1].end if index else items.start
    start = splices.lines.start(item.start)
    while True:
        if found := _DASH.match(splices.text, start):
            return found.end() - 1
        if start <= floor:
            raise splices.refusal(item.start, "the dash of this entry is in an unsupported position", BY_HAND)
        start = splices.lines.start(start - 1)


def _top(splices: Splices, items: YamlNode, index: int) -> int:
    """Offset of the first line of an item of a block list, including comments directly above."""
    lines, text = splices.lines, splices.text
    dash = _dash(splices, items, index)
    start = lines.start(dash)
    floor = 0
    if index:
        floor = lines.next(_end_of(splices, items.children[index - 1], dash - start))
    while start > floor and _COMMENT.match(text, lines.start(start - 1)):
        start = lines.start(start - 1)
    return start


def _end_of(splices: Splices, item: YamlNode, column: int) -> int:
    """An offset in the last line of an item, including comments below that are indented deeper than its dash."""
    lines, text = splices.lines, splices.text
    last = item.end
    while (below := lines.next(last)) < len(text) and below != lines.end(last):
        found = _COMMENT.match(text, below)
        if found is None or found.end() - 1 - below <= column:
            break
        last = below
    return last


def _runs(indexes: Collection[int]) -> list[tuple[int, int]]:
    """Runs of consecutive indexes as (first, last)."""
    runs: list[tuple[int, int]] = []
    for index in sorted(set(indexes)):
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs
