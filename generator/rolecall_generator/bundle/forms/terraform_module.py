"""The module as `gen terraform` writes it, with tests that `terraform test` runs offline.

The tests are conditions on the module's resources, each with an error message. Data sources are mocked, so the `json` of a
policy document is a placeholder that identifies the document; its content is tested through its statements. Tested with
Terraform 1.11 and provider 3.39, November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rolecall_generator.bundle.forms.interface import BundleForm, Files, Handover, Instructions
from rolecall_generator.iam import Module, Statement
from rolecall_generator.records import TERRAFORM
from rolecall_generator.terraform import hcl_string, module_view, render_text
from rolecall_generator.text import sanitize_line

TESTS = f"{TERRAFORM}/tests/access.tftest.hcl"
# The second one is for modules of the first account: a manifest may use any twelve digits.
_OTHER_ACCOUNTS = ("000000000000", "999999999999")


def terraform_module_form(handover: Handover) -> Files:
    """The module's files, unchanged, and the tests in `tests/`, which plan and apply ignore."""
    module = handover.module
    view = module_view(module, handover.source)
    text = render_text(
        "access.tftest.hcl",
        {
            "source": sanitize_line(handover.source),
            "overrides": [(*place, hcl_string(value)) for *place, value in overrides(view, module.account.account_id)],
            "checks": [(condition, hcl_string(message)) for condition, message in module_checks(view)],
            "dependents": view["dependents"],
            "other_account": hcl_string(next(each for each in _OTHER_ACCOUNTS if each != module.account.account_id)),
        },
    )
    return {
        **{f"{TERRAFORM}/{name}": content.encode() for name, content in handover.terraform.items()},
        TESTS: text.encode(),
    }


Check = tuple[str, str]
"""A condition in HCL and its error message."""
Override = tuple[str, str, str]
"""A resource address, an attribute, and the value that the mocked provider returns for it."""

_LISTS = ("actions", "not_actions", "resources", "not_resources")


def overrides(view: Mapping[str, Any], account_id: str) -> list[Override]:
    """Values that the mocked provider returns for the resources in `view` (see `terraform.module_view`)."""
    found = [("data.aws_caller_identity.current", "account_id", account_id)]
    for label, _ in _documents(view):
        text = json.dumps({"Version": "2012-10-17", "Id": label, "Statement": []}, separators=(",", ":"))
        found.append((f"data.aws_iam_policy_document.{label}", "json", text))
    for kind in ("roles", "policies", "groups", "users"):
        found += [(item.address, "arn", item.part.arn) for item in view[kind]]
    return found


def module_checks(view: Mapping[str, Any]) -> list[Check]:
    """All checks of a module, starting with the policy documents."""
    checks: list[Check] = []
    for label, statements in _documents(view):
        checks += _document(label, statements)
    for maker in (_roles, _inline, _policies, _attachments, _groups, _users):
        checks += maker(view)
    return checks


def _documents(view: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Statement]]]:
    for document in view["trust_documents"].values():
        yield document.label, document.statements
    for documents in view["inline_documents"].values():
        yield from ((document.label, document.statements) for document in documents)
    for document in view["policy_documents"].values():
        yield document.label, document.statements


def _document(label: str, statements: Sequence[Statement]) -> Iterator[Check]:
    """Checks of effect, actions and resources, of principals and of conditions, per statement; unset fields are omitted."""
    each = f"for s in data.aws_iam_policy_document.{label}.statement"
    lists = ", ".join(f'"{name}"' for name in _LISTS)
    expression = (
        f"[{each} : merge({{ effect = s.effect }}, {{ for k in [{lists}] : k => sort(s[k]) if try(length(s[k]), 0) > 0 }})]"
    )
    yield (
        _same(expression, [_permissions(one) for one in statements]),
        f"{label}: actions or resources differ from the agreed ones",
    )
    flat = 'sort(flatten([for p in s[k] : [for i in p.identifiers : "${p.type} ${i}"]]))'
    expression = f'[{each} : {{ for k in ["principals", "not_principals"] : k => {flat} if length(s[k]) > 0 }}]'
    yield _same(expression, [_principals(one) for one in statements]), f"{label}: principals differ from the agreed ones"
    flat = 'sort(flatten([for c in s.condition : [for v in c.values : "${c.test} ${c.variable} ${v}"]]))'
    yield (
        _same(f"[{each} : {flat}]", [_conditions(one) for one in statements]),
        f"{label}: conditions differ from the agreed ones",
    )


def _permissions(statement: Statement) -> dict[str, Any]:
    lists = {name: _sorted(getattr(statement, name)) for name in _LISTS}
    return {"effect": statement.effect, **{name: values for name, values in lists.items() if values}}


def _principals(statement: Statement) -> dict[str, Any]:
    lists = {"principals": statement.principals, "not_principals": statement.not_principals}
    return {name: _sorted(f"{one.type} {one.identifier}" for one in found) for name, found in lists.items() if found}


