"""The space of all requests for a role: its dimensions, and the sets of requests for which conditions hold.

Every condition is one of three things: a test of one dimension, evaluated on the representative of each cell; a relation
between keys, which has a dimension of its own with the cells "does not hold" and "holds"; or open, if it cannot be
represented.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.iam import Condition, PolicyDocument, Role
from rolecall_generator.iam.evaluation import (
    ASSUME_ROLE,
    FEDERATED_ASSUME,
    CompiledStatement,
    Compiler,
    Identity,
    PolicyType,
    PrincipalKind,
    identity_of,
)
from rolecall_generator.iam.matching import (
    OperatorUse,
    Patterns,
    PolicyTemplate,
    Test,
    Truth,
    UnsupportedError,
    ignoring_case,
    literal,
    outlines_of,
    parse_operator,
    patterns_of,
)
from rolecall_generator.proof.symbolic.boxes import (
    FALSE,
    NOTHING,
    OPEN,
    TRUE,
    AllowedSet,
    Formula,
    Solution,
    is_member,
    leaf,
    solutions,
)
from rolecall_generator.proof.symbolic.budget import OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.callers import CallerDistinctions, caller_dimension
from rolecall_generator.proof.symbolic.cells import (
    PRESENT_COST,
    Dimension,
    Distinctions,
    KeyCell,
    NotRepresentedError,
    key_dimension,
    moment_text,
    unsearched_dimension,
)
from rolecall_generator.proof.symbolic.keys import (
    ACTION,
    CALLER,
    CALLER_KEYS,
    CURRENT_TIME,
    EPOCH_TIME,
    ORGANIZATION_ID,
    ORGANIZATION_PATHS,
    PROVIDED_CONTEXTS,
    REQUEST_TAG,
    RESOURCE_ACCOUNT,
    RESOURCE_ORGANIZATION_ID,
    RESOURCE_ORGANIZATION_PATHS,
    RESOURCE_TAGS,
    SOURCE_IDENTITY,
    TAG_KEYS,
    TRANSITIVE_TAG_KEYS,
    KeyFacts,
    ValueType,
    dimension_of,
    is_service,
    key_facts,
    spelling_of,
)
from rolecall_generator.proof.symbolic.relations import Relation, read_relation, relation_set
from rolecall_generator.proof.symbolic.world import World

ACTIONS = (ASSUME_ROLE, *FEDERATED_ASSUME)
_PLAIN = re.compile(r"[^\s\"(),\[\]]+")
_ARN, _ACCOUNT, _NAME = "aws:principalarn", "aws:principalaccount", "aws:username"
_SERVICE_NAME = "aws:principalservicename"
_CALLER_PARTS = {_ARN: "arns", _ACCOUNT: "accounts", _NAME: "names"}
_Bound = tuple[Condition, bool]
"""A condition, and whether its document's version supports policy variables."""


@dataclass(frozen=True, slots=True)
class KeyTest:
    """A condition on one dimension; on the role alone if that is None."""

    test: Test
    dimension: str | None


@dataclass(frozen=True, slots=True)
class OpenCondition:
    """A condition that cannot be represented."""

    reason: str


