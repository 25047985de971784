"""All that a security reviewer is told of one module, before it is written as Markdown, HTML or PDF."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rolecall_generator.checks.formats.picture import Graph, reaches
from rolecall_generator.handover.model import Handover
from rolecall_generator.handover.words import Phrase, listed, say, sentence
from rolecall_generator.handover.words_documents import document_text
from rolecall_generator.handover.words_permissions import Grant, documents_of, grants_of
from rolecall_generator.handover.words_proof import Verdict, verdict_of
from rolecall_generator.handover.words_revoke import Way, revoking
from rolecall_generator.handover.words_trust import allowed_besides, on_condition, session, who_assumes
from rolecall_generator.iam.access import Group, ManagedPolicy, Role, User
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.module import Module, ModuleKind, SwitchRoleDetails


@dataclass(frozen=True, slots=True)
class Fact:
    """A row of the table at the top."""

    label: str
    said: Phrase


@dataclass(frozen=True, slots=True)
class Document:
    """A policy document: what it is called, and AWS's JSON."""

    title: Phrase
    text: str


@dataclass(frozen=True, slots=True)
class Review:
    """The page: who, what, on which condition, how to revoke, what is proven. `graph` is empty where nobody is trusted."""

    title: Phrase
    lead: Phrase
    source: str
    facts: tuple[Fact, ...]
    grants: tuple[Grant, ...]
    verdict: Verdict
    graph: Graph
    ways: tuple[Way, ...]
    documents: tuple[Document, ...]


_WHY = say("It is no secret. It keeps the vendor from being tricked into using this role for somebody else.")


def review_of(handover: Handover) -> Review:
    """The review of the module that is handed over."""
    module = handover.module
    owners: tuple[Role | Group, ...] = (*module.access.roles.values(), *module.access.groups.values())
    trusts = [
        (say("Trust policy of {}", role.arn), role.trust) for role in module.access.roles.values() if role.trust is not None
    ]
    return Review(
        title=_title(module),
        lead=_lead(module),
        source=handover.source,
        facts=tuple(_facts(module)),
        grants=tuple(grant for owner in owners for grant in grants_of(owner, module.access)),
        verdict=verdict_of(handover.proof),
        graph=reaches(module.access, handover.proof if handover.proof.cells else None, _names(module)),
        ways=revoking(module),
        documents=tuple(
            Document(title, document_text(document)) for title, document in (*trusts, *documents_of(owners, module.access))
        ),
    )


def _title(module: Module) -> Phrase:
    here = say("account {} ({})", module.account.account_id, module.account.name)
    if module.kind is ModuleKind.CUSTOMER:
        return say("Access to {}", here)
    switch = _switch_role(module)
    sides = (say("account {} ({})", side.account_id, side.name) for side in (switch.trusted, switch.trusting))
    return say("Access from {} to {}", *sides)


def _names(module: Module) -> Mapping[str, str]:
    """Display names of the accounts that occur in this module, by account ID."""
    names = {module.account.account_id: module.account.name}
    if module.customer is not None:
        backend = parse_arn(module.customer.backend_role_arn)
        return names | ({backend.account_id: "vendor"} if backend is not None else {})
    switch = _switch_role(module)
    return names | {account.account_id: account.name for account in (switch.trusting, switch.trusted)}


def _switch_role(module: Module) -> SwitchRoleDetails:
    """Details of a switch role's module. Raises ValueError for a module without them, which the planner never makes."""
    if module.switch_role is None:
        raise ValueError(f"{module.path} is not the module of a switch role")
    return module.switch_role


def _lead(module: Module) -> Phrase:
    made = _made(module)
    if module.customer is not None:
        account = parse_arn(module.customer.backend_role_arn)
        vendor = account.account_id if account is not None else ""
        return say(f"{made} for the vendor, account {{}}. No user, no access key and no password is made.", vendor)
    switch = _switch_role(module)
    if module.kind is ModuleKind.TRUSTING:
        people = switch.trusted
        return say(f"{made}. People of account {{}} ({{}}) switch to the role.", people.account_id, people.name)
    if not made and switch.keeper != switch.name:
        said = "Nothing is made for this switch role alone: group {} and its users are shared, and in the module of {}."
        return say(said, switch.group, switch.keeper)
    if not made:
        return say("Nothing is made in this account: group and users are in account {}.", switch.trusting.account_id)
    there, targets = switch.trusting, switch.targets
    if len(targets) > 1:
        return say(f"{made}. Members of the group switch to {{}}.", listed(targets))
    said = f"{made}. Members of the group switch to {{}} of account {{}} ({{}})."
    return say(said, switch.role.arn, there.account_id, there.name)


