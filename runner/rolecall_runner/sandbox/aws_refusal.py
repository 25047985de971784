"""A refusal on its way to the caller, as AWS would word it."""

from __future__ import annotations

BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, NOT_OFFERED = 400, 403, 404, 409, 501


class AwsRefusalError(Exception):
    """One call is refused; the gate turns it into a reply in the protocol of the service, so no user sees this."""

    def __init__(self, code: str, message: str, status: int = BAD_REQUEST) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


def invalid(message: str) -> AwsRefusalError:
    """A parameter is wrong (ValidationError, HTTP 400)."""
    return AwsRefusalError("ValidationError", message)


def unconstrained(name: str, value: object, constraint: str) -> AwsRefusalError:
    """A parameter breaks a constraint of the service model; `constraint` goes on after `Member must `."""
    return invalid(
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must {constraint}"
    )


def denied(message: str) -> AwsRefusalError:
    """Not allowed (AccessDenied, HTTP 403)."""
    return AwsRefusalError("AccessDenied", message, FORBIDDEN)
