"""Where in a module each principal and policy is declared: asked only when there is something to say about it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rolecall_generator.errors import ModuleError
from rolecall_generator.parse.documents import document_json
from rolecall_generator.parse.folder import read_folder
from rolecall_generator.parse.functions import Unresolvable
from rolecall_generator.parse.kinds import KINDS
from rolecall_generator.parse.module import Module
from rolecall_generator.parse.report import Report
from rolecall_generator.parse.source import load


def declared_places(folder: Path, *, account_id: str, partition: str = "aws") -> dict[str, tuple[str, int]]:
    """File name and line (from 1) of the block behind each ARN of a module; what cannot be read has no place."""
    try:
        files = read_folder(folder, Report())
    except ModuleError:
        return {}
    module = Module(load(files, Report()), account_id, partition, document_json)
    places: dict[str, tuple[str, int]] = {}
    for block in module.source.blocks:
        kind = KINDS.get(block.address.rpartition(".")[0]) if block.type in ("resource", "data") else None
        if kind is None or kind.arn is None:
            continue
        with suppress(Unresolvable):
            for instance in module.instances(block):
                places.setdefault(module.arn(instance), (instance.file, instance.line))
    return places
