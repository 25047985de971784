"""Parses Terraform modules into the access that they grant; what cannot be evaluated exactly is a finding."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_generator.terraform.parser.parse import ParsedModule, declared_places, parse_module
    from rolecall_generator.terraform.parser.schema import GUARD, UNREADABLE

__all__ = ["GUARD", "UNREADABLE", "ParsedModule", "declared_places", "parse_module"]

__getattr__ = exports(
    __name__,
    {
        "parse": (
            "ParsedModule",
            "declared_places",
            "parse_module",
        ),
        "schema": (
            "GUARD",
            "UNREADABLE",
        ),
    },
)
