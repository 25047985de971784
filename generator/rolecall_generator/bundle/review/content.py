"""The content of a security review, independent of the output format, with the proof's results in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.bundle.review.phrases import (
    GrantDescription,
    Phrase,
    PhraseValue,
    RevocationMethod,
    document_text,
    documents_of,
    format_phrase,
    grants_of,
    join_phrases,
    join_sentences,
    revocation_methods,
    session,
    session_actions,
    trust_conditions,
    trusted_principals,
)
from rolecall_generator.iam import Arn, Group, ManagedPolicy, Module, ModuleKind, Role, SwitchRoleDetails, User
from rolecall_generator.iam.evaluation import identity_of
from rolecall_generator.proof import (
    Case,
    Cell,
    Proof,
    RoleRow,
    RoleState,
    TrustChange,
    counterexample_sentences,
    role_sentences,
    role_state,
    trust_deviations,
)
from rolecall_generator.reports.graph import Graph, access_graph
from rolecall_generator.text import pluralize


@dataclass(frozen=True, slots=True)
class Fact:
    """A row of the table at the top."""

    label: str
    value: Phrase


@dataclass(frozen=True, slots=True)
class ReviewDocument:
    """A policy document: title and AWS's JSON."""

    title: Phrase
    text: str


@dataclass(frozen=True, slots=True)
class Review:
    """A security review. `graph` has no edges if no one is trusted."""

    title: Phrase
    lead: Phrase
    source: str
    facts: tuple[Fact, ...]
    grants: tuple[GrantDescription, ...]
    verdict: ProofSummary
    graph: Graph
    revocations: tuple[RevocationMethod, ...]
    documents: tuple[ReviewDocument, ...]


_EXTERNAL_ID_NOTE = format_phrase(
    "It is not a secret. It prevents others from tricking the vendor into using this role for them."
)


def review_of(handover: Handover) -> Review:
    """The review of a module."""
    module = handover.module
    owners: tuple[Role | Group, ...] = (*module.access.roles.values(), *module.access.groups.values())
    trusts = [
        (format_phrase("Trust policy of {}", role.arn), role.trust)
        for role in module.access.roles.values()
        if role.trust is not None
    ]
    return Review(
        title=_title(module),
        lead=_lead(module),
        source=handover.source,
        facts=tuple(_facts(module)),
        grants=tuple(grant for owner in owners for grant in grants_of(owner, module.access)),
        verdict=proof_summary(handover.proof),
        graph=access_graph(module.access, handover.proof if handover.proof.cells else None, _names(module)),
        revocations=revocation_methods(module),
        documents=tuple(
            ReviewDocument(title, document_text(document))
            for title, document in (*trusts, *documents_of(owners, module.access))
        ),
    )


def _title(module: Module) -> Phrase:
    here = format_phrase("account {} ({})", module.account.account_id, module.account.name)
    if module.kind is ModuleKind.CUSTOMER:
        return format_phrase("Access to {}", here)
    switch = _switch_role(module)
    sides = (format_phrase("account {} ({})", side.account_id, side.name) for side in (switch.trusted, switch.trusting))
    return format_phrase("Access from {} to {}", *sides)


def _names(module: Module) -> Mapping[str, str]:
    """Display names of the accounts that occur in this module, by account ID."""
    names = {module.account.account_id: module.account.name}
    if module.customer is not None:
        backend = Arn.parse(module.customer.backend_role_arn)
        return names | ({backend.account_id: "vendor"} if backend is not None else {})
    switch = _switch_role(module)
    return names | {account.account_id: account.name for account in (switch.trusting, switch.trusted)}


def _switch_role(module: Module) -> SwitchRoleDetails:
    """Details of a switch role's module. Raises ValueError for a module without them, which the planner never makes."""
    if module.switch_role is None:
        raise ValueError(f"{module.path} is not the module of a switch role")
    return module.switch_role


def _lead(module: Module) -> Phrase:
    created = _created(module)
    if module.customer is not None:
        account = Arn.parse(module.customer.backend_role_arn)
        vendor = account.account_id if account is not None else ""
        return format_phrase(f"{created} for the vendor, account {{}}. No user, access key or password is created.", vendor)
    switch = _switch_role(module)
    if module.kind is ModuleKind.TRUSTING:
        people = switch.trusted
        return format_phrase(f"{created}. Users of account {{}} ({{}}) switch to the role.", people.account_id, people.name)
    if not created and switch.keeper != switch.name:
        pattern = (
            "Nothing is created for this switch role: group {} and its users are shared and belong to the module of {}."
        )
        return format_phrase(pattern, switch.group, switch.keeper)
    if not created:
        return format_phrase(
            "Nothing is created in this account: group and users are in account {}.", switch.trusting.account_id
        )
    trusting, targets = switch.trusting, switch.targets
    if len(targets) > 1:
        return format_phrase(f"{created}. Members of the group switch to {{}}.", join_phrases(targets))
    pattern = f"{created}. Members of the group switch to {{}} of account {{}} ({{}})."
    return format_phrase(pattern, switch.role.arn, trusting.account_id, trusting.name)


