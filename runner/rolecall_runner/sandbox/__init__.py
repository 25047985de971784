"""The sandbox: AWS accounts on this machine, on top of moto, with the evaluator's decisions in STS and IAM."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.sandbox.in_process import embedded
    from rolecall_runner.sandbox.provisioning.admin_client import AdminClient
    from rolecall_runner.sandbox.provisioning.provision import UPSTREAM_ERRORS, by_account, provision, withdraw
    from rolecall_runner.sandbox.provisioning.seed import (
        bare_principals,
        environment_of,
        limits_of,
        note_on,
        placeholder_policies,
    )
    from rolecall_runner.sandbox.server.server import Sandbox
    from rolecall_runner.sandbox.server.state_dir import (
        OPERATOR,
        OPERATOR_VARIABLE,
        Home,
        Running,
        SandboxRequest,
        environments,
        find,
        operator_secret,
        start,
        stop,
    )
    from rolecall_runner.sandbox.sts.sandbox_sessions import OPERATOR_KEY, OPERATOR_ROLE

__all__ = [
    "OPERATOR",
    "OPERATOR_KEY",
    "OPERATOR_ROLE",
    "OPERATOR_VARIABLE",
    "UPSTREAM_ERRORS",
    "AdminClient",
    "Home",
    "Running",
    "Sandbox",
    "SandboxRequest",
    "bare_principals",
    "by_account",
    "embedded",
    "environment_of",
    "environments",
    "find",
    "limits_of",
    "note_on",
    "operator_secret",
    "placeholder_policies",
    "provision",
    "start",
    "stop",
    "withdraw",
]

__getattr__ = exports(
    __name__,
    {
        "in_process": ("embedded",),
        "provisioning.admin_client": ("AdminClient",),
        "provisioning.provision": (
            "UPSTREAM_ERRORS",
            "by_account",
            "provision",
            "withdraw",
        ),
        "provisioning.seed": (
            "bare_principals",
            "environment_of",
            "limits_of",
            "note_on",
            "placeholder_policies",
        ),
        "server.server": ("Sandbox",),
        "server.state_dir": (
            "Home",
            "OPERATOR",
            "OPERATOR_VARIABLE",
            "Running",
            "SandboxRequest",
            "environments",
            "find",
            "operator_secret",
            "start",
            "stop",
        ),
        "sts.sandbox_sessions": (
            "OPERATOR_KEY",
            "OPERATOR_ROLE",
        ),
    },
)
