"""The page docs/manifest.md, generated from the models that it describes."""

from __future__ import annotations

from typing import Any

from rolecall_generator.manifest.models import IncludedFile, Manifest, Model

INTRODUCTION = """\
# The manifest

This page lists every key of `accounts.yaml`. **Bold** keys are required; unknown keys are errors. This is a small
manifest with one customer:

<!-- starts with: examples/accounts.yaml as accounts.yaml -->

```yaml
version: 1

backend:
  account_id: "111111111111"
  role: {name: backend_role, existing: true}

permission_sets:
  ec2-read:
    description: See instances, networks and volumes
    managed_policies: [AmazonEC2ReadOnlyAccess]

customers:
  - name: account1
    account_id: "222222222222"
    role: role1
    external_id: "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"
    permissions: [ec2-read]
```

- `gen init` writes a commented manifest with new external IDs to `accounts.yaml`; it overwrites an existing file
  only with `--force`.
- `gen schema > rolecall.schema.json` gives editors completion and validation.

Write account IDs in quotes: YAML reads digits as a number and drops leading zeros. All errors of all files are
reported in one pass, each with file, line, column and hint, and nothing is written:

```console
$ sed 's/account_id: "222222222222", role:/account_id: 222222222222, rol:/' accounts.yaml > bad.yaml
$ gen terraform bad.yaml
error: bad.yaml:25:34: account_id 222222222222 is read by YAML as a number
  hint: write "222222222222" in quotes
bad.yaml:25:48: unknown key rol
  hint: write role
2 problems in the manifest
$ echo $?
3
```

Included files (`include: [customers/*.yaml, fleet.csv]`) must be in the manifest's folder or below. A CSV file has one
customer per row, and its columns have the names of a customer's keys. Wildcards do not match hidden files.

<!-- Generated from generator/rolecall_generator/manifest/models.py by `make golden`. -->
"""


def manifest_page() -> str:
    """The whole page as Markdown: one section per model, in the order in which the manifest refers to them."""
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
    """Names of the models below this one, nearest first."""
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
    """The type or the permitted values of a field."""
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
    return {"string": "string", "boolean": "true or false"}.get(field["type"]) or _number(field)


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
