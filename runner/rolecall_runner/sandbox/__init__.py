"""The sandbox: AWS accounts on this machine, on top of moto, with the evaluator's decisions in STS and IAM."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_runner.sandbox.protocol.aws_protocol import OPERATOR_KEY, OPERATOR_ROLE
    from rolecall_runner.sandbox.provisioning.provision import (
        UPSTREAM_ERRORS,
        AdminClient,
        provision,
        remove_added,
        split_by_account,
    )
    from rolecall_runner.sandbox.provisioning.seed import (
        actor_environment,
        iam_limits,
        in_process_sandbox,
        placeholder_note,
        placeholder_policies,
        placeholder_principals,
    )
    from rolecall_runner.sandbox.server.server import Sandbox
    from rolecall_runner.sandbox.server.state_dir import (
        OPERATOR,
        OPERATOR_VARIABLE,
        RunningSandbox,
        SandboxRequest,
        StateDir,
        actor_environments,
        find_sandbox,
        operator_secret,
        start_sandbox,
        stop_sandbox,
    )

__all__ = [
    "OPERATOR",
    "OPERATOR_KEY",
    "OPERATOR_ROLE",
    "OPERATOR_VARIABLE",
    "UPSTREAM_ERRORS",
    "AdminClient",
    "RunningSandbox",
    "Sandbox",
    "SandboxRequest",
    "StateDir",
    "actor_environment",
    "actor_environments",
    "find_sandbox",
    "iam_limits",
    "in_process_sandbox",
    "operator_secret",
    "placeholder_note",
    "placeholder_policies",
    "placeholder_principals",
    "provision",
    "remove_added",
    "split_by_account",
    "start_sandbox",
    "stop_sandbox",
]

__getattr__ = lazy_getattr(__name__)
