"""Packages that import a module only when one of their names is used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_getattr(package: str, modules: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """Make a package's `__getattr__`, which imports a module on the first use of one of its names.

    A name must differ from the package's submodules: importing a submodule sets an attribute of that name.

    Args:
        package: The package's `__name__`.
        modules: Names to export, by module.

    Returns:
        A function that raises AttributeError for a name that no module exports.
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        module = module_of.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{module}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
