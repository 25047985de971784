"""Check a rolecall certificate for any trust policy, with all condition operators of IAM.

Usage: python3 verify_full_certificate.py CERTIFICATE.json [--trust FILE]
Arguments, exit status and claims are those of verify_certificate.py, which also follows the steps.

Here conditions have wildcards, sets of values, numbers, dates and addresses. So this program finds every combination of
outcomes that any value of a dimension can have: it walks through the patterns of the policies, or tests a value in each
range between their numbers. Each combination must be that of a representative. If AWS does not document an outcome, it
counts as allowed for the policy that must allow less, and as denied for the other one. A policy variable compares two keys:
whether the condition holds is a dimension of its own, limited by what the keys permit. A claim can rely on facts about keys,
which are in aws_keys.json.
"""

import itertools
import json
import math
import re
import sys
from collections import namedtuple
from functools import partial
from pathlib import Path

from policy_conditions import (
    ANY,
    COMPARED,
    NO,
    TEXT,
    Automaton,
    Condition,
    Ordered,
    UndocumentedError,
    Work,
    agreed,
    all_true,
    both,
    concerns,
    either,
    negation,
    outcome,
    pattern,
    samples,
    walk,
)
from verify_certificate import ASSUMING, FALSE, NEEDS, TRUE, Unsupported, ensure, main, within

FACTS = json.loads(Path(__file__).with_name("aws_keys.json").read_text("utf-8"))
DIGITS = frozenset("0123456789")
WORD = DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_+=,.@-")
PATH = frozenset(map(chr, range(0x21, 0x80)))
BAR = frozenset("\n")  # separates the session name, empty for a user, and the ARN of a caller
SESSION = [(BAR, False, True), (BAR, True, False)]
TAG_KEYS, IDENTITY, KEPT = "aws:tagkeys", "sts:sourceidentity", "aws:sourceidentity"
MFA, MFA_AGE = "aws:multifactorauthpresent", "aws:multifactorauthage"
SEVERAL, MAX_WORK, MAX_CELLS = 2, 3_000_000, 10_000
KINDS = {"user", "role", "service", "provider"}
SERVICES = tuple(FACTS["service_domains"])
TYPES = {"Numeric": "integer", "Date": "date", "IpAddress": "ip", "Binary": "binary"}
EVERYONE = {("*", "*"), ("AWS", "*")}
# Values of keys by kind of caller: none, one, or several possible ones, where AWS does not document it.
FIXED = {
    "aws:principaltype": {"user": ["User"], "role": ["AssumedRole"], "service": [None], "provider": [None, "Anonymous"]},
    "aws:principalisawsservice": {kind: ["false"] for kind in KINDS} | {"service": ["true"], "provider": ["false", None]},
    "aws:principalaccount": {"service": [None], "provider": [None, "anonymous"]},
    "aws:principalarn": {"service": [None], "provider": [None]},
    "aws:username": {"role": [None], "service": [None], "provider": [None]},
}
RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
# What is observed of the values of a key: their number (2: several), whether every one and some of them match each matcher
# (as bits; bit 0: it is not empty), the kind of caller, and whether a source identity is kept from the caller's session.
Seen = namedtuple("Seen", "count every some kind kept", defaults=("", False))


class Dimension:
    """A part of a request: its representatives, and the questions of policies and facts about it."""

    def __init__(self, name, cells):
        self.name, self.cells, self.matchers, self.questions, self.masks = name, cells, [], [], []

    def add(self, matcher):
        """Add a matcher of values, and return its bit."""
        self.matchers.append(matcher)
        return len(self.matchers) - 1

    def bits(self, value):
        """The matchers that a value matches."""
        return sum(matcher.takes(value) << place for place, matcher in enumerate(self.matchers))

    def ask(self, question):
        """Add a question: a function of what is observed of a value. Return its place in `masks`."""
        self.questions.append(question)
        return len(self.questions) - 1

    def decide(self):
        """Answer the questions for each representative, and check that no value can have other answers."""

        def answers(seen):
            Work.spend(len(self.questions))
            return tuple(question(seen) for question in self.questions)

        found = [answers(self.observe(cell)) for cell in self.cells]
        ensure(set(map(answers, self.reachable())) <= set(found), f"the representatives of {self.name} are not complete")
        for question in zip(*found, strict=True):
            masks = [sum((a is True or a is undecided) << i for i, a in enumerate(question)) for undecided in (True, None)]
            self.masks.append(masks)


