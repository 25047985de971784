"""What ties the dimensions of a request together: combinations of cells that no request has, each with its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from rolecall_generator.iam import Condition, quotas
from rolecall_generator.iam.evaluation import ASSUME_ROLE, FEDERATED_ASSUME, Identity, PrincipalKind, identity_of
from rolecall_generator.iam.matching import Truth, compile_condition
from rolecall_generator.proof.symbolic.boxes import FALSE, Formula, leaf
from rolecall_generator.proof.symbolic.cells import Dimension, KeyCell, parse_moment
from rolecall_generator.proof.symbolic.keys import (
    ACTION,
    CALLER,
    CALLER_KEYS,
    DURATION,
    KEPT_SOURCE_IDENTITY,
    MFA_AGE,
    MFA_PRESENT,
    NOT_KEYS,
    ORGANIZATION_ID,
    ORGANIZATION_PATHS,
    PROVIDED_CONTEXTS,
    REQUEST_TAG,
    SOURCE_IDENTITY,
    TAG_KEYS,
    CallerKind,
    is_foreign,
    is_saml_provider,
)
from rolecall_generator.proof.symbolic.relations import HOLDS, impossible_relation
from rolecall_generator.proof.symbolic.space import ACTIONS, RequestSpace
from rolecall_generator.proof.symbolic.world import World

_SECURE_TRANSPORT = "aws:securetransport"

ROLE_CHAINING = "role chaining"
FOREIGN_KEYS = "keys of other services"
CLOCK = "clock"
TLS = "TLS version"
EXPLANATIONS: Mapping[str, str] = {
    ROLE_CHAINING: "a role cannot assume another one for more than an hour (role chaining)",
    FOREIGN_KEYS: "requests do not have the condition keys of other services",
    CLOCK: "requests are sent from now on, so a date in the past is over",
    TLS: "AWS accepts no older version of TLS than 1.2",
    "HTTPS": "requests to AWS STS always use HTTPS",
}
"""Facts, by name, that a reader of an answer may not expect."""


@dataclass(frozen=True, slots=True)
class SpaceFact:
    """Requests that do not exist, and why. `name` identifies the fact in a proof that needs it."""

    name: str
    impossible: Formula


def facts_of(space: RequestSpace) -> list[SpaceFact]:
    """The facts about the dimensions of a space of AssumeRole requests; facts without effect are left out."""
    kinds = _masks_by_kind(space.callers)
    own = (*_operations(space, kinds), *_session_roles(space), *_transport(space))
    if any(world.excludes_failing for world in space.worlds):
        own = (*own, *_role_chaining(space, kinds), *_foreign_keys(space))
    return [*(fact for fact in own if fact.impossible is not FALSE), *context_facts_of(space)]


def context_facts_of(space: RequestSpace) -> list[SpaceFact]:
    """The facts that hold for requests of any action; facts without effect are left out."""
    kinds = _masks_by_kind(space.callers)
    found = [
        *_presence(space, kinds),
        *_session_facts(space, kinds),
        *_request_tags(space),
        *(fact for world in space.worlds for fact in _organization_facts(space, world)),
        *_clock(space),
        *_caller_relations(space),
        *(
            SpaceFact("policy variables", formula)
            for relation in space.relations.values()
            for formula in impossible_relation(space, relation)
        ),
    ]
    return [fact for fact in found if fact.impossible is not FALSE]


def _masks_by_kind(callers: Dimension) -> Mapping[CallerKind, int]:
    masks = dict.fromkeys(CallerKind, 0)
    for position, cell in enumerate(callers.cells):
        if cell.kind is not None:
            masks[cell.kind] |= 1 << position
    return masks


def _operations(space: RequestSpace, kinds: Mapping[CallerKind, int]) -> Iterator[SpaceFact]:
    """Identity providers use the operation of their protocol, all others AssumeRole (STS API Reference)."""
    callers, action = space.index[CALLER], space.index[ACTION]
    dimension = space.dimensions[action]
    saml = kinds[CallerKind.PROVIDER] & space.callers_where(lambda who: is_saml_provider(who.arn))
    groups = (
        (ASSUME_ROLE, kinds[CallerKind.USER] | kinds[CallerKind.ROLE] | kinds[CallerKind.SERVICE]),
        (FEDERATED_ASSUME[0], saml),
        (FEDERATED_ASSUME[1], kinds[CallerKind.PROVIDER] & ~saml),
    )
    for name, mask in groups:
        others = dimension.full & ~(1 << ACTIONS.index(name))
        yield SpaceFact("operations", leaf({callers: mask, action: others}))
    # Only AssumeRole has the parameter ProvidedContexts.
    yield SpaceFact("operations", leaf({callers: kinds[CallerKind.PROVIDER], space.index[PROVIDED_CONTEXTS]: 0b10}))


def _presence(space: RequestSpace, kinds: Mapping[CallerKind, int]) -> Iterator[SpaceFact]:
    """Which callers' requests can have a key, and which always have it (see `keys`)."""
    callers = space.index[CALLER]
    for name, index in space.index.items():
        if name in NOT_KEYS or name in space.related:
            continue
        facts, dimension = space.facts_of_key(name), space.dimensions[index]
        without = sum(mask for kind, mask in kinds.items() if kind not in facts.callers)
        always = sum(mask for kind, mask in kinds.items() if kind in facts.always)
        yield SpaceFact(f"presence of {name}", leaf({callers: without, index: dimension.where(_has(name))}))
        yield SpaceFact(f"presence of {name}", leaf({callers: always, index: dimension.where(_lacks(name))}))


