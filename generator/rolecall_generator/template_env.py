"""Access -> files, with Jinja2. Templates loop and choose; labels and literals are made here and in `hcl`.

Compiled templates kept between runs: compiling them would be a fifth of a run that changes one customer.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket

from rolecall_generator.package_digest import template_folder
from rolecall_generator.text import printable

if TYPE_CHECKING:
    from jinja2 import Environment


BUNDLE = "bundle"
"""Folder of the templates of bundles; modules do not depend on them."""


def render_text(name: str, view: Mapping[str, Any]) -> str:
    """A text of a bundle from `templates/bundle/NAME.j2`."""
    return environment().get_template(f"{BUNDLE}/{name}.j2").render(view)


@functools.cache
def environment() -> Environment:
    from jinja2 import FileSystemLoader, StrictUndefined  # noqa: PLC0415 - `gen --help` must not pay for Jinja2
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415 - as above

    class Environment(SandboxedEnvironment):
        """The sandbox, which asks once for each type and attribute whether it is safe: nothing else decides."""

        known: ClassVar[dict[tuple[type, str], bool]] = {}

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            key = (type(obj), attr)
            safe = self.known.get(key)
            if safe is None:
                safe = self.known[key] = super().is_safe_attribute(obj, attr, value)
            return safe

        def getattr(self, obj: Any, attribute: str) -> Any:
            value = getattr(obj, attribute, None)
            # The detour of the sandbox is for methods of strings, absent attributes and those that are not safe.
            if value is None or callable(value) or not self.is_safe_attribute(obj, attribute, value):
                return super().getattr(obj, attribute)
            return value

    made = Environment(
        loader=FileSystemLoader(template_folder()),
        auto_reload=False,  # no one edits a template while a run renders it a thousand times
        bytecode_cache=bytecode_cache(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # HCL, Markdown and shell have escapes of their own: the filters below. HTML is rendered by html_page.
        autoescape=False,
    )
    made.filters["md"] = markdown
    return made


def markdown(text: str) -> str:
    """Text as a Markdown code span, whatever it holds."""
    plain = " ".join(printable(text.replace("\n", " ")).split())
    fence = "`"
    while fence in plain:
        fence += "`"
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}".replace("|", "\\|") if plain else "(empty)"


def bytecode_cache() -> FileSystemBytecodeCache | None:
    """Jinja2's cache in a temporary folder that only its owner may enter; None where there cannot be one."""
    try:
        return _PatientCache()
    except (OSError, RuntimeError):
        return None


class _PatientCache(FileSystemBytecodeCache):
    """A cache that cannot be read or written only costs time."""

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, TypeError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)
