"""Parses Terraform modules into the access that they grant; what cannot be evaluated exactly is a finding."""

from rolecall_generator.terraform.parser.parse import ParsedModule, find_declarations, parse_module
from rolecall_generator.terraform.parser.schema import GUARD, UNREADABLE

__all__ = ["GUARD", "UNREADABLE", "ParsedModule", "find_declarations", "parse_module"]
