"""Verifying live roles: checks, likely causes and messages to customers."""

from rolecall_runner.verify.causes import CAUSES, refused_by_own_side
from rolecall_runner.verify.context import (
    Actions,
    EarlierModule,
    ModuleHistory,
    RunConfig,
    VerifyContext,
    VerifySpec,
    access_by_role,
    before_applying,
    decode_access,
    encode_access,
)
from rolecall_runner.verify.customer_message import customer_message, join_message
from rolecall_runner.verify.diagnosis import written_trust_policy_allows
from rolecall_runner.verify.explanation import explain
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, RotationState, Step, Verdict
from rolecall_runner.verify.verify_target import RunInfo, VerifyTask, verify

__all__ = [
    "CAUSES",
    "Actions",
    "Check",
    "Diagnosis",
    "EarlierModule",
    "Mark",
    "ModuleHistory",
    "RotationState",
    "RunConfig",
    "RunInfo",
    "Step",
    "Verdict",
    "VerifyContext",
    "VerifySpec",
    "VerifyTask",
    "access_by_role",
    "before_applying",
    "customer_message",
    "decode_access",
    "encode_access",
    "explain",
    "join_message",
    "refused_by_own_side",
    "verify",
    "written_trust_policy_allows",
]
