"""The requests of any action, by caller, action, resource and condition key.

As for trust policies (see `space`), a request falls into finitely many cells. A scope restricts callers and actions, and can
state keys that have one value in all its requests.

The root user is not among the callers. Service-linked roles are not, as neither SCPs nor RCPs restrict them (AWS
Organizations User Guide). What a condition compares with a key of the request in a resource is open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache, partial
from itertools import islice

from rolecall_generator.iam import PARTITIONS, Arn, Condition, PolicyDocument, Role
from rolecall_generator.iam.catalog import find_key, is_federated, regions_of
from rolecall_generator.iam.evaluation import CompiledStatement, PolicyType, PrincipalKind, identity_of
from rolecall_generator.iam.matching import (
    Automaton,
    Patterns,
    PolicyTemplate,
    PolicyVariables,
    Truth,
    literal,
    outlines_of,
    patterns_of,
)
from rolecall_generator.proof.symbolic.boxes import (
    EVERYTHING,
    FALSE,
    OPEN,
    TRUE,
    AllowedSet,
    Formula,
    Solution,
    complement,
    conjunction,
    disjunction,
    leaf,
    members,
    merge_boxes,
)
from rolecall_generator.proof.symbolic.budget import BudgetShare, SearchBudget
from rolecall_generator.proof.symbolic.callers import caller_cell, caller_dimension
from rolecall_generator.proof.symbolic.cells import UNKNOWN_REST, Dimension, Distinctions, KeyCell, Values, merge_contexts
from rolecall_generator.proof.symbolic.examples import (
    NO_RESOURCE,
    WITHOUT_SLASH,
    ExampleAction,
    example_actions,
    example_resources,
    is_possible,
    is_resource_of,
)
from rolecall_generator.proof.symbolic.facts import (
    EXPLANATIONS,
    FOREIGN_KEYS,
    TLS,
    SpaceFact,
    context_facts_of,
    has_path_outside,
)
from rolecall_generator.proof.symbolic.keys import (
    ACTION,
    CALLER,
    NOT_KEYS,
    ORGANIZATION_ID,
    ORGANIZATION_PATHS,
    RESOURCE,
    RESOURCE_ACCOUNT,
    RESOURCE_ORGANIZATION_ID,
    RESOURCE_ORGANIZATION_PATHS,
    SESSION_NAME,
    CallerKind,
    KeyFacts,
    accepted_values,
    service_key_facts,
)
from rolecall_generator.proof.symbolic.language import Shape, answers_of, matches, walk
from rolecall_generator.proof.symbolic.policies import SERVICE_LINKED
from rolecall_generator.proof.symbolic.relations import HOLDS
from rolecall_generator.proof.symbolic.space import SERVICE_LINKED_ROLES, RequestSpace, starting_with
from rolecall_generator.proof.symbolic.wording import BoxConstraint, constraints_of
from rolecall_generator.proof.symbolic.world import OrganizationMembership, World

_REGION = "aws:requestedregion"
_ANY_ARN = "arn:*:*:*:*:*"
_OWNER_KEYS = frozenset({RESOURCE_ACCOUNT, RESOURCE_ORGANIZATION_ID, RESOURCE_ORGANIZATION_PATHS})
_IAM = "iam:"
_ANY_ACTION = Shape(pattern=outlines_of(Condition("StringLike", "", ("*:*",)))[0], shortest=3)
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_MOST_FORMS = 12
"""With more forms than this, the forms of resources are not distinguished: every action has any resource."""
_ACTIONS_NAMED = 6
_BOXES = 64
_SETS_SHOWN = 4
_SAMPLES_TRIED = 8
_ACTIONS_TRIED = 200
_RESOURCES_TRIED = 16


@dataclass(frozen=True, slots=True)
class ActionForms:
    """An action, SERVICE:NAME, and the ARN forms of its resources, with `*` for requests without one; None if unknown.

    `has_rcps`: resource control policies restrict its requests that name a resource. `has_owner`: its requests have keys for
    the account and the organization of the resource (aws:ResourceAccount and others). `is_global`: its requests go to one
    Region, as those of IAM, whatever the Region of the scope.
    """

    name: str
    resource_forms: tuple[str, ...] | None = None
    has_rcps: bool = False
    has_owner: bool = True
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class ResourceOwner:
    """The account of the resources in a scope.

    An ARN without an account, as that of an S3 bucket, is taken to be of this account; ARNs of other accounts are in the
    scope only if they match `elsewhere`, patterns that name their account. `organization_id` and `path`
    (aws:ResourceOrgPaths) are empty if not known.
    """

    account_id: str
    organization_id: str = ""
    path: str = ""
    elsewhere: tuple[str, ...] = ()

    @property
    def context(self) -> Mapping[str, Values]:
        """The known keys (lower case) of requests for resources of the account."""
        found = {
            RESOURCE_ACCOUNT: self.account_id,
            RESOURCE_ORGANIZATION_ID: self.organization_id,
            RESOURCE_ORGANIZATION_PATHS: self.path,
        }
        return {key: (value,) for key, value in found.items() if value}

    @property
    def path_prefix(self) -> str:
        """How all paths of the account begin, if only the organization is known; else empty."""
        return OrganizationMembership(self.organization_id, (self.path,) if self.path else ()).path_prefix

    def patterns(self, partition: str) -> tuple[Patterns, Patterns]:
        """ARNs of the account and ARNs without an account; all ARNs."""
        own = (f"arn:{partition}:*:*:{self.account_id}:*", f"arn:{partition}:*:*::*")
        return frozenset(outlines_of(Condition("ArnLike", "", own))), frozenset(
            outlines_of(Condition("ArnLike", "", (_ANY_ARN,)))
        )


@dataclass(frozen=True, slots=True)
class ActionScope:
    """The requests in question.

    `account_id`: only users and roles of this account; `caller`: only this user or role (ARN) and its sessions.
    `actions`: only these; all, also those that AWS does not have yet, if empty. `context`: keys (lower case) that have these
    values in all requests, an empty tuple if absent; all keys with a prefix in `absent` that it does not state are absent.
    `owner`: the account of all resources whose ARN has no account or no other one, if that is known. `region`: the Region of
    all requests but those of global services; any if empty. `now`: requests are sent from then on, in seconds since 1970; at
    any time if None.
    """

    partition: str = "aws"
    account_id: str = ""
    caller: str = ""
    actions: tuple[ActionForms, ...] = ()
    context: Mapping[str, Values] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    owner: ResourceOwner | None = None
    region: str = ""
    now: float | None = None


@dataclass(frozen=True, slots=True)
class ActionSample:
    """One request, as the evaluator confirmed. `context` has the keys that the decision depends on."""

    caller: str
    action: str
    resource: str
    context: Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class RequestSet:
    """A set of requests as a product of constraints, with the actions that occur in it and an example that AWS can have.

    `is_confirmed`: the evaluator confirms the set on representatives, which need not be actions and resources that exist.
    """

    constraints: tuple[BoxConstraint, ...]
    actions: tuple[str, ...]
    sample: ActionSample | None
    is_confirmed: bool = False


class ActionSpace(RequestSpace):
    """The dimensions of the requests of a scope for documents, all in the form of identity policies.

    `apart` are ARNs of users and roles that have cells of their own. `assumes`: what is open holds or does not hold, in a
    dimension of its own. So two documents with the same open part are compared exactly; but then a set can be empty although
    it has boxes. `with_rcps`: some of the documents are RCPs. Raises OutOfBudgetError.
    """

    def __init__(
        self,
        scope: ActionScope,
        documents: Iterable[PolicyDocument],
        budget: SearchBudget,
        *,
        apart: Iterable[str] = (),
        assumes: bool = False,
        with_rcps: bool = False,
    ) -> None:
        self.scope = scope
        self.assumes = assumes
        self._with_rcps = with_rcps
        self.groups: list[tuple[ActionForms, ...]] = []
        """The actions of each cell; empty if the scope has all actions."""
        self._apart = tuple(apart)
        self._action_lists: dict[tuple[str, ...], None] = {}
        self._resource_lists: dict[tuple[str, ...], None] = {}
        self._assumed: set[str] = set()
        """The dimensions of what is open."""
        self._resource_unions: tuple[Patterns, ...] = ()
        self._selective: list[CompiledStatement] = []
        account = scope.account_id or "9" * 12
        role = Role(f"arn:{scope.partition}:iam::{account}:role/rolecall", None, existing=True)
        worlds = tuple(_known_organizations(scope))
        super().__init__(role, ((document, PolicyType.IDENTITY) for document in documents), worlds, budget)
        self.facts = self._facts()
        self.possible: Formula = complement(disjunction(fact.impossible for fact in self.facts))
        self._applied: dict[int, AllowedSet] = {}

    def _fixed_context(self) -> Mapping[str, Values]:
        """What the scope states, and the keys of its caller."""
        if self.scope.caller:
            return {**self.scope.context, **_cell_of(self.scope.caller).context}
        if self.scope.account_id:
            return {**self.scope.context, "aws:principalaccount": (self.scope.account_id,)}
        return dict(self.scope.context)

    @property
    def now(self) -> float | None:
        """No request is sent before this moment, in seconds since 1970; None if it is not known."""
        return self.scope.now

    def _key_dimension(self, key: str, distinctions: Distinctions) -> Dimension:
        found = super()._key_dimension(key, distinctions)
        return _with_real_regions(found, distinctions, self.scope.partition) if key == _REGION else found

    def facts_of_key(self, key: str) -> KeyFacts:
        """As documented; only AssumeRole requests have the name of a new session."""
        facts = service_key_facts(key)
        return replace(facts, always=frozenset()) if key == SESSION_NAME else facts

    def is_known(self, name: str) -> bool:
        """Whether the key (lower case) has one value, or is absent, in all requests of the scope."""
        return name in self.role_context or name.startswith(self.scope.absent)

    # Building

    def _read_document(self, document: PolicyDocument, side: PolicyType) -> None:
        super()._read_document(document, side)
        for statement in self.compiler.compile(document, side).statements:
            if statement.refusal is not None:
                continue
            source = statement.source
            self._action_lists.setdefault(tuple(name.lower() for name in source.actions or source.not_actions))
            if (source.resources or source.not_resources) != ("*",):
                self._selective.append(statement)
                if (filled := self._resources_of(statement)) is not None:
                    self._resource_lists.setdefault(filled)

    @property
    def is_exact(self) -> bool:
        """Policy variables for keys of the caller are compared exactly."""
        return True

    def _read_resources(self, statement: CompiledStatement) -> None:
        """The resource is not the role, but a dimension of its own."""

    def _resources_of(self, statement: CompiledStatement) -> tuple[str, ...] | None:
        """The resources with the variables that the scope states replaced; None if others are left.

        A value with wildcards would be a literal in AWS, so it is left open too.
        """
        found = []
        for text in statement.source.resources or statement.source.not_resources:
            if "${" not in text or not self.has_variables(statement):
                found.append(text)
                continue
            tokens = PolicyTemplate(text).fill(self.role_context)
            if tokens is None or any("*" in token or "?" in token for token in tokens if token.startswith("\0")):
                return None
            found.append("".join(token.removeprefix("\0") for token in tokens))
        return tuple(found)

    @property
    def _owner(self) -> ResourceOwner | None:
        """The owner of the resources, if it can make a difference."""
        differs = self._with_rcps or self._selective or not _OWNER_KEYS.isdisjoint(self._keys)
        return self.scope.owner if differs else None

    def _add_operations(self) -> None:
        self._add(self._caller_dimension())
        forms = self._distinguished_forms()
        self._add(self._action_dimension(forms))
        self._add(self._resource_dimension(forms))

    def _caller_dimension(self) -> Dimension:
        if self.scope.caller:
            return Dimension(CALLER, (_cell_of(self.scope.caller),))
        for arn in self._apart:
            self._callers.add("arns", literal(arn))
            self.single_arns.add(arn)
        if self.scope.account_id:
            self._callers.add("accounts", literal(self.scope.account_id))
        self._callers.add("arns", outlines_of(Condition("ArnLike", "", (SERVICE_LINKED_ROLES,)))[0])
        found = caller_dimension(self._callers, self.role.arn, self.budget)
        return Dimension.of(CALLER, [cell for cell in found.cells if self._is_caller(cell)])

    def _is_caller(self, cell: KeyCell) -> bool:
        if cell.caller is None:
            return True
        who = cell.caller
        if self.scope.account_id and (who.kind is PrincipalKind.EXTERNAL or who.account_id != self.scope.account_id):
            return False
        return SERVICE_LINKED not in who.arn

    def _distinguished_forms(self) -> Mapping[str, frozenset[str]]:
        """The resource forms by action, of actions that a statement with certain resources concerns; empty if too many."""
        found: dict[str, frozenset[str]] = {}
        for action in self.scope.actions:
            if action.resource_forms is not None and any(self._names(each, action.name) for each in self._selective):
                found[action.name] = frozenset(action.resource_forms)
        return found if len({form for forms in found.values() for form in forms}) <= _MOST_FORMS else {}

    @staticmethod
    def _names(statement: CompiledStatement, action: str) -> bool:
        source = statement.source
        names = _names_of(tuple(name.lower() for name in source.actions or source.not_actions))
        return names.match(action.lower(), {}) is bool(source.actions)

    def _action_dimension(self, forms: Mapping[str, frozenset[str]]) -> Dimension:
        if not self.scope.actions:
            found = walk([_globs(names) for names in self._action_lists], _ANY_ACTION, BudgetShare(self.budget))
            cells = [KeyCell(cost=len(text), action=text) for text in found.found.values()]
            if not found.complete:
                cells.append(KeyCell(cost=UNKNOWN_REST, rest=True))
            return Dimension.of(ACTION, cells)
        groups: dict[object, list[ActionForms]] = {}
        lists = [_names_of(names) for names in self._action_lists]
        for action in self.scope.actions:
            lower = action.name.lower()
            answers = tuple([names.match(lower, {}) for names in lists])
            with_keys = tuple([_may_have_key(lower, key) for key in self._keys])
            about_resources = (forms.get(action.name), _need_of(action), action.has_rcps, action.has_owner, action.is_global)
            groups.setdefault((answers, about_resources, with_keys, lower.startswith(_IAM)), []).append(action)
        self.groups = [tuple(group) for group in groups.values()]
        return Dimension(ACTION, tuple(KeyCell(action=_summary(group)) for group in self.groups))

    def _resource_dimension(self, forms: Mapping[str, frozenset[str]]) -> Dimension:
        unions = [_globs(resources) for resources in self._resource_lists]
        for form in sorted({form for group in forms.values() for form in group}):
            unions += _form_patterns(form)
        if (owner := self._owner) is not None:
            unions += [frozenset({literal(NO_RESOURCE)}), *owner.patterns(self.scope.partition)]
            unions += [_globs((pattern,)) for pattern in owner.elsewhere]
        if not unions:
            return Dimension(RESOURCE, (KeyCell(({RESOURCE: (NO_RESOURCE,)},), 1),))
        self._resource_unions = tuple(dict.fromkeys(unions))
        found = walk(self._resource_unions, Shape(shortest=1), BudgetShare(self.budget))
        cells = [KeyCell(({RESOURCE: (text,)},), len(text)) for text in found.found.values()]
        if not found.complete:
            cells.append(KeyCell(cost=UNKNOWN_REST, rest=True))
        return Dimension.of(RESOURCE, cells)

    def _facts(self) -> list[SpaceFact]:
        return [
            *context_facts_of(self),
            *self._resource_facts(),
            *self._owner_facts(),
            *self._region_facts(),
            *self._service_facts(),
        ]

    def _service_facts(self) -> Iterator[SpaceFact]:
        """Which services have a key (see `may_have_key`), and the values with which AWS accepts requests."""
        for key in self._keys:
            if (index := self.index.get(key)) is None:
                continue
            dimension = self.dimensions[index]
            without = self._actions_where(lambda each, key=key: not _may_have_key(each.name.lower(), key))  # type: ignore[misc]
            present = dimension.where(lambda cell, key=key: bool(cell.context.get(key)))  # type: ignore[misc]
            yield SpaceFact(FOREIGN_KEYS, leaf({self.index[ACTION]: without, index: present}))
            if (accepted := accepted_values(key)) is not None:
                refused = present & ~dimension.where(lambda cell, key=key: accepted.issuperset(cell.context[key]))  # type: ignore[misc]
                yield SpaceFact(TLS, leaf({index: refused}))

    def _resource_facts(self) -> Iterator[SpaceFact]:
        """The resources of an action have one of its forms (Service Authorization Reference)."""
        forms = self._distinguished_forms()
        dimension = self.dimensions[self.index[RESOURCE]]
        for position, group in enumerate(self.groups):
            if (known := forms.get(group[0].name)) is None:
                continue
            other = dimension.where(lambda cell, known=known: not _has_form(cell, known))  # type: ignore[misc]
            yield SpaceFact("forms of resources", leaf({self.index[ACTION]: 1 << position, self.index[RESOURCE]: other}))

    def _owner_facts(self) -> Iterator[SpaceFact]:
        """Which resources exist for which actions, and which keys of their owner follow from them."""
        if (owner := self._owner) is None:
            return
        action, resource = self.index[ACTION], self.index[RESOURCE]
        resources = self.dimensions[resource]
        own, arns = owner.patterns(self.scope.partition)
        none = resources.where(lambda cell: cell.context[RESOURCE] == (NO_RESOURCE,))
        here = resources.where(lambda cell: matches(own, cell.context[RESOURCE][0]))
        self.add_label(RESOURCE, ["is of account"], [owner.account_id], here)
        elsewhere = _names_of(owner.elsewhere)
        there = ~here & resources.where(
            lambda cell: matches(arns, cell.context[RESOURCE][0]) and elsewhere.match(cell.context[RESOURCE][0], {})
        )
        outside = resources.full & ~(none | here | there | resources.rest)
        yield SpaceFact("resources of the account", leaf({resource: outside}))
        for need, impossible in ((_Need.REQUIRED, none), (_Need.NONE, resources.full & ~none & ~resources.rest)):
            mask = self._actions_where(lambda each, need=need: _need_of(each) is need)  # type: ignore[misc]
            yield SpaceFact("forms of resources", leaf({action: mask, resource: impossible}))
        owned = self._actions_where(lambda each: each.has_owner)
        for key, values in owner.context.items():
            if key not in self.index:
                continue
            dimension = self.dimensions[self.index[key]]
            same = dimension.where(lambda cell, key=key, values=values: cell.context[key] == values)  # type: ignore[misc]
            other = dimension.full & ~same
            yield SpaceFact("owner of resources", leaf({action: owned, resource: none | here, self.index[key]: other}))
            if key == RESOURCE_ACCOUNT:
                yield SpaceFact("owner of resources", leaf({resource: there, self.index[key]: same}))
        if (prefix := owner.path_prefix) and (paths := self.index.get(RESOURCE_ORGANIZATION_PATHS)) is not None:
            other = self.dimensions[paths].where(has_path_outside(RESOURCE_ORGANIZATION_PATHS, prefix))
            yield SpaceFact("owner of resources", leaf({action: owned, resource: none | here, paths: other}))

    def _actions_where(self, holds: Callable[[ActionForms], bool]) -> int:
        return sum(1 << position for position, group in enumerate(self.groups) if holds(group[0]))

    def restricted_by_rcps(self) -> AllowedSet:
        """The requests that RCPs around the owner restrict: those of certain services that name a resource of the account.

        "RCPs apply to the resources that are authorized as part of an operation request." (AWS Organizations User Guide)
        """
        if (owner := self._owner) is None or not self.groups:
            return EVERYTHING
        own, _ = owner.patterns(self.scope.partition)
        here = self.dimensions[self.index[RESOURCE]].where(lambda cell: matches(own, cell.context[RESOURCE][0]))
        actions = leaf({self.index[ACTION]: self._actions_where(lambda each: each.has_rcps)})
        return AllowedSet.intersection((AllowedSet.exact(actions), self._with_rest(RESOURCE, here)))

    def _region_facts(self) -> Iterator[SpaceFact]:
        """ "IAM calls are always made to the us-east-1 Region" (AWS global condition context keys: aws:RequestedRegion)."""
        if _REGION not in self.index:
            return
        region = PARTITIONS[self.scope.partition].default_region
        regions = self.dimensions[self.index[_REGION]]
        other = regions.where(lambda cell: cell.context[_REGION] != (region,))
        mask = sum(1 << position for position, group in enumerate(self.groups) if group[0].name.lower().startswith(_IAM))
        yield SpaceFact("Region of IAM", leaf({self.index[ACTION]: mask, self.index[_REGION]: other}))
        if self.scope.region:
            elsewhere = regions.where(lambda cell: cell.context[_REGION] != (self.scope.region,))
            regional = self._actions_where(lambda each: not each.is_global)
            yield SpaceFact("Region", leaf({self.index[ACTION]: regional, self.index[_REGION]: elsewhere}))

    def _distinctions(self, dimension: str) -> Distinctions:
        found = super()._distinctions(dimension)
        if dimension == _REGION:
            found.add_patterns(literal(PARTITIONS[self.scope.partition].default_region))
            if self.scope.region:
                found.add_patterns(literal(self.scope.region))
        if self.scope.owner is not None:
            for value in self.scope.owner.context.get(dimension, ()):
                found.add_patterns(literal(value))
            if dimension == RESOURCE_ORGANIZATION_PATHS and self.scope.owner.path_prefix:
                found.add_patterns(starting_with(self.scope.owner.path_prefix))
        return found

    # Sets

    def set_of(self, condition: Condition, *, variables: bool) -> AllowedSet:
        """The requests for which a condition of one of the documents holds."""
        found = super().set_of(condition, variables=variables)
        return self._decided(found, f"{condition} {variables}") if self.assumes else found

    def _decided(self, found: AllowedSet, name: str) -> AllowedSet:
        """The set with a dimension for whether what is open in it holds."""
        if found.sure is found.maybe or not self.assumes:
            return found
        if name not in self.index:
            self._add(Dimension(name, (KeyCell(), KeyCell())))
            self._assumed.add(name)
        holds = leaf({self.index[name]: HOLDS})
        return AllowedSet.exact(disjunction([found.sure, conjunction([found.maybe, holds])]))

    def statement_set(self, statement: CompiledStatement) -> AllowedSet:
        """The requests to which the statement applies."""
        found = self._applied.get(id(statement))
        if found is None:
            found = self._applied[id(statement)] = self._make_statement_set(statement)
        return found

    def _make_statement_set(self, statement: CompiledStatement) -> AllowedSet:
        if statement.refusal is not None:
            return self._decided(OPEN, f"{statement.source}")
        variables = self.has_variables(statement)
        conditions = (self.set_of(condition, variables=variables) for condition in statement.source.conditions)
        return AllowedSet.intersection((self._actions(statement), self._resources(statement), *conditions))

    def _actions(self, statement: CompiledStatement) -> AllowedSet:
        dimension = self.dimensions[self.index[ACTION]]
        mask = 0
        for position, cell in enumerate(dimension.cells):
            name = self.groups[position][0].name if self.groups else cell.action
            if not cell.rest and self._names(statement, name):
                mask |= 1 << position
        source = statement.source
        return self._decided(self._with_rest(ACTION, mask), f"actions {source.actions} {source.not_actions}")

    def _resources(self, statement: CompiledStatement) -> AllowedSet:
        source = statement.source
        if (source.resources or source.not_resources) == ("*",):
            return AllowedSet.exact(TRUE if source.resources else FALSE)
        if (filled := self._resources_of(statement)) is None:
            text = next(text for text in source.resources or source.not_resources if "${" in text)
            self.reasons.setdefault(f"the resource {text} has a policy variable whose value is not known")
            return self._decided(OPEN, f"{source.resources or source.not_resources}")
        patterns = _names_of(filled)
        dimension = self.dimensions[self.index[RESOURCE]]
        mask = dimension.where(lambda cell: patterns.match(cell.context[RESOURCE][0], {}) is bool(source.resources))
        name = "Resource" if source.resources else "NotResource"
        self.add_label(RESOURCE, ["matches", name], filled, mask)
        return self._decided(self._with_rest(RESOURCE, mask), f"{name} {filled}")

    def _with_rest(self, name: str, mask: int) -> AllowedSet:
        index = self.index[name]
        return AllowedSet.of_masks(index, mask, mask | self.dimensions[index].rest)

    def callers_in(self, arns: Iterable[str]) -> Formula:
        """The requests of these users and roles."""
        wanted = set(arns)
        return leaf({0: self.callers_where(lambda who: who.arn in wanted)})

    # Answers

    def solve(self, formula: Formula) -> Iterator[Solution]:
        """The possible requests of a set as disjoint boxes. Raises OutOfBudgetError."""
        return super().solve(conjunction([formula, self.possible]))

    def is_empty(self, formula: Formula) -> bool:
        """Whether no request that can exist is in the set. Raises OutOfBudgetError."""
        return next(self.solve(formula), None) is None

    def explanations(self, formula: Formula) -> tuple[str, ...]:
        """The facts by which an empty set is empty, as sentences, as far as a reader may not expect them."""
        found = []
        for name, sentence in EXPLANATIONS.items():
            others = disjunction(fact.impossible for fact in self.facts if fact.name != name)
            is_present = any(fact.name == name and fact.impossible is not FALSE for fact in self.facts)
            if is_present and next(super().solve(conjunction([formula, complement(others)])), None):
                found.append(sentence)
        return tuple(found)

    def sets_of(
        self,
        formula: Formula,
        *,
        confirms: Callable[[Evaluation], bool],
        care: Formula = TRUE,
    ) -> tuple[tuple[RequestSet, ...], int]:
        """The first sets of a formula, in words, and the number of those left out.

        Their constraints are the fewest that describe them among the requests of `care`, which are the only ones in
        question. Each example is one that `confirms` accepts, which gets the evaluator's outcome of statements.
        """
        outside = conjunction([care, complement(formula)])
        groups: list[_Group] = []
        for box in merge_boxes(islice(self.solve(formula), _BOXES)):
            for wide, covered in groups:
                if all(not mask & ~other for mask, other in zip(box.masks, wide, strict=True)):
                    covered.append(box.masks)
                    break
            else:
                masks = self._widened(box.masks, outside) if len(groups) < _SETS_SHOWN else box.masks
                groups.append((masks, [box.masks]))
        groups = _joined(groups)
        shown = [self._request_set(wide, covered, confirms) for wide, covered in groups[:_SETS_SHOWN]]
        return tuple(shown), max(0, len(groups) - _SETS_SHOWN)

    def _widened(self, masks: Sequence[int], outside: Formula) -> list[int]:
        """The box without the constraints that none of the requests outside needs."""
        wide = list(masks)
        for index, dimension in enumerate(self.dimensions):
            if wide[index] != dimension.full:
                before, wide[index] = wide[index], dimension.full
                if not self.is_empty(conjunction([leaf(self._cut(wide)), outside])):
                    wide[index] = before
        return wide

    def _cut(self, masks: Sequence[int]) -> dict[int, int]:
        return {index: mask for index, mask in enumerate(masks) if mask != self.dimensions[index].full}

    def _request_set(
        self,
        wide: Sequence[int],
        boxes: Sequence[Sequence[int]],
        confirms: Callable[[Evaluation], bool],
    ) -> RequestSet:
        index = self.index[ACTION]
        mask = 0
        for box in boxes:
            mask |= box[index]
        actions = [action.name for position in members(mask) if self.groups for action in self.groups[position]]
        constraints = tuple(each for each in constraints_of(self, wide) if each.name not in {ACTION, *self._assumed})
        tried = boxes[:_SAMPLES_TRIED]
        samples = (self._sample(box, confirms) for box in tried)
        sample = next((each for each in samples if each is not None), None)
        is_confirmed = sample is not None or any(self._is_confirmed(box, confirms) for box in tried)
        return RequestSet(constraints, tuple(actions), sample, is_confirmed)

    def _is_confirmed(self, masks: Sequence[int], confirms: Callable[[Evaluation], bool]) -> bool:
        """Whether the evaluator confirms the cheapest representatives of the box."""
        positions = [(mask & -mask).bit_length() - 1 for mask in masks]
        cells = {d.name: d.cells[position] for d, position in zip(self.dimensions, positions, strict=True)}
        if cells[CALLER].caller is None or any(cell.rest for cell in cells.values()):
            return False
        action = self.groups[positions[self.index[ACTION]]][0].name if self.groups else cells[ACTION].action
        return confirms(self._outcome(cells, self._keys_of(cells), action, cells[RESOURCE].context[RESOURCE][0]))

    def _sample(self, masks: Sequence[int], confirms: Callable[[Evaluation], bool]) -> ActionSample | None:
        """A request of the box that AWS can have, and that the evaluator confirms; None if none is found."""
        cells: dict[str, KeyCell] = {}
        for dimension, mask in zip(self.dimensions, masks, strict=True):
            if dimension.name not in (ACTION, RESOURCE):
                listed = (dimension.cells[position] for position in members(mask))
                cell = next((each for each in listed if is_possible(each, cells.get(CALLER))), None)
                if cell is None:
                    return None
                cells[dimension.name] = cell
        who = cells[CALLER].caller
        if who is None:
            return None
        keys = self._keys_of(cells)
        account = next(iter(keys.get(RESOURCE_ACCOUNT) or self.role_context.get(RESOURCE_ACCOUNT, ())), who.account_id)
        present = [key for key, values in keys.items() if values]
        for action, resource in self._pairs(masks, account):
            if not all(_may_have_key(action.lower(), key) for key in present):
                continue
            if confirms(self._outcome(cells, keys, action, resource)):
                cut = {d.name for d, mask in zip(self.dimensions, masks, strict=True) if mask != d.full}
                shown = {self.spelling(key): keys[key] for key in present if key in cut}
                return ActionSample(who.arn, action, resource, shown)
        return None

    def _pairs(self, masks: Sequence[int], account: str) -> Iterator[tuple[str, str]]:
        """Actions and resources of a box that AWS has together; first the representatives, where they are such."""
        dimension = self.dimensions[self.index[RESOURCE]]
        cells = [dimension.cells[position] for position in members(masks[self.index[RESOURCE]])]
        resources = [cell.context[RESOURCE][0] for cell in cells if not cell.rest]
        partition = self.scope.partition
        for position in members(masks[self.index[ACTION]]):
            for action in islice(self._examples_of(position), _ACTIONS_TRIED):
                yield from ((action.name, text) for text in resources if is_resource_of(action, text, partition))
                if action.forms is not None and self._resource_unions:
                    found = example_resources(action, self._resource_unions, resources, partition, account)
                    yield from ((action.name, text) for text in islice(found, _RESOURCES_TRIED))

    def _examples_of(self, position: int) -> Iterator[ExampleAction]:
        """Actions of a cell that AWS has."""
        if self.groups:
            yield from (ExampleAction(action.name, action.resource_forms) for action in self.groups[position])
        elif not (cell := self.dimensions[self.index[ACTION]].cells[position]).rest:
            lists = [_names_of(names) for names in self._action_lists]
            prefixes = [name.partition(":")[0] for names in self._action_lists for name in names]
            yield from example_actions(cell.action, prefixes, lambda name: [each.match(name, {}) for each in lists])

    def _keys_of(self, cells: Mapping[str, KeyCell]) -> dict[str, Values]:
        return merge_contexts(
            cell.context for name, cell in cells.items() if name not in NOT_KEYS and name not in self.related
        )

    def _outcome(self, cells: Mapping[str, KeyCell], keys: Mapping[str, Values], action: str, resource: str) -> Evaluation:
        """The evaluator's answer about one request."""
        context = {**self.role_context, **cells[CALLER].context, **keys}

        def outcome(statement: CompiledStatement) -> Truth:
            if statement.refusal is not None:
                return Truth.UNDECIDED
            applies = statement.applies_to(action.lower(), resource, context)
            return statement.holds(context, None) if applies else Truth.FALSE

        return outcome


