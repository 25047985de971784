"""Packages that import a module when one of its names is used (PEP 562), and what modules of a folder register."""

from __future__ import annotations

import pkgutil
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


def registered(package: str, attribute: str) -> dict[str, Any]:
    """Import the modules of a package. Returns the values of this attribute by module name, where there is one."""
    names = sorted(module.name for module in pkgutil.iter_modules(sys.modules[package].__path__))
    modules = ((name, import_module(f"{package}.{name}")) for name in names)
    return {name: getattr(module, attribute) for name, module in modules if hasattr(module, attribute)}
