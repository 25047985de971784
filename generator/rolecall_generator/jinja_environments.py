"""Jinja2 environments. Only this module imports Jinja2, so commands that render nothing do not load it."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from rolecall_generator.text import escape_markup


def text_environment(folder: Path) -> Environment:
    """Create an environment for HCL, Markdown and shell. Templates escape values with filters."""
    return _CachingSandbox(autoescape=False, **_options(folder))


def html_environment(folder: Path) -> Environment:
    """Create an environment for HTML. Printed strings are escaped by `escape_markup`; other values and HTML as by Jinja2."""
    return Environment(autoescape=True, finalize=_escape_string, **_options(folder))


def _escape_string(value: Any) -> Any:
    return _escaped(value) if type(value) is str else value


@lru_cache(maxsize=4_096)
def _escaped(text: str) -> Markup:
    """Rows share most of their strings."""
    return Markup(escape_markup(text))  # noqa: S704 - escaped here


def _options(folder: Path) -> dict[str, Any]:
    return {
        "loader": FileSystemLoader(folder),
        "auto_reload": False,  # templates do not change during a run
        "bytecode_cache": _bytecode_cache(),
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }


class _CachingSandbox(SandboxedEnvironment):
    """A sandbox that caches whether access is safe, by type and attribute name."""

    known: ClassVar[dict[tuple[type, str], bool]] = {}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether templates may read the attribute."""
        key = (type(obj), attr)
        safe = self.known.get(key)
        if safe is None:
            safe = self.known[key] = super().is_safe_attribute(obj, attr, value)
        return safe

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The value of `obj.attribute` in a template."""
        value = getattr(obj, attribute, None)
        # The base class handles string methods and missing or unsafe attributes.
        if value is None or callable(value) or not self.is_safe_attribute(obj, attribute, value):
            return super().getattr(obj, attribute)
        return value


def _bytecode_cache() -> FileSystemBytecodeCache | None:
    """The cache of compiled templates in a temporary folder that only the user can access; None if it cannot be created.

    Without it, compiling takes a fifth of the time of a run that changes one customer.
    """
    try:
        return _TolerantCache()
    except (OSError, RuntimeError):
        return None


class _TolerantCache(FileSystemBytecodeCache):
    """A cache that ignores read and write errors. After a read error, the template is compiled."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a compiled template, if possible."""
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, TypeError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write a compiled template, if possible."""
        with suppress(OSError):
            super().dump_bytecode(bucket)
