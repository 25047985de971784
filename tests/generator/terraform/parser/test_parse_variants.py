"""One role in all common styles of Terraform code: the same Access each time, and no findings except for the listed ones."""

from __future__ import annotations

import json

import pytest

from rolecall_generator.findings import Severity
from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.terraform.parser.parse import parse_files

ACCOUNT = "222222222222"
BACKEND = "arn:aws:iam::111111111111:role/backend_role"
GUARD = """
data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = self.account_id == "222222222222"
      error_message = "wrong account ${self.account_id}"
    }
  }
}
"""
TRUST_JSON = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Sid": "Trust",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": BACKEND},
        "Condition": {"StringEquals": {"sts:ExternalId": "id-1"}},
    }],
})  # fmt: skip
TRUST_DATA = """
data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "Trust"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::111111111111:role/backend_role"]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = ["id-1"]
    }
  }
}
"""
READ = PolicyDocument((Statement("Allow", ("s3:GetObject",), ("arn:aws:s3:::b/${aws:username}/*",), sid="Read"),))
READ_JSON = json.dumps(READ.to_json())
READ_HCL = READ_JSON.replace("${", "$${")
BOUNDARY = "arn:aws:iam::222222222222:policy/limit"
MANAGED = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def expected() -> Access:
    trust = Statement(
        "Allow",
        ("sts:AssumeRole",),
        principals=(Principal("AWS", BACKEND),),
        conditions=(Condition("StringEquals", "sts:ExternalId", ("id-1",)),),
        sid="Trust",
    )
    return Access.of(
        Role(
            f"arn:aws:iam::{ACCOUNT}:role/vendor/role1",
            PolicyDocument((trust,)),
            inline={"read": READ},
            attached=frozenset({MANAGED}),
            boundary=BOUNDARY,
            max_session_seconds=7200,
            description='Says "hi"\n',
            tags={"managed-by": "us"},
        )
    ).canonical()


def role(trust: str, *, extra: str = "", name: str = '"role1"') -> str:
    return f"""
resource "aws_iam_role" "this" {{
  name                 = {name}
  path                 = "/vendor/"
  description          = "Says \\"hi\\"\\n"
  assume_role_policy   = {trust}
  max_session_duration = 7200
  permissions_boundary = "{BOUNDARY}"
  tags                 = {{ "managed-by" = "us" }}
{extra}
}}
"""


READ_POLICY = f"""
resource "aws_iam_role_policy" "read" {{
  name   = "read"
  role   = aws_iam_role.this.id
  policy = jsonencode({READ_HCL})
}}
"""
ATTACHED = f"""
resource "aws_iam_role_policy_attachment" "a" {{
  role       = aws_iam_role.this.name
  policy_arn = "{MANAGED}"
}}
"""
REST = READ_POLICY + ATTACHED
DATA = "data.aws_iam_policy_document.trust.json"


def native(text: str, **more: str) -> dict[str, str]:
    return {"main.tf": GUARD + text, **{f"{name}.tf": body for name, body in more.items()}}


JSON_MODULE = {
    "data": {
        "aws_caller_identity": {
            "current": {
                "lifecycle": {"postcondition": {"condition": '${self.account_id == "222222222222"}', "error_message": "no"}}
            }
        },
        "aws_iam_policy_document": {
            "trust": {
                "//": "who may come in",
                "statement": [
                    {
                        "sid": "Trust",
                        "actions": ["sts:AssumeRole"],
                        "principals": {"type": "AWS", "identifiers": [BACKEND]},
                        "condition": [{"test": "StringEquals", "variable": "sts:ExternalId", "values": ["id-1"]}],
                    }
                ],
            }
        },
    },
    "resource": {
        "aws_iam_role": {
            "this": {
                "name": "role1",
                "path": "/vendor/",
                "description": 'Says "hi"\n',
                "assume_role_policy": "${data.aws_iam_policy_document.trust.json}",
                "max_session_duration": 7200,
                "permissions_boundary": BOUNDARY,
                "tags": {"managed-by": "us"},
                "depends_on": ["data.aws_caller_identity.current"],
            }
        },
        "aws_iam_role_policy": {"read": {"name": "read", "role": "${aws_iam_role.this.name}", "policy": READ_HCL}},
        "aws_iam_role_policy_attachment": [{"a": {"role": "${aws_iam_role.this.name}", "policy_arn": MANAGED}}],
    },
}

