"""Attacks on generated modules: each changes the parsed Access or is an error; none passes silently.

An attack is a module, a file of it to edit and the text to replace in it, or a file to add (no text to replace).
"""

from __future__ import annotations

MANIFEST = """
version: 1
backend: {account_id: "111111111111", role: {name: backend_role, existing: true, path: /vendor/}}
permission_sets:
  s3-read:
    statements: [{sid: Read, actions: ["s3:GetObject", "s3:ListBucket"], resources: ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]}]
  ec2-read: {managed_policies: [AmazonEC2ReadOnlyAccess]}
customers:
  - {name: one, account_id: "222222222222", role: role1, external_id: "id-11111", permissions: [s3-read, ec2-read]}
  - {name: two, account_id: "333333333333", role: role2, external_id: "id-22222", permissions: [s3-read]}
switch_roles:
  - name: switch
    trusting: {name: a, account_id: "444444444444"}
    trusted: {name: b, account_id: "555555555555"}
    role: switched
    permissions: [ec2-read]
    group: people
    users: [{name: ann, console_password: true}]
"""
EVIL = "arn:aws:iam::999999999999:root"
STATEMENT = f"""  statement {{
    actions = ["sts:AssumeRole"]
    principals {{
      type        = "AWS"
      identifiers = ["{EVIL}"]
    }}
  }}
"""
EVIL_JSON = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}'
TRUST = 'data "aws_iam_policy_document" "trust" {\n'
ROLE = 'resource "aws_iam_role" "this" {\n'
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
ONE, TRUSTED, TRUSTING, BACKEND = "customers/one", "switch-roles/switch/trusted", "switch-roles/switch/trusting", "backend"


def second_role(name: str, principal: str) -> str:
    return (
        f'resource "aws_iam_role" "second" {{\n  name = "{name}"\n'
        '  assume_role_policy = jsonencode({ Version = "2012-10-17", '
        'Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", '
        f'Principal = {{ AWS = "{principal}" }} }}] }})\n}}\n'
    )


def attach(policy: str = ADMIN, role: str = "aws_iam_role.this.name") -> str:
    return f'resource "aws_iam_role_policy_attachment" "x" {{\n  role = {role}\n  policy_arn = "{policy}"\n}}\n'