def _known_organizations(scope: ActionScope) -> Iterator[World]:
    """The organization of the account of the callers, if only its ID is known."""
    for organization in scope.context.get(ORGANIZATION_ID, ()):
        if scope.account_id and ORGANIZATION_PATHS not in scope.context:
            yield World(organizations={scope.account_id: OrganizationMembership(organization)})


def _may_have_key(action: str, key: str) -> bool:
    """Whether requests of an action can have a key, both in lower case: they have no keys of other services."""
    found = None if is_federated(key) else find_key(key)
    return found is None or found.may_be_in(action.partition(":")[0])


def _cell_of(arn: str) -> KeyCell:
    """The cell of a user or role of a scope."""
    who = identity_of(arn)
    return caller_cell(who, CallerKind.USER if who.kind is PrincipalKind.USER else CallerKind.ROLE)


Evaluation = Callable[[CompiledStatement], Truth]
"""Whether a statement applies to a request, by the evaluator."""

_Group = tuple[Sequence[int], list[Sequence[int]]]
"""A box in its widest form, and the boxes that it represents."""


def _joined(groups: Sequence[_Group]) -> list[_Group]:
    """Groups whose boxes differ in one dimension only, joined."""
    found: list[_Group] = []
    for wide, boxes in groups:
        for index, (other, others) in enumerate(found):
            different = [at for at, (one, two) in enumerate(zip(wide, other, strict=True)) if one != two]
            if len(different) == 1:
                masks = list(other)
                masks[different[0]] |= wide[different[0]]
                found[index] = (masks, [*others, *boxes])
                break
        else:
            found.append((wide, boxes))
    return found


