"""The same manifest in many styles: block and flow, quotes, comments, blank lines, indentation, line endings, BOM."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

HEAD = """\
# accounts.yaml: who may go where
version: 1
backend: {account_id: "111111111111"}   # the vendor's own
permission_sets:
  read:
    managed_policies: [ReadOnlyAccess]   # a line that a dump would fold or pad: it is longer than a terminal is wide
defaults: &d {permissions: [read], tags: {managed-by: rolecall}}
"""
TAIL = """\
suppress:
- {rule: RC101, subject: "c0", reason: known}   # follows a rename
# the end
"""
FIELDS: Mapping[str, st.SearchStrategy[Any]] = {
    "role": st.sampled_from(["Auditor", "role.one", "a=b,c@d", "123", "1e5", "null"]),
    "external_id": st.sampled_from(["0123456789", "1e5", "a:b/c", "0f0c4f7c1e6b4a1d", "yes"]),
    "permissions": st.sampled_from([[], ["read"]]),
    "regions": st.lists(st.sampled_from(["eu-central-1", "us-east-1"]), max_size=2, unique=True),
    "max_session_seconds": st.integers(3600, 43200),
    "trust": st.sampled_from(["role-arn", "account-root"]),
    "session_tags": st.booleans(),
    "tags": st.dictionaries(
        st.sampled_from(["a", "b c", "on", "é"]), st.sampled_from(["x", "1", "a: b", "- no", "日本"]), max_size=2
    ),
    "variables": st.dictionaries(
        st.sampled_from(["k", "{}", "#"]), st.sampled_from(['"', "'", "a\\b", "a\nb", "\t", " # ", "😀", ""])
    ),
}


@dataclass(frozen=True, slots=True)
class Dressed:
    """A manifest's bytes, the values of its customers, and the lines (from, to) of each customer's entry."""

    data: bytes
    customers: Sequence[Mapping[str, Any]]
    block: bool


def customers(least: int = 0, most: int = 4) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Customers with some of the fields; names and IDs are unique."""
    some = st.fixed_dictionaries({}, optional=FIELDS)
    return st.lists(some, min_size=least, max_size=most).map(
        lambda found: [
            {"name": f"c{number}", "account_id": f"{number:012}"} | unique(number, entry)
            for number, entry in enumerate(found)
        ]
    )


def unique(number: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with an external ID unique to this number."""
    return dict(entry) | ({"external_id": f"{entry['external_id']}{number}"} if "external_id" in entry else {})


@st.composite
def dressed(draw: st.DrawFn, least: int = 0) -> Dressed:
    """A manifest in a random style."""
    entries = draw(customers(least))
    style = draw(st.sampled_from(["block", "block", "flow entries", "flow list"]))
    lines = ["customers: []"] if not entries else _list(draw, entries, style)
    before = draw(st.booleans())
    text = HEAD + ("" if before else TAIL) + "\n".join(lines) + "\n" + (TAIL if before else "")
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])))
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    bom = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    return Dressed(bom + text.encode(), entries, block=style != "flow list")


def _list(draw: st.DrawFn, entries: Sequence[Mapping[str, Any]], style: str) -> list[str]:
    if style == "flow list":
        return ["customers: [" + ", ".join(_flow(draw, entry) for entry in entries) + "]"]
    indent, gap = " " * draw(st.sampled_from([0, 2, 4])), " " * draw(st.sampled_from([1, 3]))
    blank = draw(st.booleans())
    lines = ["customers:" + draw(st.sampled_from(["", "   # all of them"]))]
    for entry in entries:
        if blank and len(lines) > 1:
            lines.append("")
        if draw(st.booleans()):
            lines.append(f"{indent}# about {entry['name']}")
        if style == "flow entries" or draw(st.integers(0, 5)) == 0:
            lines.append(f"{indent}-{gap}{_flow(draw, entry)}   # {entry['name']}")
        else:
            lines += _block(draw, entry, indent, gap)
    return lines


def _flow(draw: st.DrawFn, entry: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(draw, value)}" for key, value in entry.items()) + "}"


def _block(draw: st.DrawFn, entry: Mapping[str, Any], indent: str, gap: str) -> list[str]:
    inner = indent + " " + gap
    lines: list[str] = []
    for key, value in entry.items():
        if isinstance(value, list) and value and draw(st.booleans()):
            lines += [f"{inner}{key}:", *(f"{inner}  - {json.dumps(item)}" for item in value)]
        elif isinstance(value, dict) and value and draw(st.booleans()):
            pairs = (
                f"{inner}  {json.dumps(k, ensure_ascii=False)}: {json.dumps(v, ensure_ascii=False)}"
                for k, v in value.items()
            )
            lines += [f"{inner}{key}:", *pairs]
        else:
            comment = draw(st.sampled_from(["", "", f"   # {key}"]))
            lines.append(f"{inner}{key}: {_scalar(draw, value)}{comment}")
        if draw(st.integers(0, 6)) == 0:
            lines.append(f"{inner}# inside")
    return [f"{indent}-{gap}{lines[0].removeprefix(inner)}", *lines[1:]]


def _scalar(draw: st.DrawFn, value: Any) -> str:
    if (
        isinstance(value, str)
        and value.isascii()
        and value.isalnum()
        and value[0].isalpha()
        and value not in ("null", "yes")
    ):
        return draw(st.sampled_from([value, f'"{value}"', f"'{value}'"]))
    if isinstance(value, str) and value.isdigit():
        return draw(st.sampled_from([f'"{value}"', f"'{value}'"]))
    return json.dumps(value, ensure_ascii=False)