class Choice(Dimension):
    """A part with fixed values: the action, or whether a relation between keys holds."""

    def __init__(self, name, cells, values):
        super().__init__(name, cells)
        self.values = values

    def observe(self, cell):
        """The place of the value."""
        return Seen(1, self.values.index(cell), 0)

    def reachable(self):
        """All places."""
        return [Seen(1, place, 0) for place in range(len(self.values))]


class Key(Dimension):
    """The values of a context key."""

    def __init__(self, name, cells):
        super().__init__(name, cells)
        provider, _, claim = name.rpartition(":")
        names = [name, name[: name.find("/") + 1], f"*:{claim}" if "." in provider.partition("/")[0] else ""]
        self.facts = next((FACTS["keys"][one] for one in names if one in FACTS["keys"]), {"many": True})
        self.add(Automaton([[(NO, False, False), ANY]]))

    def observe(self, cell):
        """The values of a representative. For sts:SourceIdentity, the same value twice is kept from the caller's session."""
        kept = self.name == IDENTITY and len(cell) == SEVERAL and cell[0] == cell[1]
        bits = [self.bits(value) for value in (cell[:1] if kept else cell)]
        every = bits[0] if bits else 0
        some = every
        for more in bits:
            every, some = every & more, some | more
        return Seen(min(len(bits), SEVERAL), every, some, "", kept)

    def reachable(self):
        """Everything that can be observed of values of the key."""
        found = {(bits, bits) for bits in self._single()}
        singles, todo = [bits for bits, _ in found], list(found)
        yield from [Seen(0, 0, 0)] * (set(self.facts.get("always", [])) < KINDS)
        yield from (Seen(1, bits, bits, "", kept) for bits in singles for kept in {False, self.name == IDENTITY})
        while todo and self.facts.get("many"):  # several values: any combination, as every one and some follow from each
            every, some = todo.pop()
            for bits in singles:
                Work.spend(1)
                if (pair := (every & bits, some | bits)) not in found:
                    found.add(pair)
                    todo.append(pair)
        yield from (Seen(SEVERAL, every, some) for every, some in found if self.facts.get("many"))

    def _single(self):
        kind, ordered = self.facts.get("type"), [matcher for matcher in self.matchers if isinstance(matcher, Ordered)]
        if kind == "bool":
            return {self.bits("true"), self.bits("false")}
        if ordered:
            one = {matcher.family for matcher in ordered}
            alike = len(one) == 1 and len(ordered) == len(self.matchers) - 1
            ensure(alike, "comparisons of several kinds with a key", Unsupported)
            family, values = one.pop(), [value for matcher in ordered for value in matcher.values]
            values = samples(values, family, kind == "integer")
            found = {1 + sum(matcher.fits(value) << place for place, matcher in enumerate(ordered, 1)) for value in values}
            return found if TYPES.get(family) == kind else found | {self.bits(""), self.bits("!")}
        shape = {"shortest": 0, "pattern": "*", "longest": math.inf} | FACTS["shapes"].get(self.facts.get("shape"), {})
        letters = re.compile(f"[{shape['characters']}]" if "characters" in shape else ".", re.DOTALL)
        others = frozenset(character for character in map(chr, range(128)) if not letters.fullmatch(character))
        symbol = (others, False)
        if "characters" in shape and "beyond_ascii" not in shape:
            symbol = (frozenset(map(chr, range(128))) - others, True)
        limits = [[(*symbol, False)] * shape["shortest"] + [(*symbol, True)], pattern("Like", shape["pattern"])]
        return walk([Automaton([limit]) for limit in limits], self.matchers, shape["longest"])

    def test(self, condition, values):
        """A function of what is seen: number of values, whether every one and some match, and whether some are not empty."""
        bit = 0 if condition.base == "Null" else self.add(condition.matcher(values))

        def facts(seen):
            count = int(seen.kept) if condition.key == KEPT else seen.count
            return [(count, bool(seen.every >> bit & 1), bool(seen.some >> bit & 1), bool(count and seen.some & 1))]

        return facts


