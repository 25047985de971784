"""Lazy imports of package exports (PEP 562), and discovery of the objects that modules of a package register."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_getattr(package: str, modules: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """Create a package's `__getattr__`, which imports a module on first use of one of its names.

    A name must differ from the package's submodules, because importing a submodule sets an attribute with its name.

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


def registered(package: str, attribute: str) -> dict[str, Any]:
    """Import all modules of a package. Returns the values of the attribute by module name, for modules that have it."""
    names = sorted(module.name for module in pkgutil.iter_modules(sys.modules[package].__path__))
    modules = ((name, import_module(f"{package}.{name}")) for name in names)
    return {name: getattr(module, attribute) for name, module in modules if hasattr(module, attribute)}
