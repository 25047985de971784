"""Compares written modules with the plan, reads their access, and proves them for `gen prove`.

Many modules are compared in several processes; modules with a cached result are skipped. Each worker process loads the
manifest and plans it, because sending the plan to the workers would take longer. It returns verdicts only for modules that
are not as planned. The access is that of the written or of the planned modules; the intended trust is derived from the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rolecall_generator.errors import ModuleError, OutputError
from rolecall_generator.findings import ACCESS_DIFFERENCE, NOT_WRITTEN, Finding
from rolecall_generator.iam import Access, Module, ModuleKind, PolicyDocument, quotas
from rolecall_generator.iam.difference import Label, labeller
from rolecall_generator.iam.evaluation import PrincipalKind, identity_of
from rolecall_generator.manifest import LoadedManifest, Read, load_manifest
from rolecall_generator.manifest.yaml_source import read_text
from rolecall_generator.output import FolderStamp, Lock, OutputState, find_unplanned, load_state, read_lock, stamp_folder
from rolecall_generator.planning import Plan, make_plan, previous_slots
from rolecall_generator.proof import Proof, Trust, access_changes, prove
from rolecall_generator.proof.symbolic import make_certificate
from rolecall_generator.terraform.parser import GUARD, UNREADABLE, find_declarations, parse_module
from rolecall_generator.workers import Pool, chunked, collection_paused, worker_count

SEQUENTIAL_LIMIT = 400
"""Up to this many modules are read in this process, because starting another one takes as long as reading them."""
_CHUNK = 128

# Larger access is reported as an error and neither compared nor proven, because the work grows with the square of the number
# of statements and principals. The quotas of AWS are far below these limits, so such a module cannot be applied.
DOCUMENT_CHARACTERS = 2 * max(quotas.ROLE_INLINE_CHARACTERS, quotas.TRUST_POLICY_CHARACTERS_MAXIMUM)
"""Maximum characters of a policy document, as AWS counts them."""
PARTS = 200
"""Maximum roles, users, groups, policies and instance profiles of a module, plus four times the intended number."""
TOTAL_CHARACTERS = 64 * 1024
"""Maximum characters of all documents of a module, unless four times the intended number is larger."""
ATTACHMENTS = 400
"""Maximum policy attachments and group memberships of a module, plus four times the intended number."""
_INTENDED_FACTOR = 4


def too_large(written: Access, intended: Access) -> str | None:
    """The reason why the written access of a module is too large to check; None if it is not."""
    parts = _count_parts(written)
    if parts > PARTS + _INTENDED_FACTOR * _count_parts(intended):
        return f"it declares {parts:,} roles, users, groups, policies and instance profiles"
    attachments = _count_attachments(written)
    if attachments > ATTACHMENTS + _INTENDED_FACTOR * _count_attachments(intended):
        return f"it attaches policies and adds users to groups {attachments:,} times"
    total = 0
    for owner, document in _policy_documents(written):
        size = document.size
        total += size
        if size > DOCUMENT_CHARACTERS:
            return f"a policy document of {owner} has {size:,} characters"
    if total > TOTAL_CHARACTERS and total > _INTENDED_FACTOR * sum(
        document.size for _, document in _policy_documents(intended)
    ):
        return f"its policy documents have {total:,} characters in all"
    return None


def _count_parts(access: Access) -> int:
    return sum(map(len, (access.roles, access.policies, access.groups, access.users, access.instance_profiles)))


def _count_attachments(access: Access) -> int:
    attached = [role.attached for role in access.roles.values()]
    attached += [group.attached for group in access.groups.values()]
    attached += [user.attached | user.groups for user in access.users.values()]
    return sum(map(len, attached))


def _policy_documents(access: Access) -> Iterator[tuple[str, PolicyDocument]]:
    for role in access.roles.values():
        if role.trust is not None:
            yield role.arn, role.trust
    holders: Iterable[tuple[str, Iterable[PolicyDocument]]] = (
        (holder.arn, holder.inline.values())
        for holders in (access.roles, access.groups, access.users)
        for holder in holders.values()
    )
    for arn, documents in holders:
        yield from ((arn, document) for document in documents)
    yield from ((policy.arn, policy.document) for policy in access.policies.values())


@dataclass(frozen=True, slots=True)
class ModuleVerdict:
    """The result of checking one module. `access` is its written access in canonical form.

    Without findings, it equals the planned access.
    """

    access: Access
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedModule:
    """A module as planned, its verdict, its folder, and the path of the folder in findings."""

    planned: Module
    verdict: ModuleVerdict
    folder: Path
    root: str


def check_module(
    planned: Module, folder: Path, *, root: str, label: Label, hint: str | None = None, returned: bool = False
) -> ModuleVerdict:
    """Parse the module in `folder` and compare it with the planned one.

    `root` is the path of `folder` in findings, for example `customers/account1`. `hint` replaces the default hint of
    differences. `returned`: the folder is from a customer.
    """
    if not folder.is_symlink() and not folder.exists():  # broken symbolic links are reported as unreadable below
        missing = NOT_WRITTEN.finding(planned.subject, f"{planned.path} is not written", root or None)
        return ModuleVerdict(Access(), (missing,))
    try:
        parsed = parse_module(folder, account_id=planned.account.account_id, partition=planned.partition, returned=returned)
    except ModuleError as error:
        message = f"{planned.path}: {error.what}"
        unreadable = UNREADABLE.finding(planned.subject, message, root or None, hint=error.hint or "")
        return ModuleVerdict(Access(), (unreadable,))
    written, intended = parsed.access.canonical(), planned.access.canonical()
    findings = [_with_path(finding, planned.subject, root) for finding in parsed.findings]
    if written != intended:
        if excess := too_large(written, intended):
            message = f"too large to be compared and proven: {excess}, far more than planned, and more than AWS accepts"
            hint = "use the module as it was generated, or review it by hand"
            main = path_in_findings(root, "main.tf")
            findings.append(UNREADABLE.finding(planned.subject, message, main, 1, hint=hint))
            return ModuleVerdict(Access(), tuple(findings))
        findings += _differences(planned, written, folder, root, label, hint)
    return ModuleVerdict(written, tuple(findings))


def _with_path(finding: Finding, subject: str, root: str) -> Finding:
    """The parser's finding with the module's subject, and with a path relative to the checked folder."""
    message = finding.message if finding.subject == "module" else f"{finding.subject}: {finding.message}"
    # The finding of a missing guard has no file; the guard belongs in main.tf.
    file = finding.file or ("main.tf" if finding.rule == GUARD.id else None)
    return replace(finding, subject=subject, message=message, file=path_in_findings(root, file))


def _differences(
    planned: Module, written: Access, folder: Path, root: str, label: Label, hint: str | None
) -> Iterator[Finding]:
    places = find_declarations(folder, account_id=planned.account.account_id, partition=planned.partition)
    found = access_changes(planned.access.canonical(), written, label)
    for change in found.changes:
        file, line = places.get(change.subject, ("main.tf", 1))
        text = f"{change.text} (wider than the manifest)" if change.widens else change.text
        if found.is_equivalent(change):
            text = f"{change.text} (allows the same requests as the manifest)"
        yield ACCESS_DIFFERENCE.finding(planned.subject, text, path_in_findings(root, file), line, hint=hint)


def path_in_findings(root: str, file: str | None) -> str | None:
    """The path of a module's file in findings, or of its folder if `file` is None; None if both are empty."""
    return "/".join(part for part in (root, file) if part) or None


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """A manifest with its plan, and the lock of the output folder `out`."""

    manifest: Path
    out: Path
    loaded: LoadedManifest
    lock: Lock
    plan: Plan
    label: Label

    @classmethod
    @collection_paused()
    def load(cls, manifest: Path, out: Path, read: Read = read_text) -> CheckInputs:
        """Load and plan the manifest. `read` reads its files. Raises ManifestError, PlanError or OutputError."""
        loaded, lock = load_manifest(manifest, read=read), read_lock(out)
        plan = make_plan(loaded.manifest, previous_slots(lock))
        return cls(manifest, out, loaded, lock, plan, labeller(loaded.manifest.account_names()))


