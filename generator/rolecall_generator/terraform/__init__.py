"""Renders Terraform modules and literals of Terraform's language."""

from rolecall_generator.terraform.render import hcl_string, module_view, render_module, render_text

__all__ = ["hcl_string", "module_view", "render_module", "render_text"]
