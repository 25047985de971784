"""The intended trust of a role as a policy document, so that intent and trust policy are compared as two documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rolecall_generator.iam import Condition, PolicyDocument, Principal, Statement, root_arn
from rolecall_generator.iam.evaluation import FEDERATED_ASSUME, PrincipalKind, identity_of
from rolecall_generator.proof.symbolic.keys import is_service
from rolecall_generator.proof.symbolic.policies import SET_SOURCE_IDENTITY, TAG_SESSION


@dataclass(frozen=True, slots=True)
class TrustIntent:
    """One intended trust: who may assume the role, under which requirements.

    `callers` are ARNs of users and roles, or names of services and identity providers. `external_ids`: each of them is
    accepted, none is required if empty. `delegates_to` are IDs of accounts that decide which of their principals may assume
    the role. `session_tags` and `source_identity`: callers may pass them.
    """

    role_arn: str
    callers: tuple[str, ...] = ()
    external_ids: tuple[str, ...] = ()
    requires_mfa: bool = False
    delegates_to: frozenset[str] = frozenset()
    session_tags: bool = False
    source_identity: bool = False


def intent_document(intents: Iterable[TrustIntent]) -> PolicyDocument:
    """The trust policy that allows exactly what is intended for one role: one statement for each external ID."""
    statements: list[Statement] = []
    for intent in intents:
        companions = [TAG_SESSION] * intent.session_tags + [SET_SOURCE_IDENTITY] * intent.source_identity
        mfa = [Condition("Bool", "aws:MultiFactorAuthPresent", ("true",))] * intent.requires_mfa
        for action, principals in _principals(intent).items():
            for external_id in intent.external_ids or (None,):
                ids = [] if external_id is None else [Condition("StringEquals", "sts:ExternalId", (external_id,))]
                statements.append(
                    Statement(
                        "Allow",
                        (action, *companions),
                        principals=tuple(principals),
                        conditions=(*ids, *mfa),
                    )
                )
    return PolicyDocument(tuple(statements))


def _principals(intent: TrustIntent) -> dict[str, list[Principal]]:
    """The principals by the operation that they use."""
    found: dict[str, list[Principal]] = {}
    for caller in intent.callers:
        if identity_of(caller).kind is not PrincipalKind.EXTERNAL:
            found.setdefault("sts:AssumeRole", []).append(Principal("AWS", caller))
        elif is_service(caller):
            found.setdefault("sts:AssumeRole", []).append(Principal("Service", caller))
        else:
            operation = FEDERATED_ASSUME[0] if ":saml-provider/" in caller else FEDERATED_ASSUME[1]
            found.setdefault(operation, []).append(Principal("Federated", caller))
    partition = intent.role_arn.split(":")[1]
    for account in sorted(intent.delegates_to):
        found.setdefault("sts:AssumeRole", []).append(Principal("AWS", root_arn(partition, account)))
    return found