def unplanned_findings(out: Path, plan: Plan, lock: Lock) -> tuple[Finding, ...]:
    """Findings for unplanned folders and Terraform files in the output folder. Raises OutputError."""
    return find_unplanned(out, {module.path for module in plan.modules}, lock.modules.keys())


def read_written(
    inputs: CheckInputs,
    indices: Sequence[int],
    state: OutputState,
    *,
    progress: Callable[[int], None],
) -> tuple[dict[int, ModuleVerdict], int]:
    """Check the modules with these indices, and record in `state` those that are as planned.

    Returns the verdicts of modules that are not as planned, by index, and the number of modules read. `progress` is called
    with the number of modules done so far. Raises OutputError.
    """
    modules = inputs.plan.modules
    unread = [index for index in indices if not state.is_checked(modules[index].path, modules[index].fingerprint)]
    cached = len(indices) - len(unread)
    verdicts: dict[int, ModuleVerdict] = {}
    for index, verdict, stamp in _read_modules(inputs, unread, lambda done: progress(cached + done)):
        if verdict is not None:
            verdicts[index] = verdict
        elif stamp is not None:
            state.record_checked(modules[index].path, modules[index].fingerprint, stamp)
    state.keep_only({module.path for module in modules})
    progress(len(indices))
    return verdicts, len(unread)


