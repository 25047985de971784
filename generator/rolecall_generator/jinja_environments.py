"""Jinja2 environments: the only module that imports Jinja2, so that commands that render nothing do not load it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.sandbox import SandboxedEnvironment


def text_environment(folder: Path) -> Environment:
    """An environment for HCL, Markdown and shell, which have escapes of their own: nothing is escaped automatically."""
    return _CachingSandbox(autoescape=False, **_options(folder))


def html_environment(folder: Path, finalize: Callable[[Any], Any]) -> Environment:
    """An environment for HTML: every printed value is escaped, after `finalize`."""
    return Environment(autoescape=True, finalize=finalize, **_options(folder))


def _options(folder: Path) -> dict[str, Any]:
    return {
        "loader": FileSystemLoader(folder),
        "auto_reload": False,  # no one edits a template while a run renders it a thousand times
        "bytecode_cache": _bytecode_cache(),
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }


class _CachingSandbox(SandboxedEnvironment):
    """The sandbox, asking once per type and attribute whether it is safe: nothing else decides."""

    known: ClassVar[dict[tuple[type, str], bool]] = {}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read the attribute."""
        key = (type(obj), attr)
        safe = self.known.get(key)
        if safe is None:
            safe = self.known[key] = super().is_safe_attribute(obj, attr, value)
        return safe

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The value of `obj.attribute` in a template."""
        value = getattr(obj, attribute, None)
        # The sandbox itself handles methods of strings, absent attributes and those that are not safe.
        if value is None or callable(value) or not self.is_safe_attribute(obj, attribute, value):
            return super().getattr(obj, attribute)
        return value


def _bytecode_cache() -> FileSystemBytecodeCache | None:
    """Compiled templates, kept between runs in a temporary folder that only its owner may enter; None where that fails.

    Compiling the templates would be a fifth of a run that changes one customer.
    """
    try:
        return _TolerantCache()
    except (OSError, RuntimeError):
        return None


class _TolerantCache(FileSystemBytecodeCache):
    """A cache that cannot be read or written is not used: the template is compiled."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a compiled template."""
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, TypeError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write a compiled template."""
        with suppress(OSError):
            super().dump_bytecode(bucket)
