"""The forms that AWS gives to names and ids, as annotated string types with a message and a mend for people.

Patterns: botocore 1.44.5 service models (iam, sts), November 2026; full match, ASCII only. `\\w` is written out because
Rust's regular expressions (pydantic's) read it as Unicode.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from rolecall_generator.iam import quotas
from rolecall_generator.iam.arn import ACCOUNT_ID_PATTERN
from rolecall_generator.iam.regions import REGION_PATTERN

_NAME = r"^[A-Za-z0-9_+=,.@-]+$"
_PATH = r"^(/|/[\x21-\x7E]+/)$"
_EXTERNAL_ID = r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$"
_SLUG = r"^[A-Za-z][A-Za-z0-9._-]*$"
_LABEL = r"^[A-Za-z][A-Za-z0-9_-]*$"
_TAG = r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$"
_ACTION = r"^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$"
_POLICY_TEXT = r"^[\x20-\x7E\xA1-\xFF]+$"
_CONDITION_VALUE = r"^[\x20-\x7E\xA1-\xFF]*$"
_DESCRIPTION = r"^[\t\n\r\x20-\x7E\xA1-\xFF]*$"
_MANAGED_POLICY = r"^(arn:[a-z-]+:iam::([0-9]{12}|aws):policy/)?[A-Za-z0-9_+=,.@/-]+$"
_POLICY_ARN = r"^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/([\x21-\x7E]+/)?[A-Za-z0-9_+=,.@-]+$"
_SID = r"^[A-Za-z0-9]*$"
_BASE64 = r"^(keybase:[A-Za-z0-9_]+|[A-Za-z0-9+/=\s]+)$"

MENDS: dict[str, tuple[str, str]] = {
    ACCOUNT_ID_PATTERN: ("is not an AWS account id", "write the 12 digits in quotes, leading zeros kept"),
    _NAME: ("has characters that AWS refuses in a name", "use ASCII letters, digits and _+=,.@- alone"),
    _PATH: ("is not an IAM path", "start and end it with /, without spaces, as in /vendor/"),
    _EXTERNAL_ID: ("is not an external id that AWS takes", "use 2 to 1,224 ASCII letters, digits and _+=,.@:/-"),
    _SLUG: ("is no name for a folder", "start with a letter and use ASCII letters, digits and ._- alone"),
    _LABEL: ("is no name for a permission set", "start with a letter and use ASCII letters, digits, _ and - alone"),
    _TAG: ("has characters that AWS refuses in a tag", "use letters, digits, spaces and _.:/=+-@ alone"),
    _ACTION: ("is not an action", "write SERVICE:ACTION, as in s3:GetObject; wildcards * and ? stand in the action's name"),
    _POLICY_TEXT: ("has characters that AWS refuses in a policy", "use printable Latin-1 characters alone"),
    _CONDITION_VALUE: ("has characters that AWS refuses in a policy", "use printable Latin-1 characters alone"),
    _DESCRIPTION: ("has characters that AWS refuses in a description", "use printable Latin-1 characters alone"),
    REGION_PATTERN: ("is not a Region", "write its code, as in eu-central-1"),
    _MANAGED_POLICY: ("is not a managed policy", "write its name, as in AmazonEC2ReadOnlyAccess, or its ARN"),
    _POLICY_ARN: ("is not the ARN of a policy", "write arn:PARTITION:iam::ACCOUNT:policy/NAME"),
    _SID: ("is not a statement id that AWS takes", "use ASCII letters and digits alone"),
    _BASE64: ("is not a PGP key", "give the public key as base64 without armor, or keybase:NAME"),
}
"""What a failed pattern means, and the mend; keyed by the pattern itself."""

AccountId = Annotated[str, StringConstraints(strict=True, pattern=ACCOUNT_ID_PATTERN), Field(examples=["222222222222"])]
RoleName = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=quotas.ROLE_NAME_CHARACTERS)]
UserName = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=quotas.USER_NAME_CHARACTERS)]
GroupName = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=quotas.GROUP_NAME_CHARACTERS)]
PolicyName = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=quotas.POLICY_NAME_CHARACTERS)]
Path = Annotated[str, StringConstraints(strict=True, pattern=_PATH, max_length=quotas.PATH_CHARACTERS)]
ExternalId = Annotated[str, StringConstraints(strict=True, pattern=_EXTERNAL_ID)]
Slug = Annotated[str, StringConstraints(strict=True, pattern=_SLUG, max_length=64)]
PermissionSetName = Annotated[str, StringConstraints(strict=True, pattern=_LABEL, max_length=64)]
TagKey = Annotated[str, StringConstraints(strict=True, pattern=_TAG, min_length=1, max_length=128)]
TagValue = Annotated[str, StringConstraints(strict=True, pattern=_TAG, max_length=256)]
Action = Annotated[str, StringConstraints(strict=True, pattern=_ACTION)]
PolicyText = Annotated[str, StringConstraints(strict=True, pattern=_POLICY_TEXT)]
ConditionValue = Annotated[str, StringConstraints(strict=True, pattern=_CONDITION_VALUE)]
"""The empty string is one: `s3:prefix` is empty when the root of a bucket is listed."""
Description = Annotated[str, StringConstraints(strict=True, pattern=_DESCRIPTION, max_length=1000)]
Region = Annotated[str, StringConstraints(strict=True, pattern=REGION_PATTERN)]
ManagedPolicyName = Annotated[str, StringConstraints(strict=True, pattern=_MANAGED_POLICY)]
PolicyArn = Annotated[str, StringConstraints(strict=True, pattern=_POLICY_ARN)]
Sid = Annotated[str, StringConstraints(strict=True, pattern=_SID)]
PgpKey = Annotated[str, StringConstraints(strict=True, pattern=_BASE64)]
SessionSeconds = Annotated[
    int, Field(strict=True, ge=quotas.MINIMUM_MAX_SESSION_SECONDS, le=quotas.MAXIMUM_MAX_SESSION_SECONDS)
]