ModuleReading = tuple[int, ModuleVerdict | None, FolderStamp | None]
"""The index of a module, with its verdict if it is not as planned, otherwise with the stamp of its folder, if any."""


def _read_modules(inputs: CheckInputs, indices: Sequence[int], progress: Callable[[int], None]) -> Iterator[ModuleReading]:
    """Check the modules with these indices, in this process if there are only a few. Raises OutputError."""
    workers = worker_count(len(indices), sequential_limit=SEQUENTIAL_LIMIT)
    if workers == 1:
        for done, index in enumerate(indices, start=1):
            yield _read(inputs, index)
            progress(done)
        return
    chunks = [(chunk, [inputs.plan.modules[index].fingerprint for index in chunk]) for chunk in chunked(indices, _CHUNK)]
    pool = Pool(
        CheckInputs.load, (inputs.manifest, inputs.out), _read_chunk, where=str(inputs.out), resume="run the command again"
    )
    done = 0
    for (chunk, _), reads in zip(chunks, pool.run(chunks, workers), strict=True):
        yield from reads
        done += len(chunk)
        progress(done)


def _read_chunk(inputs: CheckInputs, chunk: tuple[Sequence[int], Sequence[str]]) -> list[ModuleReading]:
    indices, fingerprints = chunk
    modules = inputs.plan.modules
    if any(
        index >= len(modules) or modules[index].fingerprint != fingerprint
        for index, fingerprint in zip(indices, fingerprints, strict=True)
    ):
        what = "the manifest or the lock changed during the check"
        raise OutputError(what, where=str(inputs.manifest), hint="run the check again")
    with collection_paused():
        return [_read(inputs, index) for index in indices]


def _read(inputs: CheckInputs, index: int) -> ModuleReading:
    module = inputs.plan.modules[index]
    folder = inputs.out / module.path
    stamp = stamp_folder(str(folder))  # before reading, so that a concurrent change is detected
    verdict = check_module(module.build(), folder, root=module.path, label=inputs.label)
    return (index, verdict, None) if verdict.findings else (index, None, stamp)


@dataclass(frozen=True, slots=True)
class IntendedTrust:
    """The intended trust of a plan.

    `subjects` maps the ARNs of all roles, policies, groups, users and instance profiles to their customer or switch role;
    `external_ids` maps the ARNs of customer roles to their current external ID.
    """

    trusts: tuple[Trust, ...]
    subjects: Mapping[str, str]
    customer_roles: frozenset[str]
    switch_roles: frozenset[str]
    backend_roles: frozenset[str]
    external_ids: Mapping[str, str]


def intended_trust(modules: Iterable[Module]) -> IntendedTrust:
    """The intended trust of planned modules, in the order of the modules."""
    trusts: list[Trust] = []
    subjects: dict[str, str] = {}
    roles: dict[ModuleKind, set[str]] = {kind: set() for kind in ModuleKind}
    external_ids: dict[str, str] = {}
    for module in modules:
        for arn in access_arns(module.access):
            subjects.setdefault(arn, module.subject)
        roles[module.kind].update(module.access.roles)
        if (customer := module.customer) is not None:
            # One trust per external ID: the current one and, during a rotation, the previous one.
            trusts += (
                Trust(
                    module.subject,
                    customer.role.arn,
                    (customer.backend_role_arn,),
                    external_id,
                    session_tags=customer.session_tags,
                    source_identity=customer.source_identity,
                )
                for external_id in customer.external_ids or (None,)
            )
            if customer.external_ids:
                external_ids[customer.role.arn] = customer.external_ids[0]
        elif module.kind is ModuleKind.TRUSTING and (switch := module.switch_role) is not None:
            # Trusts the listed users, and the accounts to which the manifest delegates.
            mfa, accounts = switch.require_mfa, switch.delegates_to
            trusts.append(Trust(module.subject, switch.role.arn, switch.users, requires_mfa=mfa, delegates_to=accounts))
        elif module.kind is ModuleKind.BACKEND:
            trusts += _backend(module)
    customer_roles, switch_roles, backend_roles = (
        frozenset(roles[kind]) for kind in (ModuleKind.CUSTOMER, ModuleKind.TRUSTING, ModuleKind.BACKEND)
    )
    return IntendedTrust(tuple(trusts), subjects, customer_roles, switch_roles, backend_roles, external_ids)


