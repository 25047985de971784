"""What `gen init` and `gen schema` produce: the commented starter manifest and the JSON Schema of the manifest."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

from rolecall_generator.errors import OutputError
from rolecall_generator.manifest.models import IncludedFile, Manifest

_STARTER = Template("""\
# yaml-language-server: $$schema=./rolecall.schema.json
# accounts.yaml: cross-account access. Change the account ids and names, then run `gen terraform`.
# For completion in the editor: gen schema > rolecall.schema.json
version: 1

# Your account whose backend role assumes the customers' roles.
backend:
  account_id: "111111111111" # always in quotes: YAML would drop leading zeros
  role:
    name: backend_role
    existing: true # false: rolecall creates the role, with an EC2 instance profile

# Named sets of permissions. Customers and switch roles refer to them.
permission_sets:
  s3-read:
    description: Read the objects of one bucket.
    statements:
      - sid: ListExampleBucket
        actions: [s3:ListBucket]
        resources: ["arn:aws:s3:::example-bucket"]
      - sid: ReadExampleBucket
        actions: [s3:GetObject]
        resources: ["arn:aws:s3:::example-bucket/*"]
  ec2-read:
    description: Read-only access to EC2.
    managed_policies: [AmazonEC2ReadOnlyAccess] # AWS managed policies by name, others by ARN

# Defaults for every customer. Tags and labels are merged with the customer's.
defaults:
  regions: [us-east-1]
  permissions: [s3-read]
  tags: {managed-by: rolecall} # on the AWS resources, in the customer's account
  # path: /vendor/
  # max_session_seconds: 3600
  # trust: account-root # survives a re-created backend role; role-arn (the default) is stricter

# The customers. You generate one external id per customer; never let a customer choose it. It is not a secret.
# Large numbers of customers belong in separate files: include: [customers/*.yaml, fleet.csv]
customers:
  - name: customer1
    account_id: "222222222222"
    role: role1
    external_id: $first
  - name: customer2
    account_id: "333333333333"
    role: role2
    external_id: $second
    permissions: [s3-read, ec2-read] # replaces the default
    labels: {tier: gold} # for selection with the runner; not sent to AWS

# Roles that users switch to in the console. The console cannot send an external id; MFA protects these roles.
switch_roles:
  - name: support-in-production
    trusting: {name: production, account_id: "444444444444"} # has the role
    trusted: {name: people, account_id: "555555555555"} # has the users
    role: support-readonly
    permissions: [ec2-read]
    group: support-switchers
    users:
      - {name: alex, console_password: true} # a first password, to be changed at sign-in
      - {name: sam, existing: true} # an existing user that is only added to the group
    require_mfa: true
""")


def starter_manifest(make_id: Callable[[], str] | None = None) -> str:
    """A valid manifest with comments. `make_id` generates external ids; default: `fresh_external_id`."""
    make = make_id or fresh_external_id
    # In quotes: YAML reads a hex id without letters, or with a single e, as a number.
    return _STARTER.substitute(first=f'"{make()}"', second=f'"{make()}"')


def fresh_external_id() -> str:
    """128 random bits in hex. An external id is not a secret, but must not be guessable."""
    return secrets.token_hex(16)


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(*, included: bool = False) -> dict[str, Any]:
    """JSON Schema 2020-12 of the manifest, or of included files. Every key has a description."""
    model = IncludedFile if included else Manifest
    title = "rolecall manifest: an included file" if included else "rolecall manifest"
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, **_without_titles(schema), "title": title}


def _without_titles(node: Any) -> Any:
    """The schema without pydantic's titles, which repeat the keys."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_titles(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}


def write_starter(path: Path, *, force: bool) -> None:
    """Write a starter manifest. Raises OutputError if the file cannot be written, or exists and `force` is not set."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(starter_manifest())
    except FileExistsError:
        raise OutputError("the file exists", where=str(path), hint="choose another name, or use --force") from None
    except OSError as error:
        raise OutputError(
            f"cannot write: {error.strerror}", where=str(path), hint="choose a file in a writable folder"
        ) from error
