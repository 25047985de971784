"""Tables of AWS facts as JSON files, each with its source and date."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def read_table(name: str) -> Any:
    """The parsed content of the JSON file `name` in this folder."""
    return json.loads(files(__name__).joinpath(name).read_text(encoding="utf-8"))
