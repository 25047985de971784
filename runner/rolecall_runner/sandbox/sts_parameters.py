"""The parameters of AssumeRole and GetSessionToken, read from the form and held against the limits of the service model.

Limits and patterns: botocore 1.44.5's model of STS and the STS API reference, November 2026. Texts are those that AWS
sends; where none is documented the wording is the sandbox's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rolecall_generator.iam import quotas
from rolecall_generator.iam.arn import PARTITIONS, parse_arn
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_runner.sandbox.aws_refusal import AwsRefusalError, invalid, unconstrained
from rolecall_runner.sandbox.policy_checks import check_identity_document

Form = Mapping[str, str]
"""Parameters by name, lists as `Tags.member.1.Key`."""

MINIMUM_SECONDS = 900
USER_SESSION_SECONDS = 43_200
USER_SESSION_MAXIMUM_SECONDS = 129_600
SESSION_POLICY_CHARACTERS = 2_048
SESSION_POLICY_ARNS = 10

_NAME = re.compile(r"[\w+=,.@-]*", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:\/-]*", re.ASCII)
_SERIAL = re.compile(r"[\w+=/:,.@-]*", re.ASCII)
_TOKEN = re.compile(r"\d*", re.ASCII)
_TAG = re.compile(r"[\w\s_.:/=+\-@]*")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AssumeRoleRequest:
    """A well-formed request; `seconds` is None when the caller left the duration open."""

    role_arn: str
    session_name: str
    external_id: str | None = None
    seconds: int | None = None
    serial_number: str | None = None
    token_code: str | None = field(default=None, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    source_identity: str | None = None
    policy: PolicyDocument | None = None
    policy_arns: tuple[str, ...] = ()

    @property
    def account_id(self) -> str:
        """The role's account."""
        return self.role_arn.split(":")[4]

    @property
    def partition(self) -> str:
        """The role's partition."""
        return self.role_arn.split(":")[1]


def read_assume_role(form: Form) -> AssumeRoleRequest:
    """Read AssumeRole. Raises AwsRefusalError with AWS's text for the first thing that is wrong."""
    arn = _text(form, "RoleArn", 20, 2_048, None)
    name = _text(form, "RoleSessionName", 2, 64, _NAME)
    if arn is None or name is None:
        missing = "roleArn" if arn is None else "roleSessionName"
        raise invalid(
            f"1 validation error detected: Value null at '{missing}' failed to satisfy constraint: Member must not be null"
        )
    tags, transitive = read_tags(form)
    request = AssumeRoleRequest(
        arn,
        name,
        external_id=_text(form, "ExternalId", 2, quotas.EXTERNAL_ID_CHARACTERS, _EXTERNAL_ID),
        seconds=read_seconds(form, quotas.MAXIMUM_MAX_SESSION_SECONDS),
        serial_number=_text(form, "SerialNumber", 9, 256, _SERIAL),
        token_code=_text(form, "TokenCode", 6, 6, _TOKEN),
        tags=tags,
        transitive=transitive,
        source_identity=_text(form, "SourceIdentity", 2, 64, _NAME),
        policy=_policy(form),
        policy_arns=_policy_arns(form),
    )
    _check_arn(arn)
    return request


def read_seconds(form: Form, maximum: int) -> int | None:
    """DurationSeconds within 900 and `maximum`, None when it is left open."""
    text = form.get("DurationSeconds")
    if text is None:
        return None
    if not text.isdecimal():
        raise AwsRefusalError("MalformedInput", f"{text} is not a whole number of seconds")
    seconds = int(text)
    if seconds < MINIMUM_SECONDS:
        raise unconstrained("durationSeconds", seconds, f"have value greater than or equal to {MINIMUM_SECONDS}")
    if seconds > maximum:
        raise unconstrained("durationSeconds", seconds, f"have value less than or equal to {maximum}")
    return seconds


def read_mfa(form: Form) -> tuple[str | None, str | None]:
    """Serial number and one-time code, each None when it is not said."""
    return _text(form, "SerialNumber", 9, 256, _SERIAL), _text(form, "TokenCode", 6, 6, _TOKEN)


def read_tags(form: Form) -> tuple[dict[str, str], tuple[str, ...]]:
    """Session tags and the keys of those that are handed on."""
    keys = members(form, "Tags", "Key")
    values = members(form, "Tags", "Value")
    if len(keys) > quotas.TAGS:
        raise unconstrained("tags", f"[{len(keys)} tags]", f"have length less than or equal to {quotas.TAGS}")
    for key in keys:
        _within("tags.key", key, 1, 128, _TAG)
        if key.lower().startswith("aws:"):
            raise AwsRefusalError("InvalidParameterValue", "Tag keys may not begin with aws:, which AWS keeps to itself")
    for value in values:
        _within("tags.value", value, 0, 256, _TAG)
    if len({key.lower() for key in keys}) < len(keys):
        raise AwsRefusalError(
            "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    transitive = tuple(members(form, "TransitiveTagKeys"))
    if {key.lower() for key in transitive} - {key.lower() for key in keys}:
        raise AwsRefusalError(
            "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."
        )
    return dict(zip(keys, values, strict=True)), transitive


def members(form: Form, name: str, part: str = "") -> Sequence[str]:
    """The values of a list parameter in their order: `NAME.member.N` or `NAME.member.N.PART`."""
    found: list[str] = []
    tail = f".{part}" if part else ""
    while (value := form.get(f"{name}.member.{len(found) + 1}{tail}")) is not None:
        found.append(value)
    return found


def _policy(form: Form) -> PolicyDocument | None:
    text = form.get("Policy")
    if text is None:
        return None
    if not text or len(text) > SESSION_POLICY_CHARACTERS:
        bound = f"less than or equal to {SESSION_POLICY_CHARACTERS}" if text else "greater than or equal to 1"
        raise unconstrained("policy", text, f"have length {bound}")
    return check_identity_document(text)


def _policy_arns(form: Form) -> tuple[str, ...]:
    arns = members(form, "PolicyArns", "arn")
    if len(arns) > SESSION_POLICY_ARNS:
        raise unconstrained("policyArns", f"[{len(arns)} ARNs]", f"have length less than or equal to {SESSION_POLICY_ARNS}")
    return tuple(arns)


def _check_arn(arn: str) -> None:
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "iam" or parsed.partition not in PARTITIONS:
        raise invalid("Request ARN is invalid")
    if parsed.region or not _ACCOUNT.fullmatch(parsed.account_id) or parsed.kind != "role" or not parsed.name:
        raise invalid(f"{arn} is invalid")


def _text(form: Form, name: str, least: int, most: int, pattern: re.Pattern[str] | None) -> str | None:
    value = form.get(name)
    if value is not None:
        _within(name[0].lower() + name[1:], value, least, most, pattern)
    return value


def _within(name: str, value: str, least: int, most: int, pattern: re.Pattern[str] | None) -> None:
    if pattern is not None and not pattern.fullmatch(value):
        raise unconstrained(name, value, f"satisfy regular expression pattern: {pattern.pattern}")
    if len(value) < least:
        raise unconstrained(name, value, f"have length greater than or equal to {least}")
    if len(value) > most:
        raise unconstrained(name, value, f"have length less than or equal to {most}")
