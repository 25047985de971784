"""What `gen init` and `gen schema` produce: the commented starter manifest and the JSON Schema of the manifest."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

from rolecall_generator.errors import OutputError
from rolecall_generator.manifest.models import IncludedFile, Manifest
from rolecall_generator.package_digest import template_folder


def starter_manifest(make_id: Callable[[], str] | None = None) -> str:
    """A valid manifest with comments. `make_id` generates external IDs; default: `fresh_external_id`."""
    make = make_id or fresh_external_id
    template = Template((template_folder() / "manifest" / "starter.yaml").read_text("utf-8"))
    # In quotes: YAML reads a hex id without letters, or with a single e, as a number.
    return template.substitute(first=f'"{make()}"', second=f'"{make()}"')


def fresh_external_id() -> str:
    """128 random bits in hex. An external ID is not a secret, but must not be guessable."""
    return secrets.token_hex(16)


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(*, included: bool = False) -> dict[str, Any]:
    """JSON Schema 2020-12 of the manifest, or of included files. Every key has a description."""
    model = IncludedFile if included else Manifest
    title = "rolecall manifest: an included file" if included else "rolecall manifest"
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, **_without_titles(schema), "title": title}


def _without_titles(node: Any) -> Any:
    """The schema without pydantic's titles, which repeat the keys."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_titles(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}


def write_starter(path: Path, *, force: bool) -> None:
    """Write a starter manifest. Raises OutputError if the file cannot be written, or exists and `force` is not set."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(starter_manifest())
    except FileExistsError:
        raise OutputError("the file exists", where=str(path), hint="choose another name, or use --force") from None
    except OSError as error:
        raise OutputError(
            f"cannot write: {error.strerror}", where=str(path), hint="choose a file in a writable folder"
        ) from error