class Caller(Dimension):
    """The callers. They are read as session name, BAR, ARN; a service or identity provider as its name."""

    def __init__(self, cells, partition, statements):
        super().__init__("caller", cells)
        self.head, principals = f"arn:{partition}:iam::", {pair for s in statements for pair in s.principals}
        self.arn = re.compile(rf"arn:{partition}:iam::[0-9]{{12}}:(role|user)/.+", re.DOTALL)
        self.services = {name for kind, name in principals if kind == "Service"}
        self.providers = {name for kind, name in principals if kind == "Federated"}
        usual = all(name.endswith(SERVICES) or "*" in name for name in self.services) and not self.services & self.providers
        ensure(usual, "an AWS service with an unusual name", Unsupported)
        self.has_sessions = any(":assumed-role/" in name for _, name in principals)

    def observe(self, cell):
        """A caller, given as its ARN or name; a role's session as its ARN and that of its role."""
        found = self.arn.fullmatch(cell[-1])
        service = (
            cell[0] not in self.providers and cell[0].endswith(SERVICES) and not cell[0].startswith("cognito-identity.")
        )
        kind = found[1] if found else "service" if service else "provider"
        text = (cell[0].rpartition("/")[2] if len(cell) > 1 else "") + "\n" + cell[-1] if found else cell[0]
        bits = self.bits(text)
        return Seen(1, bits, bits, kind)

    def reachable(self):
        """Everything that can be observed of callers. AWS names at least one other service and provider of each kind."""
        kinds, word = {}, [(WORD, True, False), (WORD, True, True)]
        for kind in ("role", "user"):
            session = [(WORD, True, False), *word] if kind == "role" and self.has_sessions else []
            start = [*session, *pattern("Equals", "\n" + self.head), *[(DIGITS, True, False)] * 12]
            start += pattern("Equals", f":{kind}/")
            paths = ([], [(PATH, True, False), (PATH, True, True), *pattern("Equals", "/")])
            kinds[kind] = walk([Automaton([[*start, *path, *word] for path in paths])], self.matchers)
        yield from (Seen(1, bits, bits, kind) for kind, found in kinds.items() for bits in found)
        named = self.services | self.providers
        for form in ("other{}.amazonaws.com", self.head + "000000000000:saml-provider/other{}", "other{}.example.com"):
            named.add(next(name for name in map(form.format, itertools.count()) if name not in named))
        yield from (self.observe([name]) for name in named)

    def test(self, condition, values):
        """As `Key.test`; several results if AWS does not document the value of the key."""
        ensure(condition.base not in COMPARED, "a comparison of numbers with a key of the caller", Unsupported)
        head, excluded, suffix = [[*SESSION, *pattern("Equals", self.head)]], NO, ()
        if condition.key == "aws:principalaccount":
            excluded, suffix = frozenset(":"), (*pattern("Equals", ":"), ANY)
        elif condition.key == "aws:username":
            user = [*head[0], (frozenset(":"), False, True), *pattern("Equals", ":user/")]
            head, excluded = [user, [*user, ANY, *pattern("Equals", "/")]], frozenset("/")
        elif condition.key == "aws:principalarn":
            head = [SESSION]
        bit = self.add(condition.matcher(values, head, excluded, suffix))
        plain = condition.matcher(values)

        def facts(seen):
            fixed = FIXED[condition.key].get(seen.kind)
            if fixed is None:
                return [(1, *[bool(seen.every >> bit & 1)] * 2, True)]
            return [(0, False, False, False) if one is None else (1, *[plain.takes(one)] * 2, True) for one in fixed]

        return facts