class _Need(Enum):
    """Whether requests of an action name a resource."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


def _need_of(action: ActionForms) -> _Need:
    """OPTIONAL also if the forms of its resources are not known."""
    if action.resource_forms is None:
        return _Need.OPTIONAL
    if set(action.resource_forms) == {NO_RESOURCE}:
        return _Need.NONE
    return _Need.OPTIONAL if NO_RESOURCE in action.resource_forms else _Need.REQUIRED


@lru_cache(maxsize=4_096)
def _names_of(names: tuple[str, ...]) -> PolicyVariables:
    return PolicyVariables(names)


@lru_cache(maxsize=4_096)
def _globs(names: tuple[str, ...]) -> Patterns:
    """The names with wildcards as patterns."""
    return patterns_of(Condition("StringLike", "", names), {}, variables=False) or frozenset()


@lru_cache(maxsize=1_024)
def _form_patterns(form: str) -> tuple[Patterns, ...]:
    """Patterns of a resource form: any resource of the form; and those whose last name would have a slash, if it cannot."""
    if form == NO_RESOURCE:
        return (frozenset({literal(form)}),)
    plain = _PLACEHOLDER.sub("*", form)
    if Arn.parse(plain) is None:
        return (_globs((plain,)),)
    without_slash = any(form.endswith(f"${{{name}}}") for name in WITHOUT_SLASH)
    texts = (plain, f"{plain}/*") if without_slash else (plain,)
    return tuple(frozenset(outlines_of(Condition("ArnLike", "", (text,)))) for text in texts)


def _has_form(cell: KeyCell, forms: frozenset[str]) -> bool:
    text = cell.context[RESOURCE][0]
    answers = ([matches(patterns, text) for patterns in _form_patterns(form)] for form in forms)
    return any(fits and not any(excluded) for fits, *excluded in answers)


def _with_real_regions(dimension: Dimension, distinctions: Distinctions, partition: str) -> Dimension:
    """The dimension with Regions of the partition as representatives, where a cell has one."""
    answers = partial(answers_of, [Automaton(patterns) for patterns in distinctions.patterns])
    real = {answers(region): region for region in sorted(regions_of(partition), reverse=True)}
    cells = []
    for cell in dimension.cells:
        values = () if cell.rest else cell.context[_REGION]
        region = real.get(answers(values[0])) if len(values) == 1 else None
        cells.append(cell if region is None else replace(cell, contexts=({_REGION: (region,)},)))
    return Dimension.of(dimension.name, cells)


def _summary(actions: Sequence[ActionForms]) -> str:
    names = [action.name for action in actions]
    more = len(names) - _ACTIONS_NAMED
    return ", ".join(names[:_ACTIONS_NAMED]) + (f" and {more} more" if more > 0 else "")