class RequestSpace:
    """The dimensions for a role, all policies that are compared, and those of organizations.

    `reasons` explain what is open. Raises OutOfBudgetError if even incomplete dimensions take too long.
    """

    def __init__(
        self,
        role: Role,
        documents: Iterable[tuple[PolicyDocument, PolicyType]],
        worlds: Iterable[World],
        budget: SearchBudget,
    ) -> None:
        self.role = role
        self.worlds = tuple(worlds)
        self.budget = budget
        self.compiler = Compiler()
        self.reasons: dict[str, None] = {}
        self.role_context = self._fixed_context()
        self.relations: dict[_Bound, Relation] = {}
        self.related: dict[str, Relation] = {}
        """Relations by the dimensions of their values."""
        self._readings: dict[_Bound, KeyTest | Relation | OpenCondition] = {}
        self._sets: dict[_Bound, AllowedSet] = {}
        self._with_variables: set[int] = set()
        self._trust_statements: list[CompiledStatement] = []
        self._spelling: dict[str, str] = {}
        self._labels: dict[str, list[tuple[str, int]]] = {}
        self.clocks: dict[str, int] = {}
        """Keys of the time of a request, with the moment of `now` that is a representative of theirs."""
        self.related_keys: set[str] = set()
        """Keys (lower case) that a relation compares."""
        self._resource_keys: dict[int, str | None] = {}
        """The dimension that decides whether a statement with variables in Resource names the role; None for the role."""
        self.single_arns: set[str] = set()
        """Users and roles that have a cell of their own, if policy variables are compared exactly."""
        self._callers = CallerDistinctions()
        self._keys: dict[str, Distinctions] = {key: Distinctions() for key in _ALWAYS_NEEDED}
        for document, side in documents:
            self._read_document(document, side)
        for world in self.worlds:
            self._distinguish_world(world)
        self.dimensions: list[Dimension] = []
        self.index: dict[str, int] = {}
        self._build()

    def _fixed_context(self) -> Mapping[str, tuple[str, ...]]:
        """The keys that do not vary between requests, with their values. Called before the documents are read."""
        return _role_context(self.role, self.worlds)

    # Reading

    def _read_document(self, document: PolicyDocument, side: PolicyType) -> None:
        variables = document.version == PolicyDocument.VERSION
        for statement in self.compiler.compile(document, side).statements:
            if variables:
                self._with_variables.add(id(statement))
            if statement.refusal is not None:
                self.reasons.setdefault(statement.refusal)
                continue
            if side is PolicyType.TRUST:
                self._trust_statements.append(statement)
                self._read_principals(statement)
            if variables:
                self._read_resources(statement)
            for condition, test in zip(statement.source.conditions, statement.tests, strict=True):
                self._spelling.setdefault(test.key, condition.key)
                bound = condition, variables
                if bound not in self._readings:
                    self._readings[bound] = self._read(condition, test, variables=variables)

    @property
    def is_exact(self) -> bool:
        """Whether policy variables are compared exactly, see `World.excludes_failing`."""
        return any(world.excludes_failing for world in self.worlds)

    def _read_resources(self, statement: CompiledStatement) -> None:
        """Distinguish the values of one key for which resources with its variable are the role.

        A value is a part of the role's ARN, so these are finitely many.
        """
        texts = [text for text in statement.source.resources if "${" in text]
        if not texts or not self.is_exact:
            return
        variables = {each.key for text in texts for each in PolicyTemplate(text).variables}
        unknown = [name for name in variables if not self.is_known(name)]
        resource = self.role.arn.split(":", 5)[5]
        if len(unknown) > 1 or len(resource) > _LONGEST_RESOURCE:
            return
        if not unknown:
            self._resource_keys[id(statement)] = None
            return
        (name,) = unknown
        if dimension_of(name) == CALLER and name not in _CALLER_PARTS:
            return
        parts = {resource[start:end] for start in range(len(resource)) for end in range(start + 1, len(resource) + 1)}
        self.budget.spend(len(parts))
        fitting = [part for part in parts if statement.names_resource(self.role.arn, {**self.role_context, name: (part,)})]
        self._distinguish(name, frozenset(map(literal, fitting)))
        self._resource_keys[id(statement)] = dimension_of(name)

    def resource_set(self, statement: CompiledStatement) -> AllowedSet:
        """The requests for which a statement with policy variables in its resources names the role."""
        if id(statement) not in self._resource_keys:
            texts = [text for text in (*statement.source.resources, *statement.source.not_resources) if "${" in text]
            self.reasons.setdefault(f"the resource {texts[0]} has a policy variable whose value is not known")
            return OPEN
        name = self._resource_keys[id(statement)]
        if name is None:
            return AllowedSet.exact(TRUE if statement.names_resource(self.role.arn, self.role_context) else FALSE)
        dimension, index = self.dimensions[self.index[name]], self.index[name]
        keys = {each.key for text in statement.source.resources if "${" in text for each in PolicyTemplate(text).variables}

        def is_named(cell: KeyCell, outcome: bool) -> bool:
            contexts = [{**self.role_context, **context} for context in cell.contexts]
            if any(len(context.get(key, ())) > 1 for context in contexts for key in keys):
                return False  # a variable of a key with several values
            return all(statement.names_resource(self.role.arn, context) is outcome for context in contexts)

        sure = dimension.where(lambda cell: is_named(cell, True))
        never = dimension.where(lambda cell: is_named(cell, False))
        return AllowedSet.of_masks(index, sure, dimension.full & ~never)

    def _read_principals(self, statement: CompiledStatement) -> None:
        """Distinguish what the Principal element names: one union for its users and roles, one for its accounts."""
        arns, accounts = [], []
        for principal in statement.source.principals:
            text = principal.identifier
            if principal.type == "Service":
                self._callers.services.setdefault(text)
            elif principal.type == "Federated":
                self._callers.providers.setdefault(text)
            elif (who := identity_of(text)).kind in {PrincipalKind.USER, PrincipalKind.ROLE}:
                arns.append(literal(text))
                if self.is_exact:
                    self._callers.add("arns", literal(text))
                    self.single_arns.add(text)
            elif who.kind is PrincipalKind.SESSION and who.role is not None:
                # A session is of the role with that name, whatever the role's path.
                pathless = outlines_of(Condition("StringEquals", "", (who.role,)))
                with_path = outlines_of(Condition("StringLike", "", (who.role.replace("/", "/*/"),)))
                self._callers.add("arns", frozenset((*pathless, *with_path)))
                self._callers.add("sessions", literal(who.name))
            elif text != "*":
                accounts.append(literal(who.account_id or text))
        if arns:
            self._callers.add("arns", frozenset(arns))
        if accounts:
            self._callers.add("accounts", frozenset(accounts))

    def _read(self, condition: Condition, test: Test, *, variables: bool) -> KeyTest | Relation | OpenCondition:
        use = parse_operator(condition.operator)
        names = [name for name in dict.fromkeys(test.variables) if not self.is_known(name)]
        try:
            if not names:
                return self._read_test(condition, test, use, variables=variables)
            if (reading := self._read_inverse(condition, test, names)) is not None:
                return reading
            if self.is_exact and (reading := self._read_account(condition, test, use, names)) is not None:
                return reading
            return self._read_relation(condition, test, use, names)
        except (NotRepresentedError, UnsupportedError) as error:
            return OpenCondition(str(error))

    def _read_test(self, condition: Condition, test: Test, use: OperatorUse, *, variables: bool) -> KeyTest:
        """A condition on one key whose values have no variables, or only those that the role decides."""
        if self.is_known(test.key):
            return KeyTest(test, None)
        dimension = dimension_of(test.key)
        if use.operator.compare is None:
            self._distinctions(dimension)
            return KeyTest(test, dimension)
        family = use.operator.family.name
        if test.key == _SERVICE_NAME:
            # The service that a request is from.
            self._callers.services.update(dict.fromkeys(filter(is_service, condition.values)))
        if dimension != CALLER and key_facts(test.key).type is ValueType.BOOL:
            self._distinctions(dimension)
            return KeyTest(test, dimension)
        if family == "Bool":
            patterns: Patterns = frozenset(map(ignoring_case, condition.values))
        else:
            stated = {name: self.role_context.get(name, ()) for name in test.variables}
            found = patterns_of(condition, stated, variables=variables)
            if found is None:
                if dimension == CALLER:
                    raise NotRepresentedError(_ORDERED_CALLER)
                self._distinctions(dimension).add_comparison(
                    family, condition.values, use.operator.compare(condition.values)
                )
                return KeyTest(test, dimension)
            patterns = found
        if "IgnoreCase" in use.operator.name and not all(value.isascii() for value in condition.values):
            raise NotRepresentedError("AWS does not document comparisons ignoring case beyond ASCII")
        self._distinguish(test.key, patterns)
        return KeyTest(test, dimension)

    def _distinguish(self, key: str, patterns: Patterns) -> None:
        if key in _CALLER_PARTS:
            self._callers.add(_CALLER_PARTS[key], patterns)
        elif key not in CALLER_KEYS:
            self._distinctions(dimension_of(key)).add_patterns(patterns)

    def _distinctions(self, dimension: str) -> Distinctions:
        if dimension == CALLER:
            return Distinctions()
        found = self._keys.get(dimension)
        if found is None:
            partition = self.role.arn.split(":")[1]
            found = self._keys[dimension] = Distinctions(key_facts(dimension).shape.certain_in(partition))
        return found

    def _read_inverse(self, condition: Condition, test: Test, names: list[str]) -> KeyTest | None:
        """A condition on a key of the role, such as its tag, that compares it with exactly one other key: a test of that
        key. None for any other condition.
        """
        if not self.is_known(test.key) or len(names) > 1:
            return None
        if names[0] in CALLER_KEYS and not (self.is_exact and names[0] in _CALLER_PARTS):
            return None
        if parse_operator(condition.operator).quantifier or key_facts(names[0]).type is not ValueType.STRING:
            return None
        templates = [PolicyTemplate(value) for value in condition.values]
        if any(t.variables and t.outline(wildcards=True) != ("*",) for t in templates):
            return None
        values = self.role_context.get(test.key, ())
        if "IgnoreCase" in condition.operator:
            if not all(value.isascii() for value in values):
                return None
            patterns: Patterns = frozenset(map(ignoring_case, values))
        else:
            patterns = frozenset(map(literal, values))
        self._distinctions(dimension_of(names[0]))
        self._distinguish(names[0], patterns)
        return KeyTest(test, dimension_of(names[0]))

    def _read_account(self, condition: Condition, test: Test, use: OperatorUse, names: list[str]) -> KeyTest | None:
        """A condition on aws:PrincipalArn with ${aws:PrincipalAccount} as the account of the ARN, which it always is: a test
        of the caller. None for any other condition.
        """
        like = _LIKE.get(use.operator.name)
        if test.key != _ARN or names != [_ACCOUNT] or use.quantifier is not None or like is None:
            return None
        outlines = []
        for value in condition.values:
            parts = _ACCOUNT_VARIABLE.sub("\0", value).split(":", 5)
            if len(parts) > _ACCOUNT_PART and parts[_ACCOUNT_PART] == "\0":
                parts[_ACCOUNT_PART] = "?" * _ACCOUNT_DIGITS
            outline = ":".join(parts)
            is_literal = use.operator.name.startswith("StringEquals") or use.operator.name.startswith("StringNotEquals")
            if "$" in outline or "\0" in outline or (is_literal and not _WILDCARDS.isdisjoint(value)):
                return None
            outlines.append(outline)
        self._distinguish(_ARN, frozenset(outlines_of(Condition(like, "", tuple(outlines)))))
        return KeyTest(test, CALLER)

    def _read_relation(self, condition: Condition, test: Test, use: OperatorUse, names: list[str]) -> Relation:
        if "IgnoreCase" in use.operator.name and not all(value.isascii() for value in condition.values):
            raise NotRepresentedError("AWS does not document comparisons ignoring case beyond ASCII")
        relation = read_relation(condition, test, use)
        # One union for each value: which of them the key fits decides where it can match.
        if not self.is_known(test.key):
            for outline in (*relation.plain, *(each.outline for each in relation.related)):
                self._distinguish(test.key, frozenset({outline}))
        self.related_keys.update((test.key, *names))
        for name in names:
            self._distinctions(dimension_of(name))
            if name == _NAME or (name not in CALLER_KEYS and key_facts(name).type is ValueType.STRING):
                # So that an example can have a value that is long enough for an external ID or a session name.
                self._distinguish(name, frozenset(outlines_of(Condition("StringLike", "", ("??*",)))))
        return relation

    def is_known(self, name: str) -> bool:
        """Whether the key (lower case) is decided by the role, and its value or absence is known."""
        if name in self.role_context:
            return True
        return name.startswith(RESOURCE_TAGS) and not self.role.existing

    def _distinguish_world(self, world: World) -> None:
        """Give known accounts and the values of their keys cells of their own."""
        for account in sorted({*world.service_control, *world.organizations}):
            self._callers.add("accounts", literal(account))
        if world.service_control or world.resource_control:
            self._callers.add("arns", outlines_of(Condition("ArnLike", "", (SERVICE_LINKED_ROLES,)))[0])
        for membership in world.organizations.values():
            identifiers = (membership.organization_id,) if membership.organization_id else ()
            for key, values in ((ORGANIZATION_ID, identifiers), (ORGANIZATION_PATHS, membership.paths)):
                for value in values if key in self._keys else ():
                    self._keys[key].add_patterns(literal(value))
            if membership.path_prefix and ORGANIZATION_PATHS in self._keys:
                self._keys[ORGANIZATION_PATHS].add_patterns(starting_with(membership.path_prefix))

    # Building

    def _build(self) -> None:
        for key in [key for key in self._keys if key.startswith(REQUEST_TAG)]:
            name = key.removeprefix(REQUEST_TAG)
            if name.isascii():
                self._keys[TAG_KEYS].add_patterns(ignoring_case(name))
        self._add_operations()
        for key, distinctions in self._keys.items():
            self._add(self._key_dimension(key, distinctions))
        for bound, reading in self._readings.items():
            if isinstance(reading, Relation):
                self.relations[bound] = reading
                for each in reading.related:
                    if each.dimension not in self.related:
                        self.related[each.dimension] = reading
                        self._add(Dimension(each.dimension, (KeyCell(), KeyCell())))
            elif isinstance(reading, OpenCondition):
                self.reasons.setdefault(f"{bound[0].operator} {bound[0].key}: {reading.reason}")

    def _add_operations(self) -> None:
        """Add the dimensions that are not condition keys, the callers first."""
        self._add(caller_dimension(self._callers, self.role.arn, self.budget))
        self._add(Dimension(ACTION, tuple(KeyCell(cost=cost, action=name) for cost, name in enumerate(ACTIONS))))
        self._add(Dimension(PROVIDED_CONTEXTS, (KeyCell(), KeyCell(cost=PRESENT_COST))))

    def facts_of_key(self, key: str) -> KeyFacts:
        """What AWS documents about a key (lower case) in these requests."""
        return key_facts(key)

    @property
    def now(self) -> float | None:
        """No request is sent before this moment, in seconds since 1970; None if it is not known."""
        return max((world.now for world in self.worlds if world.now is not None), default=None)

    def has_patterns(self, key: str) -> bool:
        """Whether a condition compares the values of a key (lower case) as strings."""
        return bool(self._distinctions(key).patterns)

    def _distinguish_now(self, key: str, distinctions: Distinctions) -> None:
        """Give the moment from which on requests are sent a cell of its own."""
        if key not in (CURRENT_TIME, EPOCH_TIME) or self.now is None or distinctions.patterns:
            return
        if len(distinctions.ordered) != 1 or not distinctions.ordered.keys() <= _TIME_FAMILIES[key]:
            return
        self.clocks[key] = now = math.floor(self.now)
        (values,) = distinctions.ordered.values()
        values.setdefault(moment_text(now, whole=key == EPOCH_TIME))

    def _key_dimension(self, key: str, distinctions: Distinctions) -> Dimension:
        self._distinguish_now(key, distinctions)
        try:
            return key_dimension(key, distinctions, self.budget, self.facts_of_key(key))
        except NotRepresentedError as error:
            reason = str(error)
        except OutOfBudgetError:
            reason = "its conditions distinguish too many values"
        self.reasons.setdefault(f"{key}: {reason}")
        return unsearched_dimension(key)

    def _add(self, dimension: Dimension) -> None:
        self.index[dimension.name] = len(self.dimensions)
        if dimension.rest and not any(reason.startswith(f"{dimension.name}: ") for reason in self.reasons):
            self.reasons.setdefault(f"{dimension.name}: the policies distinguish too many values")
        self.dimensions.append(dimension)

    def readings(self) -> Iterable[KeyTest | Relation | OpenCondition]:
        """What the conditions of all documents are in this space."""
        return self._readings.values()

    def trust_statements(self) -> list[CompiledStatement]:
        """The statements of the trust policies that can be evaluated."""
        return self._trust_statements

    def spelling(self, key: str) -> str:
        """A key in lower case as the policies spell it."""
        return self._spelling.get(key) or spelling_of(key)

    def labels(self, dimension: str) -> list[tuple[str, int]]:
        """Descriptions of conditions and principals on a dimension, each with the cells for which it holds."""
        return self._labels.get(dimension, [])

    def add_label(self, dimension: str, words: Sequence[str], values: Iterable[str], mask: int) -> None:
        """Add a description, see `labels`: words, then the values of a policy, quoted where they are not one plain word."""
        listed = [value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False) for value in values]
        text = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
        self._labels.setdefault(dimension, []).append((" ".join([*words, text]), mask))

    def has_variables(self, statement: CompiledStatement) -> bool:
        """Whether the version of the statement's document supports policy variables."""
        return id(statement) in self._with_variables

    @property
    def callers(self) -> Dimension:
        """The dimension of callers, which is the first one."""
        return self.dimensions[0]

    def callers_where(self, holds: Callable[[Identity], bool]) -> int:
        """The cells of callers for which `holds` is true, as a mask."""
        return self.callers.where(lambda cell: cell.caller is not None and holds(cell.caller))

    def solve(self, formula: Formula) -> Iterator[Solution]:
        """The requests of a set as disjoint boxes, the cheapest first. Raises OutOfBudgetError."""
        return solutions(formula, [dimension.costs for dimension in self.dimensions], self.budget)

    # Sets

    def set_of(self, condition: Condition, *, variables: bool) -> AllowedSet:
        """The requests for which a condition of one of the documents holds."""
        bound = condition, variables
        found = self._sets.get(bound)
        if found is None:
            found = self._sets[bound] = self._make_set(condition, self._readings[bound])
        return found

    def open_conditions(self, cells: Sequence[int]) -> Iterator[str]:
        """The conditions whose outcome is open for the request with these cells, with the reason."""
        for (condition, variables), found in self._sets.items():
            if found.sure is found.maybe or is_member(found.sure, cells) or not is_member(found.maybe, cells):
                continue
            reading = self._readings[condition, variables]
            reason = "AWS does not document the outcome for these values"
            if isinstance(reading, OpenCondition):
                reason = reading.reason
            elif any(self.dimensions[index].cells[cell].rest for index, cell in enumerate(cells)):
                reason = "not all values were examined"
            yield f"{condition.operator} {condition.key}: {reason}"

    def _make_set(self, condition: Condition, reading: KeyTest | Relation | OpenCondition) -> AllowedSet:
        if isinstance(reading, OpenCondition):
            return OPEN
        if isinstance(reading, Relation):
            return relation_set(self, reading)
        if reading.dimension is None:
            return _OUTCOMES[reading.test.run(self.role_context)]
        index = self.index[reading.dimension]
        sure, maybe = self._masks(reading, self.dimensions[index])
        key = () if reading.dimension == condition.key.lower() else (condition.key,)
        self.add_label(reading.dimension, [*key, condition.operator], condition.values, sure)
        return AllowedSet.of_masks(index, sure, maybe)

    def _masks(self, reading: KeyTest, dimension: Dimension) -> tuple[int, int]:
        """The cells for which the test holds, and those for which it may hold."""
        test = reading.test
        needs_role = bool(test.variables) or self.is_known(test.key)
        sure = maybe = 0
        self.budget.spend(len(dimension.cells))
        for position, cell in enumerate(dimension.cells):
            truth = Truth.UNDECIDED if cell.rest else self._truth(test, cell, needs_role=needs_role)
            if truth is not Truth.FALSE:
                maybe |= 1 << position
                if truth is Truth.TRUE:
                    sure |= 1 << position
        return sure, maybe

    def _truth(self, test: Test, cell: KeyCell, *, needs_role: bool) -> Truth:
        if not needs_role and len(cell.contexts) == 1:
            return test.run(cell.contexts[0])
        found = {test.run({**self.role_context, **context}) for context in cell.contexts}
        return found.pop() if len(found) == 1 else Truth.UNDECIDED

    def values_where(self, key: str, holds: Callable[[tuple[str, ...]], bool]) -> Formula:
        """The requests in which the values of a key (lower case) have a property, for certain (see `unclear_values`)."""
        if self.is_known(key):
            return TRUE if holds(self.role_context.get(key, ())) else FALSE
        index = self.index[dimension_of(key)]
        mask = self.dimensions[index].where(lambda cell: _is_clear(cell, key) and holds(cell.context.get(key, ())))
        return leaf({index: mask})

    def unclear_values(self, key: str) -> Formula:
        """The requests whose values of a key (lower case) were not searched, or are not documented."""
        if self.is_known(key):
            return FALSE
        index = self.index[dimension_of(key)]
        dimension = self.dimensions[index]
        return leaf({index: dimension.rest | dimension.where(lambda cell: not _is_clear(cell, key))})