def _created(module: Module) -> str:
    """Counts of what the module creates: `1 role and 2 policies`."""
    access = module.access
    parts = (
        (len(access.roles), "role", "roles"),
        (sum(not group.existing for group in access.groups.values()), "group", "groups"),
        (sum(not user.existing for user in access.users.values()), "user", "users"),
        (len(access.policies), "policy", "policies"),
    )
    return str(join_phrases(f"{count:,} {one if count == 1 else many}" for count, one, many in parts if count))


def _facts(module: Module) -> list[Fact]:
    access = module.access
    found = [fact for role in access.roles.values() for fact in _role(module, role)]
    for group in access.groups.values():
        pattern = "{} (already exists; a policy is attached)" if group.existing else "{}"
        found.append(Fact("Group", format_phrase(pattern, group.arn)))
    if access.users:
        found.append(Fact("Users", _users(access.users.values())))
    if module.kind is not ModuleKind.CUSTOMER and not access.roles:
        found += _switch(module)
    found += [Fact("Policy", format_phrase("{}, created with it", arn)) for arn in access.policies]
    tags = _tags(module)
    if tags:
        found.append(Fact("Tags", join_phrases(format_phrase("{} = {}", key, value) for key, value in sorted(tags.items()))))
    return found


def _tags(module: Module) -> Mapping[str, str]:
    """Tags of the created resources, which are the same for all of them."""
    tagged: tuple[Role | User | ManagedPolicy, ...] = (
        *module.access.roles.values(),
        *module.access.users.values(),
        *module.access.policies.values(),
    )
    return next((part.tags for part in tagged if part.tags), {})


def _role(module: Module, role: Role) -> list[Fact]:
    customer = module.customer
    callers = [customer.backend_role_arn] if customer is not None else []
    additional = session_actions(role)
    people = [] if customer is not None else _people(_switch_role(module))
    return [
        Fact("Role", format_phrase("{}", role.arn)),
        Fact("Who may assume it", join_sentences([trusted_principals(role), *people])),
        Fact(
            "On which condition",
            join_sentences([trust_conditions(role), additional] if additional else [trust_conditions(role)]),
        ),
        *([Fact("Why an external ID", _EXTERNAL_ID_NOTE)] if customer is not None and customer.external_ids else []),
        Fact("Session", session(role, callers)),
        Fact("Permissions boundary", format_phrase("{}", role.boundary) if role.boundary else Phrase(("None.",))),
    ]


def _people(switch: SwitchRoleDetails) -> list[Phrase]:
    """The users who are intended to switch, if the trust policy trusts a whole account."""
    users = join_phrases(map(_user_name, switch.users))
    return [format_phrase("Intended: {} of account {}.", users, switch.home.account_id)] if switch.users else []


def _switch(module: Module) -> list[Fact]:
    switch = _switch_role(module)
    targets = switch.targets if module.access.groups else (switch.role.arn,)
    roles = [Fact("Role they switch to", format_phrase("{}", target)) for target in targets]
    if len(targets) > 1:
        return [
            *roles,
            Fact("On which condition", Phrase(("See the review of each role.",))),
        ]
    condition = "Signed in with MFA." if switch.require_mfa else "None: MFA is not required."
    return [*roles, Fact("On which condition", Phrase((condition,))), Fact("Session", session(switch.role))]


def _users(users: Iterable[User]) -> Phrase:
    """Users grouped by what is created for them, with their paths."""
    kinds: dict[str, list[str]] = {}
    for user in users:
        kinds.setdefault(_kind(user), []).append(_user_name(user.arn))
    return join_phrases((format_phrase(f"{{}} {kind}", join_phrases(names)) for kind, names in kinds.items()), ";")


def _kind(user: User) -> str:
    if user.existing:
        return "(already exists, is added to the group)"
    return "with a first console password, to be changed at sign-in" if user.console_password else "without a password"


def _user_name(arn: str) -> str:
    """A user's path and name, as in `staff/ann`."""
    parsed = Arn.parse(arn)
    return parsed.resource.partition("/")[2] if parsed is not None else arn


_REQUESTS = {
    Case.INTENDED: "The intended caller, with all conditions met",
    Case.NO_EXTERNAL_ID: "The intended caller without an external ID",
    Case.OTHER_EXTERNAL_ID: "The intended caller with another external ID",
    Case.NO_MFA: "A user of the trusted account with access keys, without MFA",
    Case.MFA_FALSE: "A user of the trusted account, signed in without MFA",
    Case.OTHER_PRINCIPAL: "Another principal of the caller's account",
    Case.OTHER_ACCOUNT: "The same name in another account",
    Case.UNRELATED_ACCOUNT: "Any unrelated account",
    Case.OTHER_USER: "Another user",
    Case.OTHER: "Any other request",
}

_SHOWN = 5
"""Maximum number of counterexamples."""


@dataclass(frozen=True, slots=True)
class ProofRow:
    """The checks of one kind of request. `state` is ok, failed, or delegated (the caller's account decides, as intended)."""

    request: str
    requests: int
    outcome: Phrase
    state: str


