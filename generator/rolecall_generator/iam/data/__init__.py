"""Tables of AWS facts as JSON, each with its source and the date when it was read."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def read_table(name: str) -> Any:
    """The parsed content of a JSON file of this folder."""
    return json.loads(files(__name__).joinpath(name).read_text(encoding="utf-8"))