def _made(module: Module) -> str:
    """What the module makes, counted: `1 role and 2 policies`."""
    access = module.access
    parts = (
        (len(access.roles), "role", "roles"),
        (sum(not group.existing for group in access.groups.values()), "group", "groups"),
        (sum(not user.existing for user in access.users.values()), "user", "users"),
        (len(access.policies), "policy", "policies"),
    )
    return str(listed(f"{count:,} {one if count == 1 else many}" for count, one, many in parts if count))


def _facts(module: Module) -> list[Fact]:
    access = module.access
    found = [fact for role in access.roles.values() for fact in _role(module, role)]
    found += [Fact("Group", _group(group)) for group in access.groups.values()]
    if access.users:
        found.append(Fact("Users", _users(access.users.values())))
    if module.kind is not ModuleKind.CUSTOMER and not access.roles:
        found += _switch(module)
    found += [Fact("Policy", say("{}, made with it", arn)) for arn in access.policies]
    tags = _tags(module)
    if tags:
        found.append(Fact("Tags", listed(say("{} = {}", key, value) for key, value in sorted(tags.items()))))
    return found


def _tags(module: Module) -> Mapping[str, str]:
    """Tags of what the module makes; all its parts carry the same."""
    tagged: tuple[Role | User | ManagedPolicy, ...] = (
        *module.access.roles.values(),
        *module.access.users.values(),
        *module.access.policies.values(),
    )
    return next((part.tags for part in tagged if part.tags), {})


def _role(module: Module, role: Role) -> list[Fact]:
    customer = module.customer
    callers = [customer.backend_role_arn] if customer is not None else []
    besides = allowed_besides(role)
    people = [] if customer is not None else _people(_switch_role(module))
    return [
        Fact("Role", say("{}", role.arn)),
        Fact("Who may assume it", sentence([who_assumes(role), *people])),
        Fact("On which condition", sentence([on_condition(role), besides] if besides else [on_condition(role)])),
        *([Fact("Why an external id", _WHY)] if customer is not None and customer.external_ids else []),
        Fact("Session", session(role, callers)),
        Fact("Permissions boundary", say("{}", role.boundary) if role.boundary else Phrase(("None.",))),
    ]


def _people(switch: SwitchRoleDetails) -> list[Phrase]:
    """The users who are meant to switch, where the trust policy names a whole account."""
    users = listed(map(_user_name, switch.users))
    return [say("Meant: {} of account {}.", users, switch.home.account_id)] if switch.users else []


def _switch(module: Module) -> list[Fact]:
    switch = _switch_role(module)
    targets = switch.targets if module.access.groups else (switch.role.arn,)
    roles = [Fact("Role they switch to", say("{}", target)) for target in targets]
    if len(targets) > 1:
        return [
            *roles,
            Fact("On which condition", Phrase(("What the trust policy of each role says: see its own review.",))),
        ]
    asked = "Signed in with MFA." if switch.require_mfa else "None: MFA is not asked for."
    return [*roles, Fact("On which condition", Phrase((asked,))), Fact("Session", session(switch.role))]


def _group(group: Group) -> Phrase:
    return say("{} (exists already; it gets a policy)" if group.existing else "{}", group.arn)


def _users(users: Iterable[User]) -> Phrase:
    """Users by what is made for them, each with the path that it has."""
    kinds: dict[str, list[str]] = {}
    for user in users:
        kinds.setdefault(_kind(user), []).append(_user_name(user.arn))
    return listed((say(f"{{}} {kind}", listed(names)) for kind, names in kinds.items()), ";")


def _kind(user: User) -> str:
    if user.existing:
        return "(exists already, joins the group)"
    return "with a first console password, to be changed at sign-in" if user.console_password else "without a password"


def _user_name(arn: str) -> str:
    """A user's name with the path before it, as in `staff/ann`."""
    parsed = parse_arn(arn)
    return parsed.resource.partition("/")[2] if parsed is not None else arn