def _session_facts(space: RequestSpace, kinds: Mapping[CallerKind, int]) -> Iterator[SpaceFact]:
    """Only a role's session keeps a source identity, and only a request with MFA has an age of it."""
    callers, source = space.index[CALLER], space.index[SOURCE_IDENTITY]
    kept = space.dimensions[source].where(_has(KEPT_SOURCE_IDENTITY))
    no_role = sum(mask for kind, mask in kinds.items() if kind is not CallerKind.ROLE)
    yield SpaceFact("source identity of sessions", leaf({callers: no_role, source: kept}))
    if MFA_AGE in space.index and MFA_PRESENT in space.index:
        age, mfa = space.index[MFA_AGE], space.index[MFA_PRESENT]
        not_true = space.dimensions[mfa].where(_has_other(MFA_PRESENT, ("true",)))
        yield SpaceFact("age of MFA", leaf({age: space.dimensions[age].where(_has(MFA_AGE)), mfa: not_true}))


def _session_roles(space: RequestSpace) -> Iterator[SpaceFact]:
    """A session that a Principal names is one of the role with that name that another Principal names, if there is one: the
    ARN of a session has no path, and "IAM user, group, role, and policy names must be unique within the account." (IAM API:
    CreateRole)
    """
    statements = space.trust_statements()
    for principal in {each for statement in statements for each in statement.source.principals}:
        session = identity_of(principal.identifier)
        if principal.type != "AWS" or session.kind is not PrincipalKind.SESSION or session.role is None:
            continue
        name = (session.account_id, session.role.rpartition("/")[2])
        arns = {arn for statement in statements for arn in statement.principals.roles.get(name, ())}
        if arns:
            others = space.callers_where(partial(_is_other_session, name, arns))
            yield SpaceFact("names of roles", leaf({space.index[CALLER]: others}))


def _is_other_session(name: tuple[str, str], arns: set[str], who: Identity) -> bool:
    """Whether the caller is a session of a role with this account and name, but not of one of the roles."""
    if who.kind is not PrincipalKind.SESSION or who.role is None or who.role in arns:
        return False
    return (who.account_id, who.role.rpartition("/")[2]) == name


def _transport(space: RequestSpace) -> Iterator[SpaceFact]:
    """ "Query API requests are HTTPS requests" (Calling the IAM API using HTTP query requests, for IAM and AWS STS)."""
    if (index := space.index.get(_SECURE_TRANSPORT)) is not None:
        insecure = space.dimensions[index].where(_has_other(_SECURE_TRANSPORT, ("true",)))
        yield SpaceFact("HTTPS", leaf({index: insecure}))


def _caller_relations(space: RequestSpace) -> Iterator[SpaceFact]:
    """Whether the keys of one user or role match a value with policy variables, if both follow from the caller."""
    for relation in space.relations.values():
        keys = {relation.test.key, *(v.key for each in relation.related for v in each.template.variables)}
        if not all(key in CALLER_KEYS or space.is_known(key) for key in keys):
            continue
        for each in relation.related:
            positive = relation.use.operator.name.replace("Not", "")
            test = compile_condition(Condition(positive, relation.condition.key, (each.value,)), variables=True)
            for position, cell in enumerate(space.callers.cells):
                if cell.caller is None or (cell.caller.role or cell.caller.arn) not in space.single_arns:
                    continue
                truth = test.run({**space.role_context, **cell.context})
                if truth is not Truth.UNDECIDED and not cell.rest:
                    wrong = 0b01 if truth is Truth.TRUE else HOLDS
                    impossible = leaf({space.index[CALLER]: 1 << position, space.index[each.dimension]: wrong})
                    yield SpaceFact("policy variables", impossible)


