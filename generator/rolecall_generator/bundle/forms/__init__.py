"""Forms of the access in a bundle, one module per form: Terraform, CloudFormation, AWS CLI, console, security review."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from rolecall_generator.bundle.forms.interface import BundleForm


@cache
def all_forms() -> tuple[BundleForm, ...]:
    """The forms that modules of this folder register as `FORM`, by position, then folder."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    forms: list[BundleForm] = [module.FORM for module in modules if hasattr(module, "FORM")]
    return tuple(sorted(forms, key=lambda form: (form.position, form.folder)))
