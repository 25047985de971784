"""Parses Terraform modules into the access that they grant; what cannot be evaluated exactly is a finding."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator.terraform.parser.parse import ParsedModule, find_declarations, parse_module
    from rolecall_generator.terraform.parser.schema import GUARD, UNREADABLE

__all__ = ["GUARD", "UNREADABLE", "ParsedModule", "find_declarations", "parse_module"]

__getattr__ = lazy_getattr(
    __name__,
    {
        "parse": (
            "ParsedModule",
            "find_declarations",
            "parse_module",
        ),
        "schema": (
            "GUARD",
            "UNREADABLE",
        ),
    },
)