class Checker:
    """The representatives of a certificate, and what the policies decide for them."""

    def __init__(self, certificate, policies):
        """Check that the representatives are complete."""
        Work.left, self.cells, self.tags = MAX_WORK, certificate["dimensions"], certificate["tags"]
        ensure(sum(map(len, self.cells.values())) <= MAX_CELLS, "there are too many representatives")
        partition, account = re.fullmatch("arn:([a-z-]+):iam::([0-9]{12}):role/.+", certificate["role"]).groups()
        self.role_keys, self.uses_tags = {"aws:resourceaccount": account}, "resourcetag/" in str(policies).lower()
        for key, value in self.tags.items():
            self.role_keys |= {prefix + key.lower(): value for prefix in RESOURCE_TAGS}
        statements = [statement for found in policies.values() for statement in found]
        self.dimensions = {"caller": Caller(self.cells["caller"], partition, statements)}
        self.dimensions["action"] = Choice("action", self.cells["action"], [[action] for action in ASSUMING])
        self.impossible = {"relations": []}
        self.rules = {name: [(s, self._rule(s)) for s in found] for name, found in policies.items()}
        self.assumes = [(a, self._leaf({"action": lambda seen, i=i: seen.every == i})) for i, a in enumerate(ASSUMING)]
        self.passes = [(action, self._leaf({key: lambda seen: seen.count > 0})) for key, action in NEEDS.items()]
        for name in {fact for claim in certificate["claims"].values() for fact in claim["facts"]}:
            self.impossible[name] = [self._leaf(questions) for questions in self._fact(name)]
        for dimension in self.dimensions.values():
            dimension.decide()
        self.box = {name: (1 << len(dimension.cells)) - 1 for name, dimension in self.dimensions.items()}

    def _dimension(self, key):
        """The dimension of a key. The keys of the caller share one, and so do the two for source identities."""
        name = "caller" if key in FIXED else IDENTITY if key == KEPT else key
        ensure(not name.startswith(RESOURCE_TAGS), "a condition on a tag of the role that it does not have", Unsupported)
        if name not in self.dimensions:
            self.dimensions[name] = Key(name, self.cells[name])
        return self.dimensions[name]

    def _leaf(self, questions):
        """The requests for which questions on dimensions are true; `weak`: also those for which they are undecided."""
        places = {name: self._dimension(name).ask(question) for name, question in questions.items()}

        def value(weak, box):
            Work.spend(len(places))
            return within({name: self.dimensions[name].masks[place][weak] for name, place in places.items()}, box)

        return value

    def _rule(self, statement):
        """The requests to which a statement applies."""
        try:
            conditions = [Condition(*one, statement.variables, self.role_keys) for one in statement.conditions]
            questions = {"caller": [self._principal(statement)]}
            spelled = {(operator, key.lower()) for operator, key, _ in statement.conditions}
            usual = len(spelled) == len(conditions) and statement.principals and not statement.not_principals
            if not usual or bool(statement.actions) == bool(statement.not_actions):
                raise UndocumentedError
        except UndocumentedError:
            return lambda weak, _box: TRUE if weak else FALSE
        relations = []
        for condition in conditions:
            known = [self.role_keys.get(condition.key)] if condition.key in self.role_keys else []
            if known or condition.key.startswith(RESOURCE_TAGS):
                ensure(not any(condition.variables), "a policy variable in a condition on the role", Unsupported)
                fits = bool(known) and condition.matcher(condition.values).takes(known[0])
                constant = condition.outcome(len(known), fits, fits, any(known))
                questions["caller"].append(lambda _seen, constant=constant: constant)
            elif any(condition.variables):
                relations.append(self._relation(condition))
            else:
                dimension = self._dimension(condition.key)
                test = dimension.test(condition, condition.values)
                questions.setdefault(dimension.name, []).append(partial(outcome, condition, test))
        parts = [self._leaf({name: all_true(asked) for name, asked in questions.items()}), *relations]
        return both(*parts)

    def _principal(self, statement):
        """Whether Principal names a caller; undecided if it has others than accounts, users, roles, sessions, services."""
        caller, patterns, open_ended = self.dimensions["caller"], [], False
        for kind, name in statement.principals:
            account = re.fullmatch("([0-9]{12})|(arn:[^:]*:iam::[0-9]{12}:)root", name)
            session = re.fullmatch("arn:([^:]*):sts::([0-9]{12}):assumed-role/([^/]+)/([^/]+)", name)
            if (kind, name) not in EVERYONE and (kind not in ("AWS", "Service", "Federated") or set(name) & set("*?")):
                raise UndocumentedError
            if kind in ("Service", "Federated"):
                patterns.append(pattern("Equals", name))
            elif account:
                arn = account[2] or f"{caller.head}{account[1]}:"
                patterns.append([*SESSION, *pattern("Equals", arn), ANY])
            elif session:
                role = pattern("Equals", f"\narn:{session[1]}:iam::{session[2]}:role/")
                head, plain = [*pattern("Equals", session[4]), *role], pattern("Equals", session[3])
                patterns += [[*head, *plain], [*head, ANY, *pattern("Equals", "/"), *plain]]
            elif re.fullmatch("arn:[^:]*:iam::[0-9]{12}:(role|user)/.+", name):
                patterns.append([*SESSION, *pattern("Equals", name)])
            elif not re.fullmatch("arn:[^:]*:sts::[0-9]{12}:federated-user/.+", name) and (kind, name) not in EVERYONE:
                open_ended = True
        bit, everyone = caller.add(Automaton(patterns)), bool(EVERYONE & statement.principals)

        def question(seen):
            reached = everyone or bool(seen.every >> bit & 1)
            return reached or (None if open_ended else False)

        return question

    def _count(self, key, wanted):
        """The requests in which a key has this number of values; 2 for several."""
        if key in self.role_keys:
            return lambda _weak, _box: TRUE if wanted == 1 else FALSE
        test = self._dimension(key).test(Condition("Null", key, ["true"], False, {}), [])
        return self._leaf({self._dimension(key).name: lambda seen: agreed(facts[0] == wanted for facts in test(seen))})

    def _relation(self, condition):
        """The requests for which a condition with policy variables holds."""
        key, dimension, matching = condition.key, self._dimension(condition.key), []
        names = [one for part in condition.variables for one in part]
        missing = either(*(self._count(variable, 0) for variable, default in names if not default))
        several = either(*(self._count(variable, SEVERAL) for variable, _ in names))
        absent, one = self._count(key, 0), self._count(key, 1)
        for value, variables in zip(condition.values, condition.variables, strict=True):
            test = dimension.test(condition, [value])
            fits = self._leaf(
                {dimension.name: lambda seen, test=test: agreed(count == 1 and every for count, every, _, _ in test(seen))}
            )
            if variables:
                name = f"{TEXT[condition.base]} {json.dumps([key, value])}"
                if name not in self.dimensions:
                    self.dimensions[name] = Choice(name, self.cells[name], [["false"], ["true"]])
                ensure(isinstance(self.dimensions[name], Choice), "a key has the name of a condition")
                chance = both(fits, *(self._count(variable, 1) for variable, default in variables if not default))
                fits = self._leaf({name: lambda seen: seen.every == 1})
                self.impossible["relations"].append(both(fits, negation(chance)))
            matching.append(fits)
        matches = both(one, either(*matching))
        # If one value matches and another has a variable without a value, AWS does not document the outcome.
        unclear = both(matches, missing) if len(condition.values) > 1 and not condition.negated else either()
        holds = either(absent, both(one, negation(matches))) if condition.negated else both(matches, negation(unclear))
        undecided = either(unclear, several, self._count(key, SEVERAL))
        parts = [both(negation(several), holds), lambda weak, box: undecided(weak, box) if weak else FALSE]
        return either(*parts, *([absent] if condition.exists else []))

    def _fact(self, name):
        """The requests that do not exist by a fact about AWS: questions on dimensions, all of which are true for them."""
        key, caller = name.removeprefix("presence of "), self.dimensions["caller"]
        if name == "operations":  # providers use the operation of their protocol, all others sts:AssumeRole
            bit = caller.add(Automaton([pattern("Like", "arn:*:saml-provider/*")]))
            yield {"caller": lambda seen: seen.kind != "provider", "action": lambda seen: seen.every != 0}
            yield {"caller": lambda seen: seen.kind == "provider", "provided contexts": lambda seen: seen.count > 0}
            for place in (1, 2):  # AssumeRoleWithSAML, AssumeRoleWithWebIdentity
                yield {
                    "caller": lambda seen, place=place: seen.kind == "provider" and (seen.every >> bit & 1) == (place == 1),
                    "action": lambda seen, place=place: seen.every != place,
                }
        elif name == "source identity of sessions":  # only a session of a role keeps a source identity
            yield {"caller": lambda seen: seen.kind != "role", IDENTITY: lambda seen: seen.kept}
        elif name == "age of MFA":  # only a request with MFA has an age of it
            bit = self._dimension(MFA).add(Automaton([pattern("Equals", "true")]))
            yield {MFA_AGE: lambda seen: seen.count > 0, MFA: lambda seen: not seen.every >> bit & 1}
        elif name == "request tags":  # aws:RequestTag/x is present exactly if aws:TagKeys lists x
            for tag in [tag for tag in self.dimensions if tag.startswith("aws:requesttag/") and tag.isascii()]:
                bit = self._dimension(TAG_KEYS).add(Automaton([pattern("IgnoreCase", tag.partition("/")[2])]))
                for present in (True, False):
                    yield {
                        tag: lambda seen, present=present: (seen.count > 0) == present,
                        TAG_KEYS: lambda seen, present=present, bit=bit: bool(seen.some >> bit & 1) != present,
                    }
        else:  # only requests of some callers have the key, or those of some always have it
            ensure(name.startswith("presence of ") and isinstance(self._dimension(key), Key), "it relies on an unknown fact")
            facts = self._dimension(key).facts
            yield {
                "caller": lambda seen: seen.kind not in facts.get("callers", [seen.kind]),
                key: lambda seen: seen.count > 0,
            }
            yield {"caller": lambda seen: seen.kind in facts.get("always", []), key: lambda seen: seen.count == 0}

    def _allows(self, policy, weak, box):
        """Whether the policy allows the requests of the box; `weak`: also those of which AWS does not document it."""

        def permits(action):
            effects = {"Allow": [FALSE], "Deny": [FALSE]}
            for statement, rule in self.rules[policy]:
                if concerns(statement, action):
                    effects[statement.effect].append(rule(weak == (statement.effect == "Allow"), box))
            return min(max(effects["Allow"]), TRUE - max(effects["Deny"]))

        assumes = max(min(leaf(weak, box), permits(action)) for action, leaf in self.assumes)
        return min(assumes, *(max(TRUE - leaf(weak, box), permits(action)) for action, leaf in self.passes))

    def counterexample(self, facts, subset, superset, box):
        """Whether a request of the box can be allowed by one policy and not by the other."""
        impossible = [leaf(False, box) for name in ("relations", *facts) for leaf in self.impossible[name]]
        return min(
            self._allows(subset, True, box), TRUE - self._allows(superset, False, box), *(TRUE - part for part in impossible)
        )

    def notes(self, claims):
        """What else the proof relies on."""
        facts = ", ".join(sorted({fact for claim in claims.values() for fact in claim["facts"]}))
        tags = "; ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in self.tags.items())
        notes = [f"It assumes that the tags of the role are exactly these: {tags}."] * self.uses_tags
        return notes + [f"It relies on these facts, which AWS documents: {facts}."] * bool(facts)


if __name__ == "__main__":
    sys.exit(main(Checker))