@dataclass(frozen=True, slots=True)
class RoleStatement:
    """That a role allows exactly the intended requests, or a set of requests in which it differs, with details in lines."""

    sentence: Phrase
    lines: tuple[Phrase, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, (self.sentence, *self.lines)))


@dataclass(frozen=True, slots=True)
class ProofSummary:
    """The result of the proof. `state` is good, bad, or none if there was nothing to prove.

    `roles`: for each role whether it allows exactly the intended requests.
    """

    state: str
    summary: str
    rows: tuple[ProofRow, ...] = ()
    failures: tuple[Phrase, ...] = ()
    roles: tuple[RoleStatement, ...] = ()


NOTE = (
    "The trust policy was compared with the intended trust over all requests: every caller, external ID, session name, tag "
    "and other condition key. Requests that must be refused assume the worst case: the caller's own account allows "
    "everything. Each row covers every request of its kind."
)
"""The method of the proof."""


def proof_summary(proof: Proof) -> ProofSummary:
    """Summarize the proof of one module."""
    if not proof.cells:
        return ProofSummary("none", "Nothing to prove: the module creates no role.")
    by_case = {case: [cell for cell in proof.cells if cell.case is case] for case in Case}
    rows = tuple(_row(case, cells) for case, cells in by_case.items() if cells)
    total, wrong, delegated = len(proof.cells), len(proof.failures), len(proof.delegated)
    roles = tuple(_role_statements(proof))
    if wrong:
        summary = f"Not as intended: {wrong:,} of {pluralize(total, 'access check')} had a different result."
        return ProofSummary("bad", summary, rows, _failures(proof.rows), roles)
    others = f"; {delegated:,} decided by the caller's account, as intended" if delegated else ""
    passed = f"{total - delegated:,} of {pluralize(total, 'access check')} passed{others}."
    return ProofSummary("good", f"Proven: {passed}", rows, (), roles)


def _role_statements(proof: Proof) -> Iterable[RoleStatement]:
    """For each role, that it allows exactly the intended requests, or the sets of requests in which it differs."""
    deviations = {change.role_arn: change for change in trust_deviations(proof)}
    for role in proof.roles:
        change = deviations.get(role.role_arn)
        if role_state(role) is RoleState.EXACT:
            yield RoleStatement(format_phrase("{} allows exactly the intended requests.", role.role_arn))
        elif change is None or change.is_equivalent:
            for sentence, _ in role_sentences(role):
                yield RoleStatement(Phrase((PhraseValue(role.role_arn), ": ", PhraseValue(sentence, prose=True), ".")))
        else:
            yield from _deviations(change)


def _deviations(change: TrustChange) -> Iterable[RoleStatement]:
    """A statement for each set of requests that is allowed and not intended, or the reverse, with an example."""
    for verb, unsure, kind, sets in (
        ("allows", "may allow", "not intended", change.widens),
        ("does not allow", "may not allow", "intended", change.narrows),
    ):
        for found in sets:
            claim = f"{{}} {verb if found.is_certain else unsure} requests that are {kind}: {found.action}"
            lines = [Phrase((PhraseValue(condition, prose=True),)) for condition in found.conditions]
            lines += [Phrase(("not known: ", PhraseValue(reason, prose=True))) for reason in found.reasons]
            if found.witness is not None:
                remarks = PhraseValue(" ".join(found.witness.remarks), prose=True)
                lines.append(Phrase(("example: ", PhraseValue(found.witness.shell_command), " ", remarks)))
            yield RoleStatement(format_phrase(claim, change.role_arn), tuple(lines))
    if change.reasons:
        lines = [Phrase((PhraseValue(reason, prose=True),)) for reason in change.reasons]
        yield RoleStatement(format_phrase("{} may allow more or fewer requests than these:", change.role_arn), tuple(lines))


def _row(case: Case, cells: list[Cell]) -> ProofRow:
    failed = [cell for cell in cells if cell.failed]
    delegated = [cell for cell in cells if cell.delegated]
    if failed:
        outcome, state = Phrase((f"{len(failed):,} not as intended",)), "failed"
    elif delegated:
        accounts = dict.fromkeys(identity_of(cell.caller).account_id for cell in delegated)
        outcome, state = format_phrase("decided by account {}", join_phrases(accounts)), "delegated"
    else:
        outcome, state = Phrase(("allowed" if cells[0].expected else "refused",)), "ok"
    return ProofRow(_REQUESTS[case], len(cells), outcome, state)


def _failures(rows: Iterable[RoleRow]) -> tuple[Phrase, ...]:
    sentences = (counterexample_sentences(cell, row.role_arn) for row in rows for cell in row.failures)
    found = [Phrase((PhraseValue(" ".join(each), prose=True),)) for each in sentences]
    remaining = len(found) - _SHOWN
    return (
        *found[:_SHOWN],
        *([Phrase((f"{pluralize(remaining, 'more access check')} had a different result.",))] if remaining > 0 else []),
    )
