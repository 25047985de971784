"""Loads the blocks of a module's files as Terraform does, with override files merged.

Source: Terraform language documentation, "Override Files", November 2026.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from rolecall_generator.findings import Severity
from rolecall_generator.terraform.parser import schema as r
from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.folder import (
    MAXIMUM_BYTES,
    check_provider_lock,
    check_test_file,
    is_configuration,
    is_provider_lock,
    is_test,
    is_values,
)
from rolecall_generator.terraform.parser.lexer import Unreadable, scan
from rolecall_generator.terraform.parser.readers import read_json, read_json_values, read_native

MAXIMUM_TOKENS = 120_000
"""Maximum number of tokens in a module. 200 backend roles for 10,000 customers have 75,000, parsed in 3 s with 150 MiB."""
_BYTES_PER_TOKEN = 32
"""Bytes of comments and strings that count as one token: scanning 1 MiB takes 0.5 s."""
_TOKEN = re.compile(r"\w++|[^\w \t]")
_JSON_TOKEN = re.compile(r'"[^"\\$%]*+"|\w++|[^\w\s]')


@dataclass(frozen=True, slots=True)
class ModuleFiles:
    """A module's blocks, and the values of variables in its `.tfvars` files, with the file's name."""

    blocks: tuple[s.Block, ...]
    values: Mapping[str, tuple[s.Attribute, str]]


def load(files: Mapping[str, bytes], report: r.ParseFindings, *, returned: bool = True) -> ModuleFiles:
    """Parse all files, given by name. Files that cannot be parsed are reported. `returned`: someone else sent the module."""
    plain: list[s.Block] = []
    overriding: list[s.Block] = []
    values: dict[str, tuple[s.Attribute, str]] = {}
    _check_companions(files, report, returned=returned)
    names = [name for name in files if is_configuration(name) or is_values(name)]
    if not any(map(is_configuration, names)):
        report.add(r.UNREADABLE, "module", "the folder contains no Terraform file")
    # A file has at most as many tokens as bytes, so small modules need no counting.
    counted = sum(len(files[name]) for name in names) > MAXIMUM_TOKENS
    tokens = 0
    for name in sorted(names, key=_order):
        tokens += _count_tokens(name, files[name]) if counted else 0
        if tokens > MAXIMUM_TOKENS:
            message = f"the module has more than {MAXIMUM_TOKENS:,} tokens; this file and those after it are not read"
            report.add(r.UNREADABLE, name, message, name, 1)
            break
        body = _read(name, files[name], report)
        if body is None:
            continue
        if is_values(name):
            report.add(
                r.OVERRIDE, name, "a variable definitions file changes the module's variables", name, 1, Severity.WARNING
            )
            _check_values(name, body, report)
            values.update({key: (attribute, name) for key, attribute in body.attributes.items()})
            continue
        _no_arguments(name, body, report)
        (overriding if is_override(name) else plain).extend(body.blocks)
        if is_override(name):
            report.add(r.OVERRIDE, name, "an override file changes blocks of the other files", name, 1, Severity.WARNING)
    _check(plain, report)
    _check(overriding, report, addresses=False)
    for block in overriding:
        for what, line in inexact(block):
            message = f"an override file changes {what}, which is not read exactly"
            report.add(r.OVERRIDE, block.address, message, block.file, line)
    blocks, unmatched = merge(plain, overriding)
    for block in unmatched:
        report.add(r.OVERRIDE, block.address, "an override file overrides nothing here", block.file, block.line)
    return ModuleFiles(tuple(blocks), values)


def _order(name: str) -> tuple[int, bytes]:
    """Sort key for Terraform's order of precedence: `terraform.tfvars`, its JSON form, automatic files by name."""
    place = {"terraform.tfvars": 0, "terraform.tfvars.json": 1}.get(name, 2)
    return place, os.fsencode(name)


def _count_tokens(name: str, content: bytes) -> int:
    """The number of tokens in a file, increased for its size; 0 if it cannot be parsed."""
    try:
        text = _text(content)
        json = name.endswith(".json")
        found = sum(1 for _ in (_JSON_TOKEN if json else _TOKEN).finditer(text if json else scan(text).shape))
    except Unreadable:
        return 0
    return found + len(content) // _BYTES_PER_TOKEN


def _check_values(name: str, body: s.Body, report: r.ParseFindings) -> None:
    """Report what Terraform rejects in a variable definitions file."""
    for block in body.blocks:
        report.add(r.UNREADABLE, name, f"a variable definitions file contains the block {block.type}", name, block.line)
    for argument, line in body.repeated:
        report.add(r.DUPLICATE, name, f"the value {argument} is given twice", name, line)


def _check_companions(files: Mapping[str, bytes], report: r.ParseFindings, *, returned: bool) -> None:
    """Check test files and the provider lock, which Terraform uses together with the module."""
    for name, content in files.items():
        if not is_test(name) and not is_provider_lock(name):
            continue
        if not name.endswith(".hcl"):
            report.add(r.EXTRA_FILE, name, "a test file in JSON is not read", name, 1)
            continue
        body = _read(name, content, report)
        if body is None:
            continue
        _no_arguments(name, body, report)
        if is_test(name):
            check_test_file(name, body, report)
        else:
            check_provider_lock(name, body, report, returned=returned)


def _no_arguments(name: str, body: s.Body, report: r.ParseFindings) -> None:
    for attribute, line in [*body.repeated, *((key, found.line) for key, found in body.attributes.items())]:
        report.add(r.UNREADABLE, name, f"the argument {attribute} is outside of any block", name, line)