_LIKE = {
    **dict.fromkeys(("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"), "ArnLike"),
    **dict.fromkeys(("StringEquals", "StringNotEquals", "StringLike", "StringNotLike"), "StringLike"),
}
"""Operators with wildcards that match the same ARNs, if the values of the others have no wildcards."""
_ORDERED_CALLER = "the operator compares numbers, dates, addresses or bytes, and the key follows from the caller"
_WILDCARDS = frozenset("*?")
_ACCOUNT_VARIABLE = re.compile(r"\$\{aws:principalaccount\}", re.IGNORECASE)
_ACCOUNT_PART, _ACCOUNT_DIGITS = 4, 12
_LONGEST_RESOURCE = 100
_OUTCOMES = {Truth.TRUE: AllowedSet.exact(TRUE), Truth.FALSE: NOTHING, Truth.UNDECIDED: OPEN}
_TIME_FAMILIES = {CURRENT_TIME: {"Date"}, EPOCH_TIME: {"Date", "Numeric"}}
_ALWAYS_NEEDED = (TAG_KEYS, TRANSITIVE_TAG_KEYS, SOURCE_IDENTITY)
SERVICE_LINKED_ROLES = "arn:*:iam::*:role/aws-service-role/*"


def starting_with(prefix: str) -> Patterns:
    """The strings that start with a prefix without wildcards."""
    return frozenset(outlines_of(Condition("StringLike", "", (f"{prefix}*",))))


def _is_clear(cell: KeyCell, key: str) -> bool:
    return all(context.get(key, ()) == cell.context.get(key, ()) for context in cell.contexts)


def _role_context(role: Role, worlds: Iterable[World]) -> Mapping[str, tuple[str, ...]]:
    """The keys that the role decides, with their values, as far as they are known."""
    account = role.arn.split(":")[4]
    context: dict[str, tuple[str, ...]] = {RESOURCE_ACCOUNT: (account,)}
    for key, value in role.tags.items():
        context.update({f"{prefix}{key.lower()}": (value,) for prefix in RESOURCE_TAGS})
    for world in worlds:
        if (membership := world.organizations.get(account)) is not None:
            context[RESOURCE_ORGANIZATION_ID] = (membership.organization_id,) if membership.organization_id else ()
            if membership.paths or not membership.organization_id:
                context[RESOURCE_ORGANIZATION_PATHS] = membership.paths
    return context
