"""Small worlds to prove: a backend with customers, as intended or too open, and names with HTML and scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_generator.proof import Proof, Trust, prove

BACKEND = "arn:aws:iam::111111111111:role/backend_role"
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&--><!--]]>"


def customer_arn(number: int) -> str:
    """The role ARN of the customer with this number."""
    return f"arn:aws:iam::{200_000_000_000 + number}:role/Access"


def trust_statement(number: int, **changes: Any) -> dict[str, Any]:
    """The intended statement for this customer, with elements replaced; None removes an element."""
    body = {
        "Sid": "TrustBackend",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": BACKEND},
        "Condition": {"StringEquals": {"sts:ExternalId": f"id-{number}"}},
        **changes,
    }
    return {key: value for key, value in body.items() if value is not None}


def customers(
    count: int,
    holes: Mapping[int, Mapping[str, Any]] | None = None,
    name: Callable[[int], str] = lambda number: f"customer-{number}",
) -> tuple[Access, Proof]:
    """An access with this many customers, and its proof; `holes` changes the trust statements of some."""
    grant = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    roles = [Role(BACKEND, None, {"assume": _document(grant)}, existing=True)]
    trusts = []
    for number in range(count):
        statement = trust_statement(number, **(holes or {}).get(number, {}))
        roles.append(Role(customer_arn(number), _document(statement)))
        trusts.append(Trust(name(number), customer_arn(number), (BACKEND,), f"id-{number}"))
    access = Access.of(*roles)
    return access, prove(access, trusts)


def _document(statement: dict[str, Any]) -> Any:
    return PolicyDocument.from_json({"Version": "2012-10-17", "Statement": [statement]})