EDITS: dict[str, tuple[str, str, str]] = {
    "another account in the trust": (ONE, "arn:aws:iam::111111111111:role", "arn:aws:iam::999999999999:role"),
    "another role of the backend": (ONE, "role/vendor/backend_role", "role/vendor/other_role"),
    "the same name at another path": (ONE, "role/vendor/backend_role", "role/backend_role"),
    "the account instead of the role": (ONE, "111111111111:role/vendor/backend_role", "111111111111:root"),
    "a bare account ID": (ONE, '"arn:aws:iam::111111111111:role/vendor/backend_role",', '"111111111111",'),
    "everybody": (ONE, '"arn:aws:iam::111111111111:role/vendor/backend_role",', '"*",'),
    "everybody by type": (ONE, 'type = "AWS"', 'type = "*"'),
    "a service as principal": (ONE, 'type = "AWS"', 'type = "Service"'),
    "a second principal": (ONE, "identifiers = [\n", f'identifiers = [\n        "{EVIL}",\n'),
    "everybody but": (ONE, "    principals {", "    not_principals {"),
    "another external ID": (ONE, '"id-11111",\n      ]', '"id-99999",\n      ]'),
    "a second external ID": (ONE, '"id-11111",\n      ]', '"id-11111", "x1",\n      ]'),
    "any external ID": (ONE, 'test     = "StringEquals"', 'test     = "StringLike"'),
    "every other external ID": (ONE, 'test     = "StringEquals"', 'test     = "StringNotEquals"'),
    "external ID only if there is one": (ONE, 'test     = "StringEquals"', 'test     = "StringEqualsIfExists"'),
    "another condition key": (ONE, '"sts:ExternalId"', '"aws:RequestTag/x"'),
    "condition in a comment": (ONE, "    condition {", "    /* condition {"),
    "first value in a comment": (ONE, '        "id-11111",', '        # "id-11111",'),
    "another effect": (ONE, 'effect = "Allow"', 'effect = "Deny"'),
    "an effect of other case": (ONE, 'effect = "Allow"', 'effect = "allow"'),
    "more actions on the trust": (ONE, '"sts:AssumeRole",', '"sts:AssumeRole", "sts:TagSession",'),
    "any action on the trust": (ONE, '"sts:AssumeRole",', '"sts:*",'),
    "a statement before": (ONE, TRUST, TRUST + STATEMENT),
    "a dynamic statement": (
        ONE,
        TRUST,
        TRUST + '  dynamic "statement" {\n    for_each = ["x"]\n    content {\n      actions = ["sts:AssumeRole"]\n'
        '      principals {\n        type = "*"\n        identifiers = ["*"]\n      }\n    }\n  }\n',
    ),
    "a dynamic statement over the unknown": (
        ONE,
        TRUST,
        TRUST + '  dynamic "statement" {\n    for_each = var.more\n    content {}\n  }\n',
    ),
    "a source document": (ONE, TRUST, TRUST + f"  source_policy_documents = [jsonencode({EVIL_JSON})]\n"),
    "an override document": (ONE, TRUST, TRUST + f"  override_policy_documents = [jsonencode({EVIL_JSON})]\n"),
    "an old override document": (ONE, TRUST, TRUST + f"  override_json = jsonencode({EVIL_JSON})\n"),
    "another policy language version": (ONE, TRUST, TRUST + '  version = "2008-10-17"\n'),
    "a document in a string": (ONE, "data.aws_iam_policy_document.trust.json", f"jsonencode({EVIL_JSON})"),
    "a document in a heredoc": (ONE, "= data.aws_iam_policy_document.trust.json", f"= <<X\n{EVIL_JSON}\nX"),
    "a document from a file": (ONE, "data.aws_iam_policy_document.trust.json", 'file("trust.json")'),
    "a document of another name": (
        ONE,
        "data.aws_iam_policy_document.trust.json",
        "data.aws_iam_policy_document.s3_read.json",
    ),
    "a document from the network": (ONE, ROLE, 'data "http" "x" {\n  url = "https://example.com"\n}\n' + ROLE),
    "a document from a program": (ONE, ROLE, 'data "external" "x" {\n  program = ["sh"]\n}\n' + ROLE),
    "a condition that depends": (ONE, '"id-11111",\n      ]', 'terraform.workspace == "x" ? "*" : "id-11111",\n      ]'),
    "a variable without default": (ONE, '"id-11111",\n      ]', "var.id,\n      ]"),
    "a resource widened": (ONE, '"arn:aws:s3:::b/*"', '"*"'),
    "an action widened": (ONE, '"s3:GetObject"', '"s3:*"'),
    "actions turned round": (ONE, 'actions = [\n      "s3:', 'not_actions = [\n      "s3:'),
    "resources turned round": (ONE, "resources = [", "not_resources = ["),
    "a stronger managed policy": (ONE, 'AmazonEC2ReadOnlyAccess"\n}', 'AdministratorAccess"\n}'),
    "a customer's policy of like name": (ONE, "iam::aws:policy", "iam::222222222222:policy"),
    "a longer session": (ONE, "max_session_duration = 3600", "max_session_duration = 43200"),
    "another role name": (ONE, 'name                 = "role1"', 'name                 = "role2"'),
    "another path": (ONE, 'path                 = "/"', 'path                 = "/x/"'),
    "a name made by Terraform": (ONE, 'name                 = "role1"', 'name_prefix          = "role1"'),
    "managed policies by argument": (ONE, ROLE, ROLE + f'  managed_policy_arns = ["{ADMIN}"]\n'),
    "an inline block": (
        ONE,
        ROLE,
        ROLE + '  inline_policy {\n    name = "x"\n    policy = jsonencode({ Version = "2012-10-17", '
        'Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })\n  }\n',
    ),
    "a provisioner": (ONE, ROLE, ROLE + '  provisioner "local-exec" {\n    command = "sh"\n  }\n'),
    "a provider of its own": (ONE, ROLE, ROLE + "  provider = aws.other\n"),
    "more roles": (ONE, ROLE, ROLE + '  for_each = toset(["a", "b"])\n'),
    "no role": (ONE, ROLE, ROLE + "  count = 0\n"),
    "changes ignored": (ONE, ROLE, ROLE + "  lifecycle {\n    ignore_changes = [assume_role_policy]\n  }\n"),
    "all changes ignored": (ONE, ROLE, ROLE + "  lifecycle {\n    ignore_changes = all\n  }\n"),
    "an argument of tomorrow": (ONE, ROLE, ROLE + "  trust_everybody = true\n"),
    "the guard of another account": (ONE, 'self.account_id == "222222222222"', 'self.account_id == "999999999999"'),
    "a provider from elsewhere": (ONE, '"hashicorp/aws"', '"evil/aws"'),
    "a provider by another name": (ONE, "required_providers {", 'required_providers {\n    aws2 = { source = "evil/aws" }'),
    "a heredoc's end with a blank behind": (
        ONE,
        ROLE,
        ROLE + '  force_detach_policies = <<X\nX \n  managed_policy_arns = ["' + ADMIN + '"]\n  #\nX\n',
    ),
    "an escape across a quote": (
        ONE,
        ROLE,
        ROLE + '  force_detach_policies = "$${"\n  managed_policy_arns = ["' + ADMIN + '"] # }"\n',
    ),
    "a comment's end in a string": (ONE, ROLE, '/* " */' + attach() + ROLE),
    "MFA no longer asked": (TRUSTING, 'test     = "Bool"', 'test     = "BoolIfExists"'),
    "MFA refused": (TRUSTING, '"true",', '"false",'),
    "another group member": (TRUSTED, 'name = "ann"', 'name = "eve"'),
    "a second role to switch to": (TRUSTED, '"arn:aws:iam::444444444444:role/switched",', '"arn:aws:iam::*:role/*",'),
    "the password stays": (TRUSTED, "password_reset_required = true", "password_reset_required = false"),
    "the password for another key": (
        TRUSTED,
        "password_reset_required = true",
        'password_reset_required = true\n  pgp_key = "keybase:eve"',
    ),
    "MFA not needed to remove MFA": (TRUSTED, 'variable = "aws:MultiFactorAuthPresent"', 'variable = "aws:SecureTransport"'),
    "an account more for the backend": (
        BACKEND,
        '"arn:aws:iam::222222222222:role/role1",',
        f'"arn:aws:iam::222222222222:role/role1", "{EVIL}",',
    ),
    "an account less for the backend": (BACKEND, '      "arn:aws:iam::222222222222:role/role1",\n', ""),
    "another backend role": (
        BACKEND,
        '"arn:aws:iam::111111111111:role/vendor/backend_role"\n',
        '"arn:aws:iam::111111111111:role/other"\n',
    ),
}

