"""The page docs/manifest.md, made from the models that it describes."""

from __future__ import annotations

from typing import Any

from rolecall_generator.manifest.models import IncludedFile, Manifest, Model

INTRODUCTION = """\
# The manifest

Every key of `accounts.yaml`. `gen schema` prints the same as JSON Schema for editors; `gen init` writes a commented file
to start from. This page is made from `generator/rolecall_generator/manifest/models.py` by `make golden`; a test compares.

Account ids are always in quotes: YAML reads `012345678901` as a number. Unknown keys are errors. All problems of all files
are shown at once, each with file, line, column and hint. **Bold** keys must be there.

Included files (`include: [customers/*.yaml, fleet.csv]`) stand in the manifest's folder or below it. A CSV file has one
customer a row and columns named like the keys of a customer. Wildcards leave hidden files out, as in a shell.
"""


def manifest_page() -> str:
    """The whole page as Markdown: a section a model, in the order in which the manifest leads to them."""
    schema = Manifest.model_json_schema()
    definitions = {**schema["$defs"], "IncludedFile": IncludedFile.model_json_schema()}
    parts = [INTRODUCTION, _section("Manifest", schema)]
    parts += [_section(name, definitions[name]) for name in _reached(schema, definitions)]
    parts.append(_section("IncludedFile", definitions["IncludedFile"]))
    return "\n".join(parts)


def models() -> list[type[Model]]:
    """Every model of the manifest."""
    return Model.__subclasses__()


def _reached(schema: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """Names of the models below this one, the nearer ones first."""
    found: list[str] = []
    waiting = [schema]
    while waiting:
        for name in _references(waiting.pop(0)["properties"]):
            if name not in found:
                found.append(name)
                waiting.append(definitions[name])
    return found


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [_name(node["$ref"])] if "$ref" in node else []
    return own + [name for value in node.values() for name in _references(value)]


def _section(name: str, schema: dict[str, Any]) -> str:
    lines = [f"## {name}", "", schema["description"], "", "| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    required = schema.get("required", [])
    for key, field in schema["properties"].items():
        shown = f"**`{key}`**" if key in required else f"`{key}`"
        lines.append(f"| {shown} | {_value(field)} | {_default(field)} | {field['description']} |")
    return "\n".join([*lines, ""])


def _value(field: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "$ref" in field:
        name = _name(field["$ref"])
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_value(one) for one in field["anyOf"] if one.get("type") != "null"))
    if fixed := field.get("enum", [field["const"]] if "const" in field else []):
        return ", ".join(f"`{one}`" for one in fixed)
    if field["type"] == "array":
        return f"list of {_value(field['items'])}"
    if field["type"] == "object":
        inner = field.get("additionalProperties") or next(iter(field["patternProperties"].values()))
        return f"mapping to {_value(inner)}"
    return {"string": "text", "boolean": "true or false"}.get(field["type"]) or _number(field)


def _number(field: dict[str, Any]) -> str:
    return f"number, {field['minimum']} to {field['maximum']}" if "minimum" in field else "number"


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    if default is None or default in ("", [], {}):
        return ""
    values = default if isinstance(default, list) else [default]
    return ", ".join(f"`{str(one).lower()}`" if isinstance(one, bool) else f"`{one}`" for one in values)


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]
