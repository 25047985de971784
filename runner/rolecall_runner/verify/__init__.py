"""Verifying live roles: checks, causes and messages."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.verify.access_snapshot import decode_access, encode_access
    from rolecall_runner.verify.causes import OWN_SIDE
    from rolecall_runner.verify.checks import RotationState, before_applying, current_id_seen, rotation_of
    from rolecall_runner.verify.context import (
        CallMemo,
        Earlier,
        History,
        Key,
        RunConfig,
        VerifyContext,
        access_by_role,
        make_clients,
        make_context,
    )
    from rolecall_runner.verify.diagnosis import written_trust_allows
    from rolecall_runner.verify.module_changes import same_access
    from rolecall_runner.verify.newest_module import UNSEEN, read_in_full
    from rolecall_runner.verify.update_message import HELLO, THANKS, customer_message
    from rolecall_runner.verify.verdict import (
        MEANINGS,
        OLDER_MODULE,
        SIGNS,
        TROUBLES,
        Check,
        Diagnosis,
        Mark,
        Step,
        Verdict,
        label,
        said,
        shown,
        verdict_from_json,
        worst,
    )
    from rolecall_runner.verify.verify_run import RunInfo, VerifyTask, verify
    from rolecall_runner.verify.verify_spec import Actions, VerifySpec

__all__ = [
    "HELLO",
    "MEANINGS",
    "OLDER_MODULE",
    "OWN_SIDE",
    "SIGNS",
    "THANKS",
    "TROUBLES",
    "UNSEEN",
    "Actions",
    "CallMemo",
    "Check",
    "Diagnosis",
    "Earlier",
    "History",
    "Key",
    "Mark",
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
    "current_id_seen",
    "customer_message",
    "decode_access",
    "encode_access",
    "label",
    "make_clients",
    "make_context",
    "read_in_full",
    "rotation_of",
    "said",
    "same_access",
    "shown",
    "verdict_from_json",
    "verify",
    "worst",
    "written_trust_allows",
]

__getattr__ = exports(
    __name__,
    {
        "access_snapshot": (
            "decode_access",
            "encode_access",
        ),
        "causes": ("OWN_SIDE",),
        "checks": (
            "RotationState",
            "before_applying",
            "current_id_seen",
            "rotation_of",
        ),
        "context": (
            "CallMemo",
            "Earlier",
            "History",
            "Key",
            "RunConfig",
            "VerifyContext",
            "access_by_role",
            "make_clients",
            "make_context",
        ),
        "diagnosis": ("written_trust_allows",),
        "module_changes": ("same_access",),
        "newest_module": (
            "UNSEEN",
            "read_in_full",
        ),
        "update_message": (
            "HELLO",
            "THANKS",
            "customer_message",
        ),
        "verdict": (
            "Diagnosis",
            "MEANINGS",
            "Mark",
            "OLDER_MODULE",
            "Check",
            "SIGNS",
            "Step",
            "TROUBLES",
            "Verdict",
            "label",
            "said",
            "shown",
            "verdict_from_json",
            "worst",
        ),
        "verify_run": (
            "RunInfo",
            "VerifyTask",
            "verify",
        ),
        "verify_spec": (
            "Actions",
            "VerifySpec",
        ),
    },
)
