"""Files of a module folder -> blocks with their places, override files merged, as Terraform would load them.

Terraform's override files: how their blocks change those of the other files. Source: Terraform language documentation,
"Override Files", November 2026.
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
"""Tokens of one module. The grant of 200 backend roles for 10,000 customers has 75,000; parsing takes 3 s and 150 MiB."""
_BYTES_PER_TOKEN = 32
"""Bytes of comments and strings that take as long as a token: scanning 1 MiB takes 0.5 s."""
_TOKEN = re.compile(r"\w++|[^\w \t]")
_JSON_TOKEN = re.compile(r'"[^"\\$%]*+"|\w++|[^\w\s]')


@dataclass(frozen=True, slots=True)
class ModuleFiles:
    """A module's blocks, and the values that its `.tfvars` files give to variables."""

    blocks: tuple[s.Block, ...]
    values: Mapping[str, tuple[s.Attribute, str]]


def load(files: Mapping[str, bytes], report: r.ParseFindings, *, returned: bool = True) -> ModuleFiles:
    """Read every file; what cannot be read is a finding. `returned`: the module comes from someone else."""
    plain: list[s.Block] = []
    overriding: list[s.Block] = []
    values: dict[str, tuple[s.Attribute, str]] = {}
    _check_companions(files, report, returned=returned)
    names = [name for name in files if is_configuration(name) or is_values(name)]
    if not any(map(is_configuration, names)):
        report.add(r.UNREADABLE, "module", "the folder holds no Terraform file")
    # A file has no more tokens than bytes: ordinary modules are not worth counting.
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
            report.add(r.OVERRIDE, name, "a file of values changes the module's variables", name, 1, Severity.WARNING)
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
    blocks, homeless = merge(plain, overriding)
    for block in homeless:
        report.add(r.OVERRIDE, block.address, "an override file overrides nothing here", block.file, block.line)
    return ModuleFiles(tuple(blocks), values)


def _order(name: str) -> tuple[int, bytes]:
    """Terraform's order: `terraform.tfvars`, its JSON form, then the automatic files by name; a later value wins."""
    place = {"terraform.tfvars": 0, "terraform.tfvars.json": 1}.get(name, 2)
    return place, os.fsencode(name)


def _count_tokens(name: str, content: bytes) -> int:
    """Tokens of a file, with its bytes: reading it takes time and memory in proportion. Zero when it cannot be read."""
    try:
        text = _text(content)
        json = name.endswith(".json")
        found = sum(1 for _ in (_JSON_TOKEN if json else _TOKEN).finditer(text if json else scan(text).shape))
    except Unreadable:
        return 0
    return found + len(content) // _BYTES_PER_TOKEN


def _check_values(name: str, body: s.Body, report: r.ParseFindings) -> None:
    """Report what Terraform refuses in a file of values."""
    for block in body.blocks:
        report.add(r.UNREADABLE, name, f"a file of values holds the block {block.type}", name, block.line)
    for argument, line in body.repeated:
        report.add(r.DUPLICATE, name, f"the value {argument} is given twice", name, line)


def _check_companions(files: Mapping[str, bytes], report: r.ParseFindings, *, returned: bool) -> None:
    """Test files and the provider lock: not part of the module, but run together with it."""
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
        report.add(r.UNREADABLE, name, f"the argument {attribute} stands outside any block", name, line)


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
    """Repeated addresses, names and arguments: Terraform refuses them, and who is right is anybody's guess."""
    seen: dict[str, s.Block] = {}
    for block in blocks:
        for inner in _all(block):
            for name, line in inner.body.repeated:
                report.add(r.DUPLICATE, block.address, f"the argument {name} comes twice", block.file, line)
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
    """Whether Terraform merges the file over the others."""
    stem = name.removesuffix(".json").removesuffix(".tf")
    return stem == "override" or stem.endswith("_override")


def inexact(block: s.Block) -> Iterator[tuple[str, int]]:
    """What of an overriding block has an effect that merging arguments does not give, with its line.

    Terraform refuses conditions in an overriding `lifecycle`, keeps what an empty `ignore_changes` would clear, and converts
    a variable's default to the overridden type first.
    """
    for inner in block.body.blocks:
        if inner.type == "lifecycle":
            yield "lifecycle", inner.line
    if block.type == "variable" and "type" in block.body.attributes:
        yield "the type of a variable", block.body.attributes["type"].line


def merge(blocks: list[s.Block], overriding: Iterable[s.Block]) -> tuple[list[s.Block], list[s.Block]]:
    """The blocks after overriding, and the overriding blocks that have nothing to override (Terraform refuses them).

    A `lifecycle` of an overriding block is left out: see `inexact`.
    """
    merged = list(blocks)
    places: dict[tuple[str, tuple[str, ...]], int] = {}
    homes: dict[str, int] = {}
    for number, base in enumerate(merged):
        places.setdefault((base.type, base.labels), number)
        if base.type == "locals":
            homes.update({name: number for name in base.body.attributes if name not in homes})
    homeless: list[s.Block] = []
    for block in overriding:
        if block.type == "locals":
            homeless.extend(_merge_locals(merged, homes, block))
            continue
        position = places.get((block.type, block.labels))
        if position is None:
            homeless.append(block)
            # Kept, so that what it would grant is seen.
            places[block.type, block.labels] = len(merged)
            merged.append(block)
        else:
            merged[position] = _over(merged[position], block)
    return merged, homeless


def _merge_locals(merged: list[s.Block], homes: dict[str, int], block: s.Block) -> list[s.Block]:
    """Replace values one by one; `homes` is the place in `merged` of each local."""
    changed: dict[int, dict[str, s.Attribute]] = {}
    left: dict[str, s.Attribute] = {}
    for name, attribute in block.body.attributes.items():
        if name in homes:
            changed.setdefault(homes[name], {})[name] = attribute
        else:
            left[name] = attribute
    for position, attributes in changed.items():
        base = merged[position]
        merged[position] = replace(base, body=replace(base.body, attributes={**base.body.attributes, **attributes}))
    if not left:
        return []
    rest = replace(block, body=s.Body(left))
    homes.update(dict.fromkeys(left, len(merged)))
    merged.append(rest)
    return [rest]


def _over(base: s.Block, block: s.Block) -> s.Block:
    """Arguments one by one; nested blocks of one type as a whole, but `required_providers` argument by argument."""
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
