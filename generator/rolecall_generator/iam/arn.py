"""AWS partitions, and reading and building ARNs.

Formats: botocore 1.44.5 service models (iam, sts), November 2026.
Console hosts: AWS documentation "Switching to a role (console)" and the GovCloud and China user guides, November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

ACCOUNT_ID_PATTERN = r"^[0-9]{12}$"
_PARTS = 6


@dataclass(frozen=True, slots=True)
class Partition:
    """An AWS partition; `console_host` is None where AWS documents no public sign-in host."""

    name: str
    console_host: str | None
    default_region: str


PARTITIONS: dict[str, Partition] = {
    partition.name: partition
    for partition in (
        Partition("aws", "signin.aws.amazon.com", "us-east-1"),
        Partition("aws-cn", "signin.amazonaws.cn", "cn-north-1"),
        Partition("aws-us-gov", "signin.amazonaws-us-gov.com", "us-gov-west-1"),
        Partition("aws-eusc", None, "eusc-de-east-1"),
        Partition("aws-iso", None, "us-iso-east-1"),
        Partition("aws-iso-b", None, "us-isob-east-1"),
        Partition("aws-iso-e", None, "eu-isoe-west-1"),
        Partition("aws-iso-f", None, "us-isof-south-1"),
    )
}


@dataclass(frozen=True, slots=True, order=True)
class Arn:
    """The six parts of an Amazon Resource Name; `resource` keeps everything after the fifth colon."""

    partition: str
    service: str
    region: str
    account_id: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Arn | None:
        """The ARN in `text`; None if it is not an ARN."""
        parts = text.split(":", 5)
        if len(parts) != _PARTS or parts[0] != "arn" or not parts[1] or not parts[2]:
            return None
        return cls(*parts[1:])

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account_id}:{self.resource}"

    @property
    def kind(self) -> str:
        """Resource type in IAM and STS: role, user, group, policy, assumed-role, root."""
        return self.resource.partition("/")[0]

    @property
    def name(self) -> str:
        """Name of the role, user, group or policy, without its path."""
        return self.resource.rpartition("/")[2]

    @property
    def path(self) -> str:
        """IAM path between kind and name; `/` if there is none."""
        return (
            "/" + self.resource.partition("/")[2].rpartition("/")[0].strip("/") + "/"
            if self.resource.count("/") > 1
            else "/"
        )


def iam_arn(partition: str, account_id: str, kind: str, path: str, name: str) -> str:
    """ARN of a role, user, group, policy or instance profile; `path` starts and ends with `/`.

    The account ID of AWS managed policies is `aws`.
    """
    return f"arn:{partition}:iam::{account_id}:{kind}{path}{name}"


def role_arn(partition: str, account_id: str, path: str, name: str) -> str:
    """ARN of a role; `path` starts and ends with `/`."""
    return f"arn:{partition}:iam::{account_id}:role{path}{name}"


def root_arn(partition: str, account_id: str) -> str:
    """ARN of an account as a principal: it delegates to every principal that the account allows."""
    return f"arn:{partition}:iam::{account_id}:root"


def switch_role_url(partition: str, account_id: str, path: str, name: str, display_name: str) -> str | None:
    """URL of the console's switch-role page; None in partitions whose console host is not public."""
    host = PARTITIONS[partition].console_host
    if host is None:
        return None
    query = urlencode({"account": account_id, "roleName": f"{path}{name}".lstrip("/"), "displayName": display_name})
    return f"https://{host}/switchrole?{query}"
