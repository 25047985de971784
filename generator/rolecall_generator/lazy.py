"""Lazy imports of package exports (PEP 562), and discovery of the objects that modules of a package register."""

from __future__ import annotations

import ast
import pkgutil
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy_getattr(package: str) -> Callable[[str], Any]:
    """Create a package's `__getattr__`, which imports a name on first use as its `if TYPE_CHECKING:` block declares it.

    That block in `__init__.py` is the only list of modules and names: type checkers evaluate it, and it is parsed here when
    the first name is used. A name must differ from the package's submodules, because importing a submodule sets an attribute
    with its name.

    Args:
        package: The package's `__name__`.

    Returns:
        A function that raises AttributeError for a name that the block does not import.
    """

    @cache
    def module_of() -> dict[str, str]:
        source = pkgutil.get_data(package, "__init__.py")
        if source is None:
            raise ImportError(f"the source of {package}/__init__.py is not installed")
        blocks = (
            node
            for node in ast.parse(source).body
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        )
        imports = (node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom))
        return {alias.name: str(node.module) for node in imports for alias in node.names}

    def load(name: str) -> Any:
        module = module_of().get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module), name)
        setattr(sys.modules[package], name, value)
        return value

    return load


def registered(package: str, attribute: str) -> dict[str, Any]:
    """The values of an attribute by module name, for the modules of a package that have it. Imports all modules."""
    return {name: getattr(module, attribute) for name, module in modules_of(package).items() if hasattr(module, attribute)}


def modules_of(package: str, suffix: str = "") -> dict[str, ModuleType]:
    """Import the modules of a package whose names have this ending. Returns them by name, sorted."""
    names = sorted(module.name for module in pkgutil.iter_modules(sys.modules[package].__path__))
    return {name: import_module(f"{package}.{name}") for name in names if name.endswith(suffix)}
