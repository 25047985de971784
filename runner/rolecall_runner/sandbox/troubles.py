"""The troubles that every service knows, each by the code, text and HTTP status of its dialect.

Sources: "Common errors" of the IAM, STS, DynamoDB and Lambda API references, "Error codes for the Amazon EC2 API", "Error
responses" of the S3 API reference; November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from rolecall_runner.sandbox.replies import CBOR, EC2, JSON, QUERY, REST_JSON, REST_XML, S3, dialect, refusal
from rolecall_runner.sandbox.wire import ApiCall, HttpReply

_Answer = tuple[str, int, str]
"""Code, HTTP status, the usual text."""


class Trouble(StrEnum):
    """What is wrong with a call, whatever the service."""

    UNKNOWN_KEY = "unknown-key"
    EXPIRED_TOKEN = "expired-token"  # noqa: S105 - a name, no token
    BAD_SIGNATURE = "bad-signature"
    UNSIGNED = "unsigned"
    SKEWED_CLOCK = "skewed-clock"
    DENIED = "denied"
    THROTTLED = "throttled"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    REGION_DISABLED = "region-disabled"
    UNSUPPORTED = "unsupported"


UNSUPPORTED_CODE = "SandboxUnsupported"
_INVALID = "The security token included in the request is invalid."
_NO_KEY = "The AWS Access Key Id you provided does not exist in our records."
_EXPIRED = "The security token included in the request is expired"
_NOT_VALIDATED = "AWS was not able to validate the provided access credentials"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)
_MISSING = "Request is missing Authentication Token"
_INTERNAL = "The request processing has failed because of an unknown error, exception or failure."
_UNAVAILABLE = "Service is unable to handle request."
_UNSUPPORTED = "The sandbox does not offer this."
_SKEWED_S3 = "The difference between the request time and the current time is too large."

_QUERY_ANSWERS: Mapping[Trouble, _Answer] = {
    Trouble.UNKNOWN_KEY: ("InvalidClientTokenId", 403, _INVALID),
    Trouble.EXPIRED_TOKEN: ("ExpiredToken", 403, _EXPIRED),
    Trouble.BAD_SIGNATURE: ("SignatureDoesNotMatch", 403, _MISMATCH),
    Trouble.UNSIGNED: ("MissingAuthenticationToken", 403, _MISSING),
    Trouble.SKEWED_CLOCK: ("SignatureDoesNotMatch", 403, "Signature expired"),
    Trouble.DENIED: ("AccessDenied", 403, "Access Denied"),
    Trouble.THROTTLED: ("Throttling", 400, "Rate exceeded"),
    Trouble.INTERNAL: ("InternalFailure", 500, _INTERNAL),
    Trouble.UNAVAILABLE: ("ServiceUnavailable", 503, _UNAVAILABLE),
    Trouble.REGION_DISABLED: ("InvalidClientTokenId", 403, _INVALID),
    Trouble.UNSUPPORTED: (UNSUPPORTED_CODE, 501, _UNSUPPORTED),
}
_JSON_ANSWERS: Mapping[Trouble, _Answer] = {
    **_QUERY_ANSWERS,
    Trouble.UNKNOWN_KEY: ("UnrecognizedClientException", 400, _INVALID),
    Trouble.EXPIRED_TOKEN: ("ExpiredTokenException", 400, _EXPIRED),
    Trouble.BAD_SIGNATURE: ("InvalidSignatureException", 400, _MISMATCH),
    Trouble.UNSIGNED: ("MissingAuthenticationTokenException", 400, _MISSING),
    Trouble.SKEWED_CLOCK: ("InvalidSignatureException", 400, "Signature expired"),
    Trouble.DENIED: ("AccessDeniedException", 400, "Access Denied"),
    Trouble.THROTTLED: ("ThrottlingException", 400, "Rate exceeded"),
    Trouble.UNAVAILABLE: ("ServiceUnavailableException", 503, _UNAVAILABLE),
    Trouble.REGION_DISABLED: ("UnrecognizedClientException", 400, _INVALID),
}
_REST_JSON_ANSWERS: Mapping[Trouble, _Answer] = {
    trouble: (code, 403 if status == 400 else status, text)  # noqa: PLR2004 - HTTP's own numbers
    for trouble, (code, status, text) in _JSON_ANSWERS.items()
} | {Trouble.THROTTLED: ("ThrottlingException", 429, "Rate exceeded")}
_EC2_ANSWERS: Mapping[Trouble, _Answer] = {
    **_QUERY_ANSWERS,
    Trouble.UNKNOWN_KEY: ("AuthFailure", 401, _NOT_VALIDATED),
    Trouble.EXPIRED_TOKEN: ("RequestExpired", 400, "Request has expired."),
    Trouble.BAD_SIGNATURE: ("AuthFailure", 401, _NOT_VALIDATED),
    Trouble.SKEWED_CLOCK: ("RequestExpired", 400, "Request has expired."),
    Trouble.DENIED: ("UnauthorizedOperation", 403, "You are not authorized to perform this operation."),
    Trouble.THROTTLED: ("RequestLimitExceeded", 503, "Request limit exceeded."),
    Trouble.INTERNAL: ("InternalError", 500, "An internal error has occurred"),
    Trouble.UNAVAILABLE: ("Unavailable", 503, "The service is unavailable. Please try again shortly."),
    Trouble.REGION_DISABLED: ("AuthFailure", 401, _NOT_VALIDATED),
}
_S3_ANSWERS: Mapping[Trouble, _Answer] = {
    **_QUERY_ANSWERS,
    Trouble.UNKNOWN_KEY: (
        "InvalidAccessKeyId", 403, _NO_KEY,
    ),
    Trouble.EXPIRED_TOKEN: ("ExpiredToken", 400, "The provided token has expired."),
    Trouble.UNSIGNED: ("AccessDenied", 403, "Access Denied"),
    Trouble.SKEWED_CLOCK: ("RequestTimeTooSkewed", 403, _SKEWED_S3),
    Trouble.THROTTLED: ("SlowDown", 503, "Please reduce your request rate."),
    Trouble.INTERNAL: ("InternalError", 500, "We encountered an internal error. Please try again."),
    Trouble.UNAVAILABLE: ("ServiceUnavailable", 503, "Please reduce your request rate."),
    Trouble.REGION_DISABLED: ("InvalidAccessKeyId", 403, _NO_KEY),
}  # fmt: skip
_ANSWERS: Mapping[str, Mapping[Trouble, _Answer]] = {
    QUERY: _QUERY_ANSWERS,
    REST_XML: _QUERY_ANSWERS,
    EC2: _EC2_ANSWERS,
    JSON: _JSON_ANSWERS,
    CBOR: _JSON_ANSWERS,
    REST_JSON: _REST_JSON_ANSWERS,
    S3: _S3_ANSWERS,
}
_OF_SERVICES: Mapping[tuple[str, Trouble], tuple[str, int]] = {
    ("dynamodb", Trouble.INTERNAL): ("InternalServerError", 500),
    ("kms", Trouble.INTERNAL): ("KMSInternalException", 500),
    ("lambda", Trouble.THROTTLED): ("TooManyRequestsException", 429),
    ("lambda", Trouble.INTERNAL): ("ServiceException", 500),
    ("rds", Trouble.INTERNAL): ("InternalFailure", 500),
    ("secretsmanager", Trouble.INTERNAL): ("InternalServiceError", 500),
    ("sns", Trouble.DENIED): ("AuthorizationError", 403),
    ("sts", Trouble.REGION_DISABLED): ("RegionDisabledException", 403),
}
"""Services whose own error lists (their botocore models, 1.44.5) name another code."""


def answer(call: ApiCall, trouble: Trouble) -> _Answer:
    """Code, HTTP status and usual text of a trouble in the dialect of the call's service."""
    code, status, text = _ANSWERS[dialect(call)][trouble]
    own = _OF_SERVICES.get((call.service, trouble))
    return (*own, text) if own else (code, status, text)


def refuse(call: ApiCall, trouble: Trouble, request_id: str, message: str | None = None) -> HttpReply:
    """The reply for a trouble; `message` in place of the usual text."""
    code, status, text = answer(call, trouble)
    return refusal(call, code, message or text, status, request_id)


def refuse_unread(form: str, trouble: Trouble, request_id: str, message: str | None = None) -> HttpReply:
    """As `refuse` for a request that could not be read as a call: `form` is the dialect that it seems to speak."""
    code, status, text = _ANSWERS[form][trouble]
    return refusal(form, code, message or text, status, request_id)
