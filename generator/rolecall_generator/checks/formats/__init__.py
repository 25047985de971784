"""Reports in the forms that programs read: one module a form, each a function from a report to text."""

from rolecall_generator.checks.formats.as_json import report_body, to_json
from rolecall_generator.checks.formats.as_junit import to_junit
from rolecall_generator.checks.formats.as_sarif import to_sarif

__all__ = ["report_body", "to_json", "to_junit", "to_sarif"]