def _conditions(statement: Statement) -> list[str]:
    return _sorted(f"{one.operator} {one.key} {value}" for one in statement.conditions for value in one.values)


def _roles(view: Mapping[str, Any]) -> Iterator[Check]:
    for role in view["roles"]:
        if role.part.existing:
            continue
        what = f"role {role.arn.name}"
        yield _equal(f"{role.address}.name", role.arn.name), f"{what}: another name"
        yield _equal(f"{role.address}.path", role.arn.path), f"{what}: another path"
        trust = view["trust_documents"][role.label].label
        yield _is_document(f"{role.address}.assume_role_policy", trust), f"{what}: another trust policy"
        seconds = role.part.max_session_seconds
        yield f"{role.address}.max_session_duration == {seconds}", f"{what}: sessions are not limited to {seconds} seconds"
        boundary = role.part.boundary
        expression = f"{role.address}.permissions_boundary"
        condition = _equal(expression, boundary) if boundary else f'coalesce({expression}, "none") == "none"'
        yield condition, f"{what}: another permissions boundary"


def _inline(view: Mapping[str, Any]) -> Iterator[Check]:
    for documents in view["inline_documents"].values():
        for document in documents:
            address = f"aws_iam_role_policy.{document.label}"
            yield _equal(f"{address}.name", document.name), f"policy {document.name}: another name"
            yield _is_document(f"{address}.policy", document.label), f"policy {document.name}: another document"


def _policies(view: Mapping[str, Any]) -> Iterator[Check]:
    for policy in view["policies"]:
        yield _equal(f"{policy.address}.name", policy.arn.name), f"policy {policy.arn.name}: another name"
        document = view["policy_documents"][policy.label]
        yield _is_document(f"{policy.address}.policy", document.label), f"policy {policy.arn.name}: another document"


def _attachments(view: Mapping[str, Any]) -> Iterator[Check]:
    for kind in ("role", "group"):
        for item in view[f"{kind}_attachments"]:
            address = f"aws_iam_{kind}_policy_attachment.{item.label}"
            # Both sides are rendered expressions: a reference or a quoted ARN.
            yield f"{address}.policy_arn == {item.policy}", f"{address}: another policy is attached"
            name = "group_name" if item.target.startswith("data.aws_iam_group") else "name"
            yield f"{address}.{kind} == {item.target}.{name}", f"{address}: it is attached to something else"


def _groups(view: Mapping[str, Any]) -> Iterator[Check]:
    for group in view["groups"]:
        if not group.part.existing:
            yield _equal(f"{group.address}.name", group.arn.name), f"group {group.arn.name}: another name"
            yield _equal(f"{group.address}.path", group.arn.path), f"group {group.arn.name}: another path"


def _users(view: Mapping[str, Any]) -> Iterator[Check]:
    names = {group.address: group.arn.name for group in view["groups"]}
    for user in view["users"]:
        what = f"user {user.arn.name}"
        if not user.part.existing:
            yield _equal(f"{user.address}.name", user.arn.name), f"{what}: another name"
            yield _equal(f"{user.address}.path", user.arn.path), f"{what}: another path"
        membership = f"aws_iam_user_group_membership.{user.label}"
        yield _equal(f"{membership}.user", user.arn.name), f"{what}: the group has other members"
        groups = _sorted(names[address] for address in view["memberships"][user.label])
        yield _same(f"sort({membership}.groups)", groups), f"{what}: member of other groups"


def _sorted(values: Iterable[str]) -> list[str]:
    """Distinct values in the order of Terraform's `sort()`: by code point."""
    return sorted(set(values))


def _equal(expression: str, value: str) -> str:
    return f"{expression} == {hcl_string(value)}"


def _is_document(expression: str, label: str) -> str:
    return _equal(f"jsondecode({expression}).Id", label)


def _same(expression: str, value: Any) -> str:
    """Compare as JSON, because a list and a tuple are never equal in Terraform."""
    return f"jsonencode({expression}) == jsonencode({_literal(value)})"


def _literal(value: Any) -> str:
    """HCL of strings in lists and objects, on one line."""
    if isinstance(value, str):
        return hcl_string(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_literal(part)}" for key, part in value.items()) + " }" if value else "{}"
    return f"[{', '.join(map(_literal, value))}]"


_APPLY = """\
For accounts that are managed with Terraform. [terraform/](terraform/README.md) works as a root module and as a child module.
Its tests need no credentials and check that the module grants exactly what was agreed.

    cd terraform
    terraform init
    terraform test
    terraform apply"""


def _instructions(module: Module) -> Instructions:
    refused = " is refused" if module.dependents else ""
    return Instructions("With Terraform or OpenTofu", _APPLY, f"Terraform: `terraform destroy` in `terraform`{refused}.")


FORM = BundleForm(TERRAFORM, terraform_module_form, _instructions, position=1)