def _read(name: str, content: bytes, report: r.ParseFindings) -> s.Body | None:
    if ".tofu" in name:
        report.add(r.FOREIGN, name, "a file that OpenTofu reads and Terraform does not", name, 1)
    try:
        text = _text(content)
        if name.endswith(".tfvars.json"):
            return read_json_values(text, name)
        return read_json(text, name) if name.endswith(".json") else read_native(text, name)
    except Unreadable as error:
        report.add(r.UNREADABLE, name, f"the file cannot be read: {error.reason}", name, error.line)
    return None


def _text(content: bytes) -> str:
    if len(content) > MAXIMUM_BYTES:
        raise Unreadable(f"larger than {MAXIMUM_BYTES:,} bytes", 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8", content.count(b"\n", 0, error.start) + 1) from None
    if "\0" in text:
        raise Unreadable("binary", text.count("\n", 0, text.index("\0")) + 1)
    return text


def _check(blocks: list[s.Block], report: r.ParseFindings, *, addresses: bool = True) -> None:
    """Report repeated addresses, names and arguments, which Terraform rejects."""
    seen: dict[str, s.Block] = {}
    for block in blocks:
        for inner in _all(block):
            for name, line in inner.body.repeated:
                report.add(r.DUPLICATE, block.address, f"the argument {name} is repeated", block.file, line)
        if not addresses or block.type in ("terraform", "moved", "removed", "import", "locals"):
            for name in block.body.attributes if addresses and block.type == "locals" else ():
                _once(f"local.{name}", block, seen, report)
            continue
        _once(block.address, block, seen, report)


def _once(address: str, block: s.Block, seen: dict[str, s.Block], report: r.ParseFindings) -> None:
    if address in seen:
        first = seen[address]
        message = f"declared twice, first in {first.file}:{first.line}"
        report.add(r.DUPLICATE, address, message, block.file, block.line)
    seen.setdefault(address, block)


def _all(block: s.Block) -> Iterator[s.Block]:
    yield block
    for inner in block.body.blocks:
        yield from _all(inner)


_MERGED_INSIDE = frozenset({"required_providers"})


def is_override(name: str) -> bool:
    """True if Terraform treats the file as an override file."""
    stem = name.removesuffix(".json").removesuffix(".tf")
    return stem == "override" or stem.endswith("_override")


def inexact(block: s.Block) -> Iterator[tuple[str, int]]:
    """Yield the parts of an overriding block, with their lines, for which merging arguments is not exact.

    Terraform rejects conditions in an overriding `lifecycle`, does not let an empty `ignore_changes` clear the list, and
    converts a variable's default to the overridden type first.
    """
    for inner in block.body.blocks:
        if inner.type == "lifecycle":
            yield "lifecycle", inner.line
    if block.type == "variable" and "type" in block.body.attributes:
        yield "the type of a variable", block.body.attributes["type"].line


def merge(blocks: list[s.Block], overriding: Iterable[s.Block]) -> tuple[list[s.Block], list[s.Block]]:
    """Return the merged blocks, and the overriding blocks without a block to override, which Terraform rejects.

    The `lifecycle` of an overriding block is not merged: see `inexact`.
    """
    merged = list(blocks)
    places: dict[tuple[str, tuple[str, ...]], int] = {}
    positions: dict[str, int] = {}
    for number, base in enumerate(merged):
        places.setdefault((base.type, base.labels), number)
        if base.type == "locals":
            positions.update({name: number for name in base.body.attributes if name not in positions})
    unmatched: list[s.Block] = []
    for block in overriding:
        if block.type == "locals":
            unmatched.extend(_merge_locals(merged, positions, block))
            continue
        position = places.get((block.type, block.labels))
        if position is None:
            unmatched.append(block)
            # Kept, so that the access that it grants is reported.
            places[block.type, block.labels] = len(merged)
            merged.append(block)
        else:
            merged[position] = _over(merged[position], block)
    return merged, unmatched


def _merge_locals(merged: list[s.Block], positions: dict[str, int], block: s.Block) -> list[s.Block]:
    """Replace locals one by one; returns those that override nothing. `positions`: the index in `merged` by local."""
    changed: dict[int, dict[str, s.Attribute]] = {}
    left: dict[str, s.Attribute] = {}
    for name, attribute in block.body.attributes.items():
        if name in positions:
            changed.setdefault(positions[name], {})[name] = attribute
        else:
            left[name] = attribute
    for position, attributes in changed.items():
        base = merged[position]
        merged[position] = replace(base, body=replace(base.body, attributes={**base.body.attributes, **attributes}))
    if not left:
        return []
    rest = replace(block, body=s.Body(left))
    positions.update(dict.fromkeys(left, len(merged)))
    merged.append(rest)
    return [rest]


def _over(base: s.Block, block: s.Block) -> s.Block:
    """Merge arguments one by one. Nested blocks replace all of their type; `required_providers` is merged by argument."""
    own = [inner for inner in block.body.blocks if inner.type != "lifecycle"]
    replaced = {_nested_type(inner) for inner in own}
    kept = [inner for inner in base.body.blocks if _nested_type(inner) not in replaced - _MERGED_INSIDE]
    added = []
    for inner in own:
        position = next((n for n, old in enumerate(kept) if old.type == inner.type), None)
        if inner.type in _MERGED_INSIDE and position is not None:
            kept[position] = _over(kept[position], inner)
        else:
            added.append(inner)
    body = s.Body(
        {**base.body.attributes, **block.body.attributes},
        (*kept, *added),
        (*base.body.repeated, *block.body.repeated),
    )
    return replace(base, body=body)


def _nested_type(block: s.Block) -> str:
    return block.labels[0] if block.type == "dynamic" and block.labels else block.type