def _role_chaining(space: RequestSpace, kinds: Mapping[CallerKind, int]) -> Iterator[SpaceFact]:
    """ "Role chaining limits your AWS CLI or AWS API role session to a maximum of one hour [...] if you assume a role using
    role chaining and provide a DurationSeconds parameter value greater than one hour, the operation fails." (STS API:
    AssumeRole)

    The sets of durations that comparisons as numbers distinguish each have the smallest duration as a representative; those
    of comparisons as strings do not.
    """
    if (index := space.index.get(DURATION)) is not None and not space.has_patterns(DURATION):
        longer = space.dimensions[index].where(_is_longer)
        yield SpaceFact(ROLE_CHAINING, leaf({space.index[CALLER]: kinds[CallerKind.ROLE], index: longer}))


def _is_longer(cell: KeyCell) -> bool:
    values = cell.context[DURATION]
    return bool(values) and values[0].isdecimal() and int(values[0]) > quotas.CHAINED_SESSION_SECONDS


def _foreign_keys(space: RequestSpace) -> Iterator[SpaceFact]:
    """Requests to STS do not have keys of other services (see `is_foreign`)."""
    for name, index in space.index.items():
        if name not in NOT_KEYS and name not in space.related and is_foreign(name):
            yield SpaceFact(FOREIGN_KEYS, leaf({index: space.dimensions[index].where(_has(name))}))


def _clock(space: RequestSpace) -> Iterator[SpaceFact]:
    """Requests are sent from `now` on, which is a representative of its own in the dimensions that have it."""
    for name, now in space.clocks.items():
        index = space.index[name]
        yield SpaceFact(CLOCK, leaf({index: space.dimensions[index].where(partial(_is_over, name, now))}))


def _is_over(name: str, now: float, cell: KeyCell) -> bool:
    values = cell.context[name]
    moment = parse_moment(values[0]) if values else None
    return moment is not None and moment < now


def _request_tags(space: RequestSpace) -> Iterator[SpaceFact]:
    """aws:RequestTag/x is present exactly if aws:TagKeys lists x, ignoring case (AWS global condition context keys)."""
    tags = space.index[TAG_KEYS]
    dimension = space.dimensions[tags]
    for name, index in space.index.items():
        wanted = name.removeprefix(REQUEST_TAG)
        if not name.startswith(REQUEST_TAG) or not wanted.isascii():
            continue
        listed = dimension.where(_lists_tag(wanted))
        unlisted = dimension.full & ~dimension.rest & ~listed
        own = space.dimensions[index]
        yield SpaceFact("request tags", leaf({index: own.where(_has(name)), tags: unlisted}))
        yield SpaceFact("request tags", leaf({index: own.where(_lacks(name)), tags: listed}))


def _organization_facts(space: RequestSpace, world: World) -> Iterator[SpaceFact]:
    """The organizations of known accounts."""
    for account, membership in world.organizations.items():
        members = space.callers_where(partial(_is_in, account))
        identifiers = (membership.organization_id,) if membership.organization_id else ()
        for name, wanted in ((ORGANIZATION_ID, identifiers), (ORGANIZATION_PATHS, membership.paths)):
            if name in space.index and (wanted or not identifiers):
                index = space.index[name]
                other = space.dimensions[index].where(_has_other(name, wanted))
                if other.bit_count() < len(space.dimensions[index].cells):
                    yield SpaceFact("known organizations", leaf({space.index[CALLER]: members, index: other}))
        if membership.path_prefix and ORGANIZATION_PATHS in space.index:
            index = space.index[ORGANIZATION_PATHS]
            other = space.dimensions[index].where(has_path_outside(ORGANIZATION_PATHS, membership.path_prefix))
            yield SpaceFact("known organizations", leaf({space.index[CALLER]: members, index: other}))


def _is_in(account: str, who: Identity) -> bool:
    return who.account_id == account


def _has(name: str) -> Callable[[KeyCell], bool]:
    return lambda cell: bool(cell.context[name])


def _lacks(name: str) -> Callable[[KeyCell], bool]:
    return lambda cell: not cell.context[name]


def _has_other(name: str, values: tuple[str, ...]) -> Callable[[KeyCell], bool]:
    return lambda cell: set(cell.context[name]) != set(values)


def has_path_outside(name: str, prefix: str) -> Callable[[KeyCell], bool]:
    """Whether no path in an organization is known, or one that is outside the organization.

    "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/": a path begins with the ID of the organization (aws:PrincipalOrgPaths).
    """
    return lambda cell: not cell.context[name] or any(not each.startswith(prefix) for each in cell.context[name])


def _lists_tag(wanted: str) -> Callable[[KeyCell], bool]:
    return lambda cell: any(tag.lower() == wanted for tag in cell.context[TAG_KEYS])