VARIANTS: dict[str, dict[str, str]] = {
    "policy document": native(TRUST_DATA + role(DATA) + REST),
    "json text": native(role(json.dumps(TRUST_JSON)) + REST),
    "jsonencode": native(role(f"jsonencode({TRUST_JSON})") + REST),
    "jsonencode with equal signs": native(
        role(
            'jsonencode({ Version = "2012-10-17", Statement = { Sid = "Trust", Effect = "Allow",\n'
            'Action = ["sts:AssumeRole"]\n'
            f'Principal = {{ AWS = "{BACKEND}" }}, Condition = {{ StringEquals = {{ "sts:ExternalId" = ["id-1"] }} }} }} }})'
        )
        + REST
    ),
    "heredoc": native(role(f"<<EOF\n{TRUST_JSON}\nEOF") + REST),
    "indented heredoc": native(role(f"<<-POLICY\n    {TRUST_JSON}\n    POLICY  ") + REST),
    "heredoc with a template": native(
        'locals {\n  id = "id-1"\n}\n' + role("<<EOF\n" + TRUST_JSON.replace('"id-1"', '"${local.id}"') + "\nEOF") + REST
    ),
    "variables and locals": native(
        'variable "vendor" {\n  type    = string\n  default = "111111111111"\n}\n'
        "locals {\n"
        '  backend = "arn:${data.aws_partition.here.partition}:iam::${var.vendor}:role/${local.name}"\n'
        '  name    = "backend_role"\n}\n'
        'data "aws_partition" "here" {}\n'
        + TRUST_DATA.replace(f'"{BACKEND}"', "local.backend")
        + role(DATA)
        + REST.replace(f'"{MANAGED}"', '"arn:${data.aws_partition.here.id}:iam::aws:policy/ReadOnlyAccess"')
    ),
    "values in a second file": native(
        TRUST_DATA.replace('"id-1"', "local.id") + role(DATA) + REST, b='locals { id = "id-1" }'
    ),
    "for_each": native(
        TRUST_DATA
        + role(DATA, name="each.value", extra='  for_each = { one = "role1" }')
        + REST.replace("aws_iam_role.this.", 'aws_iam_role.this["one"].')
    ),
    "for_each over a set": native(
        TRUST_DATA + role(DATA) + READ_POLICY
        + ATTACHED.replace(f'"{MANAGED}"', f'each.value\n  for_each = toset(["{MANAGED}"])')
    ),
    "count": native(
        TRUST_DATA
        + role(DATA, name='"role${count.index + 1}"', extra="  count = var.make ? 1 : 0")
        + REST.replace("aws_iam_role.this.", "aws_iam_role.this[0].")
        + 'variable "make" {\n  default = true\n}\n'
    ),
    "inline blocks and arguments": native(
        TRUST_DATA
        + role(
            DATA,
            extra=f'  managed_policy_arns = ["{MANAGED}"]\n'
            f'  inline_policy {{\n    name   = "read"\n    policy = jsonencode({READ_HCL})\n  }}',
        )
    ),
    "dynamic blocks": native(
        'data "aws_iam_policy_document" "trust" {\n'
        '  dynamic "statement" {\n    for_each = { Trust = "id-1" }\n    iterator = it\n'
        "    content {\n      sid = it.key\n      effect = \"Allow\"\n      actions = ['sts:AssumeRole']\n".replace("'", '"')
        + f'      principals {{\n        type = "AWS"\n        identifiers = ["{BACKEND}"]\n      }}\n'
        '      dynamic "condition" {\n        for_each = ["sts:ExternalId"]\n        content {\n'
        '          test = "StringEquals"\n          variable = condition.value\n          values = [it.value]\n'
        "        }\n      }\n    }\n  }\n}\n" + role(DATA) + REST
    ),
    "functions": native(
        TRUST_DATA.replace(
            f'["{BACKEND}"]',
            '[for name in toset(["backend_role"]) : format("arn:aws:iam::%s:role/%s", local.id, name)]')
        + 'locals {\n  id = join("", concat(["111111"], tolist(["111111"])))\n}\n'
        + role(DATA, name='lower("ROLE1")').replace(
            '{ "managed-by" = "us" }', 'merge({ managed-by = "them" }, { managed-by = "us" })')
        + REST
    ),
    "source documents": native(
        TRUST_DATA
        + 'data "aws_iam_policy_document" "all" {\n'
        "  source_policy_documents = [data.aws_iam_policy_document.trust.json]\n}\n"
        + role("data.aws_iam_policy_document.all.json")
        + REST
    ),
    "override documents": native(
        TRUST_DATA
        + 'data "aws_iam_policy_document" "all" {\n  statement {\n    sid = "Trust"\n    actions = ["sts:*"]\n'
        '    principals {\n      type = "*"\n      identifiers = ["*"]\n    }\n  }\n'
        "  override_policy_documents = [data.aws_iam_policy_document.trust.json]\n}\n"
        + role("data.aws_iam_policy_document.all.json")
        + REST
    ),
    "the provider's own variables": native(
        TRUST_DATA
        + role(DATA)
        + ATTACHED
        + 'data "aws_iam_policy_document" "read" {\n  statement {\n    sid = "Read"\n    actions = ["s3:GetObject"]\n'
        '    resources = ["arn:aws:s3:::b/&{aws:username}/*"]\n  }\n}\n'
        'resource "aws_iam_role_policy" "read" {\n  name = "read"\n  role = "role1"\n'
        "  policy = data.aws_iam_policy_document.read.json\n}\n"
    ),
    "comments that look like code": native(
        TRUST_DATA.replace("    actions", '    # actions = ["*"]\n    // effect = "Deny"\n    /* sid = "x"\n } */ actions')
        + role(DATA)
        + '/*\nresource "aws_iam_role" "evil" {}\n*/\n'
        + REST
    ),
    "line ends of Windows, and a byte order mark": {
        "main.tf": "\ufeff" + (GUARD + TRUST_DATA + role(DATA) + REST).replace("\n", "\r\n")
    },
    "escapes by number": native((TRUST_DATA + role(DATA) + REST).replace('"id-1"', '"\\u0069d\\U0000002d1"')),
    "json syntax": {"main.tf.json": json.dumps(JSON_MODULE)},
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_all_forms_of_a_role_have_the_same_access(name: str) -> None:
    """Each variant is parsed as the expected Access, without errors and without unresolvable values."""
    parsed = parse_files({file: text.encode() for file, text in VARIANTS[name].items()}, account_id=ACCOUNT)

    notes = {(each.rule, each.severity) for each in parsed.findings}
    assert ({("RC901", Severity.NOTE)} if "var." in "".join(VARIANTS[name].values()) else set()) == notes
    assert expected() == parsed.access.canonical()
    assert ACCOUNT == parsed.guard_account_id


def test_account_comes_from_guard_if_not_given() -> None:
    parsed = parse_files({"main.tf": (GUARD + TRUST_DATA + role(DATA) + REST).encode()}, account_id=None)

    assert expected() == parsed.access.canonical()


def test_without_account_and_guard_access_is_empty() -> None:
    parsed = parse_files({"main.tf": (TRUST_DATA + role(DATA) + REST).encode()}, account_id=None)

    assert Access() == parsed.access
    assert "RC907" in {finding.rule for finding in parsed.findings}


def test_postcondition_has_arn_of_existing_principal() -> None:
    """A postcondition on a data source for a role gives its path; without one it is the root path."""
    text = """
data "aws_iam_role" "stated" {
  name = "a"
  lifecycle {
    postcondition {
      condition     = self.arn == "arn:aws:iam::222222222222:role/x/a"
      error_message = "another role"
    }
  }
}
data "aws_iam_role" "plain" {
  name = "b"
}
resource "aws_iam_role_policy_attachment" "c" {
  role       = "c"
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}
"""
    parsed = parse_files({"main.tf": (GUARD + text).encode()}, account_id=ACCOUNT)

    assert () == parsed.findings
    assert {f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("x/a", "b", "c")} == set(parsed.access.roles)
    assert all(found.existing for found in parsed.access.roles.values())


def test_groups_users_and_passwords_are_parsed() -> None:
    """Members, policies and passwords are those of the principals to which they belong."""
    text = """
resource "aws_iam_group" "g" {
  name = "people"
}
resource "aws_iam_user" "u" {
  for_each = toset(["ann", "bob"])
  name     = each.key
}
resource "aws_iam_user_group_membership" "m" {
  for_each = aws_iam_user.u
  user     = each.value.name
  groups   = [aws_iam_group.g.name]
}
resource "aws_iam_user_login_profile" "p" {
  user                    = aws_iam_user.u["ann"].name
  password_reset_required = true
  pgp_key                 = "keybase:ann"
  lifecycle {
    ignore_changes = [password_reset_required]
  }
}
resource "aws_iam_group_policy_attachment" "a" {
  group      = aws_iam_group.g.id
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}
"""
    parsed = parse_files({"main.tf": (GUARD + text).encode()}, account_id=ACCOUNT)
    users = {arn.rpartition("/")[2]: user for arn, user in parsed.access.users.items()}

    assert () == parsed.findings
    assert {"ann": "keybase:ann", "bob": None} == {
        n: u.console_password and u.console_password.pgp_key for n, u in users.items()
    }
    assert {frozenset({f"arn:aws:iam::{ACCOUNT}:group/people"})} == {user.groups for user in users.values()}
    assert [1] == [len(group.attached) for group in parsed.access.groups.values()]
