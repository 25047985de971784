"""The manifest's JSON Schema, for editors that complete and check while one types."""

from __future__ import annotations

from typing import Any

from rolecall_generator.manifest.models import IncludedFile, Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(*, included: bool = False) -> dict[str, Any]:
    """JSON Schema 2020-12 of the manifest, or of the files that it includes; every key carries its description."""
    model = IncludedFile if included else Manifest
    title = "rolecall manifest: an included file" if included else "rolecall manifest"
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, **_without_titles(schema), "title": title}


def _without_titles(node: Any) -> Any:
    """The schema without pydantic's titles, which only repeat the keys."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_titles(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
