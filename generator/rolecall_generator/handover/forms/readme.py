"""README.md of a bundle, the one thing to open: who asks for what, the ways to give it, what to send back."""

from __future__ import annotations

from collections.abc import Collection

from rolecall_generator.handover.model import Files, Handover
from rolecall_generator.hcl import comment
from rolecall_generator.iam.module import Module, ModuleKind
from rolecall_generator.render import module_view, render_text

README = "README.md"
_WAYS = ("terraform", "cloudformation", "aws-cli", "console")


def readme_form(handover: Handover, files: Collection[str]) -> Files:
    """The page. `files` are the paths of all other forms' files: it tells of those ways alone that the bundle holds."""
    folders = {name.partition("/")[0] for name in files}
    access = handover.module.access
    empty = not (access.roles or access.groups or access.users)
    view = {
        **module_view(handover.module, handover.source),
        "source": comment(handover.source),
        "kind": str(handover.module.kind),
        "ways": [] if empty else [way for way in _WAYS if way in folders],
        "reviews": sorted(name for name in files if name.startswith("review/")),
        "send_back": _send_back(handover.module),
        "empty": empty,
    }
    return {README: render_text(README, view).encode()}


def _send_back(module: Module) -> str | None:
    """The one line to be sent back; None when nothing is."""
    match module.kind:
        case ModuleKind.CUSTOMER:
            return next(iter(module.access.roles))
        case ModuleKind.TRUSTING:
            return (module.switch_role.link if module.switch_role else None) or next(iter(module.access.roles))
        case _:
            return None
