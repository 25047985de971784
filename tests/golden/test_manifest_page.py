"""The reference of the manifest says what the models say."""

from __future__ import annotations

import os
from pathlib import Path

from manifest_page import manifest_page, models

PAGE = Path(__file__).parents[2] / "docs" / "manifest.md"


def test_the_page_is_made_from_the_models() -> None:
    """docs/manifest.md is what the models give; `make golden` writes it anew after a deliberate change."""
    if os.environ.get("ROLECALL_REWRITE_GOLDEN"):
        PAGE.write_text(manifest_page(), encoding="utf-8")
    assert manifest_page() == PAGE.read_text("utf-8"), "docs/manifest.md is old; if that is meant: make golden"


def test_every_key_stands_in_the_page_with_its_description() -> None:
    """No model, key or description is lost on the way from the models to the page."""
    page = PAGE.read_text("utf-8")
    for model in models():
        section = page.partition(f"\n## {model.__name__}\n")[2].partition("\n## ")[0]
        rows = {line.split("|")[1].strip(" *`"): line for line in section.splitlines() if line.startswith("|")}
        for name, field in model.model_fields.items():
            assert rows[name].endswith(f"| {field.description} |"), f"{model.__name__}.{name}"
