"""Renders Terraform modules, and HCL literals (`hcl`)."""

from rolecall_generator.terraform.render import module_view, render_module, render_text

__all__ = ["module_view", "render_module", "render_text"]
