"""Renders Terraform modules, and HCL literals (`hcl`)."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator.terraform.render import module_view, render_module, render_text

__all__ = ["module_view", "render_module", "render_text"]

__getattr__ = lazy_getattr(
    __name__,
    {
        "render": (
            "module_view",
            "render_module",
            "render_text",
        ),
    },
)
