"""What a shell offers behind an option or an argument of either program: names of the manifest that is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rolecall_generator.command_line import DEFAULT_MANIFEST

Offer = Callable[[Any, str], list[str]]
"""Takes Typer's context (its values so far stand in `params`) and the word that is not complete."""


def _names(sections: Sequence[str]) -> Offer:
    def offer(ctx: Any, incomplete: str) -> list[str]:
        # A shell shows what a completion raises in the middle of the line that is being typed: it must be silent.
        try:
            from rolecall_generator.manifest.names import names_in  # noqa: PLC0415 - yaml loads only where needed

            return [name for name in names_in(_manifest(ctx), *sections) if name.startswith(incomplete)]
        except Exception:  # whatever it is, the command itself will say it
            return []

    return offer


def _manifest(ctx: Any) -> Path:
    """The manifest on the line, else the usual one."""
    # Behind an option that has no value yet, Typer leaves the arguments before it unread (seen in 0.29, November 2026).
    arguments = [each.name for each in ctx.command.params if each.param_type_name == "argument"]
    unread = dict(zip(arguments, ctx.args, strict=False))
    return Path(unread.get("manifest") or ctx.params.get("manifest") or DEFAULT_MANIFEST)


customers = _names(["customers"])
switch_roles = _names(["switch_roles"])
everybody = _names(["customers", "switch_roles"])
