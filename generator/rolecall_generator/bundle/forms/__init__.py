"""Forms of the access in a bundle, one module per form: Terraform, CloudFormation, AWS CLI, console, security review."""

from __future__ import annotations

from functools import cache

from rolecall_generator.bundle.forms.interface import BundleForm
from rolecall_generator.lazy import registered


@cache
def all_forms() -> tuple[BundleForm, ...]:
    """The forms that modules of this folder register as `FORM`, by position, then folder."""
    forms: list[BundleForm] = list(registered(__name__, "FORM").values())
    return tuple(sorted(forms, key=lambda form: (form.position, form.folder)))
