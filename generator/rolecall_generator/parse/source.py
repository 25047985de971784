"""Files of a module folder -> blocks with their places, override files merged, as Terraform would load them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checks.finding import Severity
from rolecall_generator.errors import ModuleError
from rolecall_generator.parse import report as r
from rolecall_generator.parse import syntax as s
from rolecall_generator.parse.jsonsyntax import read_json
from rolecall_generator.parse.lexical import Unreadable
from rolecall_generator.parse.native import read_native
from rolecall_generator.parse.overrides import is_override, merge

MAXIMUM_BYTES = 1024 * 1024
"""Size of one file; the grant of a backend role at its quotas stays under a tenth of it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A module's blocks, and the values that its `.tfvars` files give to variables."""

    blocks: tuple[s.Block, ...]
    values: Mapping[str, tuple[s.Attribute, str]]


def module_files(folder: Path) -> dict[str, bytes]:
    """The files of a folder that Terraform or OpenTofu would read, by name. Raises ModuleError."""
    try:
        entries = sorted(path for path in folder.iterdir() if _is_read(path.name) and not path.is_dir())
        # One byte more than is taken shows that there is more.
        return {path.name: _head(path) for path in entries}
    except PermissionError as error:
        what = "reading the module is not permitted"
        mend = "give yourself read permission on the folder and its files"
        raise ModuleError(what, where=str(error.filename or folder), mend=mend) from None
    except OSError as error:
        raise ModuleError(
            f"the module cannot be read: {error.strerror or error}",
            where=str(folder),
            mend="name a folder that holds a Terraform module",
        ) from None


def _head(path: Path) -> bytes:
    if not path.is_file():
        raise ModuleError("neither a file nor a folder", where=str(path), mend="send the module as plain files")
    with path.open("rb") as stream:
        return stream.read(MAXIMUM_BYTES + 1)


def _is_read(name: str) -> bool:
    if name.startswith(".") or name.endswith("~") or (name.startswith("#") and name.endswith("#")):
        return False
    return name.endswith((".tf", ".tf.json", ".tofu", ".tofu.json")) or _is_values(name)


def _is_values(name: str) -> bool:
    return name in ("terraform.tfvars", "terraform.tfvars.json") or name.endswith((".auto.tfvars", ".auto.tfvars.json"))


def load(files: Mapping[str, bytes], report: r.Report) -> Source:
    """Read every file; what cannot be read is a finding."""
    plain: list[s.Block] = []
    overriding: list[s.Block] = []
    values: dict[str, tuple[s.Attribute, str]] = {}
    names = sorted(name for name in files if _is_read(name))
    if not names:
        report.add(r.UNREADABLE, "module", "the folder holds no Terraform file")
    # terraform.tfvars first: the automatic ones win over it.
    for name in sorted(names, key=lambda name: (not name.startswith("terraform.tfvars"), name)):
        body = _read(name, files[name], report)
        if body is None:
            continue
        if _is_values(name):
            report.add(r.OVERRIDE, name, "a file of values changes the module's variables", name, 1, Severity.WARNING)
            values.update({key: (attribute, name) for key, attribute in body.attributes.items()})
            continue
        for attribute, line in [*body.repeated, *((key, found.line) for key, found in body.attributes.items())]:
            report.add(r.UNREADABLE, name, f"the argument {attribute} stands outside any block", name, line)
        (overriding if is_override(name) else plain).extend(body.blocks)
        if is_override(name):
            report.add(r.OVERRIDE, name, "an override file changes blocks of the other files", name, 1, Severity.WARNING)
    _check(plain, report)
    _check(overriding, report, addresses=False)
    blocks, homeless = merge(plain, overriding)
    for block in homeless:
        report.add(r.OVERRIDE, block.address, "an override file overrides nothing here", block.file, block.line)
    return Source(tuple(blocks), values)


def _read(name: str, content: bytes, report: r.Report) -> s.Body | None:
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


def read_json_values(text: str, file: str) -> s.Body:
    """A `.tfvars.json` file: values by name. Raises Unreadable."""
    body = read_json(f'{{"locals": {text}}}', file)
    return body.blocks[0].body if body.blocks else s.Body()


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


def _check(blocks: list[s.Block], report: r.Report, *, addresses: bool = True) -> None:
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


def _once(address: str, block: s.Block, seen: dict[str, s.Block], report: r.Report) -> None:
    if address in seen:
        first = seen[address]
        message = f"declared twice, first in {first.file}:{first.line}"
        report.add(r.DUPLICATE, address, message, block.file, block.line)
    seen.setdefault(address, block)


def _all(block: s.Block) -> Iterator[s.Block]:
    yield block
    for inner in block.body.blocks:
        yield from _all(inner)