def access_arns(access: Access) -> Iterator[str]:
    """Yield the ARNs of all roles, policies, groups, users and instance profiles."""
    for parts in (access.roles, access.policies, access.groups, access.users, access.instance_profiles):
        yield from parts


def _backend(module: Module) -> Iterator[Trust]:
    """Yield the trust of backend roles that the module creates. Existing roles are only referenced."""
    for role in module.access.roles.values():
        if not role.existing and role.trust is not None:
            services = [
                principal.identifier
                for statement in role.trust.statements
                for principal in statement.principals
                if identity_of(principal.identifier).kind is PrincipalKind.EXTERNAL
            ]
            yield Trust(module.subject, role.arn, tuple(services))


@dataclass(frozen=True, slots=True)
class ManifestAccess:
    """The planned modules of a manifest, and the written access of each, or the planned one if that was requested.

    `findings` are differences between written and planned access, and modules that could not be read.
    """

    loaded: LoadedManifest
    plan: Plan
    modules: tuple[Module, ...]
    accesses: tuple[Access, ...]
    findings: tuple[Finding, ...] = ()


def read_access(
    manifest: Path,
    out: Path,
    *,
    planned: bool = False,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> ManifestAccess:
    """Read the modules written in `out`, or with `planned` use the modules that gen terraform would write.

    `started` is called with the number of modules, `progress` with the number done so far. Raises ManifestError, PlanError
    or OutputError.
    """
    with collection_paused():
        inputs = CheckInputs.load(manifest, out)
        modules = tuple(module.build() for module in inputs.plan.modules)
        accesses = [module.access for module in modules]
        started(len(modules))
        findings: tuple[Finding, ...] = ()
        if not planned:
            state = load_state(out)
            verdicts, _ = read_written(inputs, range(len(modules)), state, progress=progress)
            state.save_now()
            for index, verdict in verdicts.items():
                accesses[index] = verdict.access
                findings += verdict.findings
        return ManifestAccess(inputs.loaded, inputs.plan, modules, tuple(accesses), findings)


@dataclass(frozen=True, slots=True)
class ManifestProof:
    """The proof of a manifest's modules, the access that it covers, and findings about what it does not cover.

    `planned` is true if this is the access of the plan and not of the written modules.
    """

    proof: Proof
    access: Access
    findings: tuple[Finding, ...]
    planned: bool
    names: Mapping[str, str]
    """Account names in the manifest, by account ID."""
    certificates: Mapping[str, Mapping[str, Any]] | None = None
    """Certificates by role ARN, of the roles that have one; None if they were not requested."""


def prove_manifest(
    manifest: Path,
    out: Path,
    *,
    planned: bool = False,
    certificates: bool = False,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> ManifestProof:
    """Prove the modules written in `out`, or with `planned` the modules that gen terraform would write.

    `certificates`: also make the certificate of each role. `started` is called with the number of modules, `progress` with
    the number done so far. Raises ManifestError, PlanError or OutputError.
    """
    found = read_access(manifest, out, planned=planned, started=started, progress=progress)
    leftovers = () if planned else unplanned_findings(out, found.plan, read_lock(out))
    with collection_paused():
        access = Access.union(found.accesses)
        trusts = intended_trust(found.modules).trusts
        proof = prove(access, trusts, roles=access.roles.keys())
        certified = dict(_certificates(access, trusts)) if certificates else None
    names = found.loaded.manifest.account_names()
    return ManifestProof(proof, access, (*found.findings, *leftovers), planned, names, certified)


def _certificates(access: Access, trusts: Iterable[Trust]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The certificates of roles by ARN. A role whose trust policy is unknown, or not proven to be as intended, has none."""
    intents: dict[str, list[Trust]] = {}
    for trust in trusts:
        intents.setdefault(trust.role_arn, []).append(trust)
    for arn, role in access.roles.items():
        if (certificate := make_certificate(role, intents.get(arn, ()))) is not None:
            yield arn, certificate
