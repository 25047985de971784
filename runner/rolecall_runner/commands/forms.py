"""The option that says by which way a customer applies modules."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

FormOption = Annotated[
    Literal["terraform", "cloudformation", "aws-cli", "console"] | None,
    typer.Option("--form", help="How the customer applies modules; later messages to the customer say that way."),
]