ADDITIONS: dict[str, tuple[str, str, str]] = {
    "a second role": (ONE, "x.tf", second_role("x", EVIL)),
    "a second role of the same name": (ONE, "x.tf", second_role("role1", EVIL)),
    "a second role in other case": (ONE, "x.tf", second_role("ROLE1", EVIL)),
    "a second role in JSON": (
        ONE,
        "x.tf.json",
        '{"resource": {"aws_iam_role": {"x": {"name": "x", "assume_role_policy": "{}"}}}}',
    ),
    "an attachment": (ONE, "x.tf", attach()),
    "an attachment by name": (ONE, "x.tf", attach(role='"role1"')),
    "an attachment in JSON": (
        ONE,
        "x.tf.json",
        f'{{"resource": {{"aws_iam_role_policy_attachment": {{"x": {{"role": "role1", "policy_arn": "{ADMIN}"}}}}}}}}',
    ),
    "an attachment for every role": (
        ONE,
        "x.tf",
        f'resource "aws_iam_policy_attachment" "x" {{\n  name = "x"\n  roles = ["role1"]\n  policy_arn = "{ADMIN}"\n}}\n',
    ),
    "a policy on the role": (
        ONE,
        "x.tf",
        (
            'resource "aws_iam_role_policy" "x" {\n  name = "x"\n  role = "role1"\n  policy = '
            'jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })\n}\n'
        ),
    ),
    "a policy in place of another": (
        ONE,
        "x.tf",
        (
            'resource "aws_iam_role_policy" "x" {\n  name = "s3-read"\n  role = "role1"\n  policy = '
            'jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })\n}\n'
        ),
    ),
    "a user": (ONE, "x.tf", 'resource "aws_iam_user" "x" {\n  name = "x"\n}\n'),
    "an access key": (ONE, "x.tf", 'resource "aws_iam_access_key" "x" {\n  user = "x"\n}\n'),
    "a member of the group": (
        TRUSTED,
        "x.tf",
        'resource "aws_iam_group_membership" "x" {\n  name = "x"\n  group = "people"\n  users = ["eve"]\n}\n',
    ),
    "an unknown exclusive resource": (
        ONE,
        "x.tf",
        'resource "aws_iam_role_policies_exclusive" "x" {\n  role_name = "role1"\n  policy_names = []\n}\n',
    ),
    "a bucket": (ONE, "x.tf", 'resource "aws_s3_bucket" "x" {}\n'),
    "a program": (ONE, "x.tf", 'resource "null_resource" "x" {\n  provisioner "local-exec" {\n    command = "sh"\n  }\n}\n'),
    "a module": (ONE, "x.tf", 'module "x" {\n  source = "./x"\n}\n'),
    "a provider in another account": (ONE, "x.tf", 'provider "aws" {\n  assume_role {\n    role_arn = "x"\n  }\n}\n'),
    "an override of the trust": (ONE, "x_override.tf", TRUST + STATEMENT + "}\n"),
    "an override of the role": (ONE, "override.tf", f"{ROLE}  assume_role_policy = jsonencode({EVIL_JSON})\n}}\n"),
    "an override of the guard": (
        ONE,
        "override.tf",
        (
            'data "aws_caller_identity" "current" {\n  lifecycle {\n    postcondition {\n'
            '      condition = self.account_id == "999999999999"\n      error_message = "x"\n    }\n  }\n}\n'
        ),
    ),
    "an override in JSON": (
        ONE,
        "override.tf.json",
        '{"resource": {"aws_iam_role": {"this": {"max_session_duration": 43200}}}}',
    ),
    "an override of nothing": (ONE, "override.tf", second_role("x", EVIL)),
    "a file for OpenTofu": (ONE, "main.tofu", second_role("x", EVIL)),
    "the same document again": (ONE, "x.tf", TRUST + STATEMENT + "}\n"),
    "a file that cannot be read": (ONE, "x.tf", 'resource "aws_iam_role" "x" {'),
    "an unknown block": (ONE, "x.tf", 'action "aws_lambda_invoke" "x" {}\n'),
    "a removed instance in JSON twice": (
        ONE,
        "x.tf.json",
        '{"resource": {"aws_iam_user": {"x": {"name": "a"}}}, "resource": {"aws_iam_user": {"y": {"name": "b"}}}}',
    ),
}
