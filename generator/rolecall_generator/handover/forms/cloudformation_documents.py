"""Policy documents and texts as CloudFormation takes them: nothing in them may be read as one of its functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.iam.policy import PolicyDocument

# What CloudFormation replaces inside any text of a template, with no way to escape it ("Get values stored in other services
# using dynamic references", CloudFormation user guide, November 2026).
DYNAMIC_REFERENCE = "{{resolve:"
_FUNCTION_KEYS = {"Ref", "Condition", "Transform"}
_FUNCTION_PREFIX = "Fn::"


class CloudFormationError(RolecallError):
    """The access cannot be said in CloudFormation, or a template is not one of ours."""

    exit_code = ExitCode.PLAN


@lru_cache(maxsize=256)
def policy_json(document: PolicyDocument) -> dict[str, Any]:
    """`document_json` of permissions, which many customers share: do not change what comes."""
    return document_json(document)


def document_json(document: PolicyDocument) -> dict[str, Any]:
    """The document as AWS's JSON.

    Empty statement ids are left out: IAM refuses two that are equal, and an empty one is one. Raises CloudFormationError for
    a condition whose operator or key CloudFormation would take for a function, as in `{"Ref": ...}`.
    """
    body = document.to_json()
    for statement in body["Statement"]:
        if not statement["Sid"]:
            del statement["Sid"]
        for key in _condition_keys(statement.get("Condition", {})):
            if key in _FUNCTION_KEYS or key.startswith(_FUNCTION_PREFIX):
                raise CloudFormationError(
                    f"CloudFormation takes the condition {key!r} for one of its functions",
                    mend="name a condition operator and a condition key of IAM",
                )
    return body


def _condition_keys(conditions: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    for operator, keys in conditions.items():
        yield operator
        yield from keys


def check_texts(text: str, where: str) -> None:
    """Raise CloudFormationError when the template's text has what CloudFormation would replace by a stored secret."""
    if DYNAMIC_REFERENCE in text:
        raise CloudFormationError(
            f"a text of the access holds {DYNAMIC_REFERENCE!r}: CloudFormation would put another value in its place",
            where=where,
            mend=f"write the description, path or policy without {DYNAMIC_REFERENCE!r}",
        )
