"""Check a rolecall certificate for any trust policy, with all condition operators of IAM.

Usage: python3 verify_full_certificate.py CERTIFICATE.json [--trust FILE]
FILE: the trust policy as JSON, or the output of `aws iam get-role`; the certificate must be about it.
Exit status: 0 accepted, 1 rejected, 2 wrong usage or not covered. Requires Python 3.11 and no other package.

The certificate claims that every request that one policy allows is allowed by another one. It lists representatives for
each dimension of a request (caller, action, each context key), and steps that split all requests into parts. This
program checks that the representatives are complete, and that no part has a request that only the one policy allows.

Here conditions have wildcards, sets of values, numbers, dates and addresses. So this program finds every combination of
outcomes that any value of a dimension can have: it walks through the patterns of the policies, or tests a value in each
range between their numbers. Each combination must be that of a representative. If AWS does not document an outcome, it
counts as allowed for the policy that must allow less, and as denied for the other one. A policy variable compares two
keys: whether the condition holds is a dimension of its own, limited by what the keys permit. A claim can rely on facts.
"""

import base64
import itertools
import json
import math
import re
import sys
from collections import namedtuple
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path

ASSUMING = ("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
CLAIMS = {"nothing_else": ("trust", "intent"), "everything_intended": ("intent", "trust")}
# The permission that a request needs in addition if it has a value there.
NEEDS = {"aws:tagkeys": "sts:TagSession", "sts:transitivetagkeys": "sts:TagSession"}
NEEDS |= {"sts:sourceidentity": "sts:SetSourceIdentity", "provided contexts": "sts:SetContext"}
FALSE, TRUE = 0, 2  # three-valued logic; 1 is open. "And" is min, "or" is max, "not" is TRUE minus the value.
Unsupported, MAX_BYTES, MAX_POLICY, MAX_STEPS = NotImplementedError, 2_000_000, 20_000, 100_000
ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Principal", "NotPrincipal", "Condition"}
Statement = namedtuple("Statement", "effect actions not_actions principals not_principals conditions variables")
# What AWS documents about values by shape: characters, shortest, longest, and a pattern.
SHAPES = {
    "account-id": {"characters": "0-9", "shortest": 12, "longest": 12},
    "arn": {"shortest": 0, "pattern": "arn:*:*:*:*:*"},
    "external-id": {"characters": "\\w+=,.@:/-", "shortest": 2, "longest": 1224},
    "not-empty": {"shortest": 1},
    "organization-id": {"shortest": 1, "longest": 34, "pattern": "o-*"},
    "organization-path": {"shortest": 1, "pattern": "o-*/*"},
    "region": {"shortest": 1},
    "session-name": {"characters": "\\w+=,.@-", "shortest": 1, "longest": 64},
    "source-identity": {"characters": "\\w+=,.@-", "shortest": 2, "longest": 64},
    "tag-key": {"characters": "\\w.:/=+@ -", "beyond_ascii": True, "shortest": 1, "longest": 128},
    "tag-value": {"characters": "\\w.:/=+@ -", "beyond_ascii": True, "shortest": 0, "longest": 256},
    "user-id": {"shortest": 1},
}
# What AWS documents about keys: which can have several values, the type or shape of the values, the kinds of callers
# that can have the key, and those that always have it. A key that is not listed takes every form.
# Source: IAM User Guide and STS API Reference, November 2026.
PEOPLE, ALL = ("user", "role"), ("user", "role", "service", "provider")
FROM_GITHUB = "actor actor_id enterprise_id environment job_workflow_ref ref repository repository_id workflow"
GITHUB = " ".join(f"token.actions.githubusercontent.com:{claim}" for claim in FROM_GITHUB.split())
TABLES = {
    "many": {
        True: (
            "aws:calledvia aws:principalorgpaths aws:principalservicenameslist aws:resourceorgpaths "
            "aws:sourceorgpaths aws:tagkeys sts:transitivetagkeys"
        ),
    },
    "type": {
        "date": "aws:currenttime aws:tokenissuetime",
        "ip": "aws:ec2instancesourceprivateipv4 aws:sourceip aws:vpcsourceip",
        "integer": "aws:epochtime aws:multifactorauthage sts:durationseconds",
        "bool": "aws:multifactorauthpresent aws:securetransport aws:viaawsservice",
    },
    "shape": {
        "arn": "aws:chatbotsourcearn aws:sourcearn aws:sourcevpcarn ec2:sourceinstancearn lambda:sourcefunctionarn",
        "organization-id": "aws:principalorgid aws:resourceorgid aws:sourceorgid",
        "account-id": "aws:principalorgmasteraccountid aws:resourceaccount aws:sourceaccount",
        "organization-path": "aws:principalorgpaths aws:resourceorgpaths aws:sourceorgpaths",
        "region": "aws:requestedregion",
        "user-id": "aws:userid",
        "tag-value": "aws:requesttag/ aws:resourcetag/ iam:resourcetag/",
        "source-identity": "aws:sourceidentity sts:sourceidentity",
        "tag-key": "aws:tagkeys sts:transitivetagkeys",
        "external-id": "sts:externalid",
        "session-name": "sts:rolesessionname",
    },
    "callers": {
        ("role", "provider"): "*:aud *:sub aws:federatedprovider saml:aud saml:iss saml:sub saml:sub_type " + GITHUB,
        ("role",): (
            "aws:ec2instancesourceprivateipv4 aws:ec2instancesourcevpc aws:sourceidentity ec2:sourceinstancearn "
            "lambda:sourcefunctionarn"
        ),
        PEOPLE: (
            "aws:multifactorauthage aws:multifactorauthpresent aws:principalorgid aws:principalorgmasteraccountid "
            "aws:principalorgpaths"
        ),
        ("service",): (
            "aws:principalservicename aws:principalservicenameslist aws:sourceaccount aws:sourcearn aws:sourceorgid "
            "aws:sourceorgpaths"
        ),
        ("user", "role", "service"): "aws:tokenissuetime sts:externalid",
    },
    "range": {(900, 43_200): "sts:durationseconds"},
    "always": {
        ALL: "aws:currenttime aws:epochtime aws:requestedregion aws:securetransport aws:useragent sts:rolesessionname",
        PEOPLE: "aws:userid",
    },
}
ANY_VALUE = "aws:calledviafirst aws:calledvialast aws:principaltag/ aws:referer aws:sourcevpc aws:sourcevpce"
KEYS = {name: {} for name in ANY_VALUE.split()}
for attribute, table in TABLES.items():
    for value, names in table.items():
        for name in names.split():
            KEYS.setdefault(name, {})[attribute] = value
RESULT = """ACCEPTED. {} can be assumed {} as this policy allows, and in no other way:
{}
This is proven for every possible request, whatever the caller's own policies allow. The trust policy {}.
Root users and callers of another partition cannot assume roles. Policies of an organization can only deny more."""


def ensure(condition, reason, error=ValueError):
    """Reject the certificate unless the condition holds. Unsupported: it is not covered."""
    if not condition:
        raise error(reason)


def within(leaf, box):
    """Whether all requests of the box have representatives of the leaf (TRUE), none has (FALSE), or some have (1)."""
    return min((box[dimension] & mask != 0) + (box[dimension] & ~mask == 0) for dimension, mask in leaf.items())


def read_json(path):
    """Parse a JSON file, in which no object may have a key twice."""

    def unique(pairs):
        ensure(len(dict(pairs)) == len(pairs), "an object has a key twice")
        return dict(pairs)

    ensure(path.stat().st_size <= MAX_BYTES, "the file is too large")
    return json.loads(path.read_text("utf-8"), object_pairs_hook=unique, parse_constant=int)


def read_policy(policy):
    """The statements of a policy, without Sid, and independent of their order and of the form of single values.

    `variables` of a statement: the version of the policy supports policy variables.
    """

    def strings(value):
        values = value if isinstance(value, list) else [value]
        values = [str(item).lower() if isinstance(item, bool) else item for item in values]
        ensure(all(isinstance(item, str) for item in values), "a policy has a value that is not a string")
        return frozenset(values)

    def principals(value):
        value = {value: value} if isinstance(value, str) else value
        return frozenset((kind, name) for kind, names in value.items() for name in strings(names))

    found, version = set(), policy.get("Version", "2008-10-17")
    ensure(len(json.dumps(policy)) <= MAX_POLICY, "a policy is too large")
    usual = version in ("2008-10-17", "2012-10-17") and set(policy) <= {"Version", "Id", "Statement"}
    ensure(usual, "a policy has an unknown form", Unsupported)
    for body in policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]:
        usual = set(body) <= ELEMENTS and body["Effect"] in ("Allow", "Deny")
        ensure(usual, "a statement has an unknown form", Unsupported)
        parts = [strings(body.get(name, [])) for name in ("Action", "NotAction")]
        parts += [principals(body.get(name, {})) for name in ("Principal", "NotPrincipal")]
        conditions = frozenset(
            (operator, key, strings(values))
            for operator, keys in body.get("Condition", {}).items()
            for key, values in keys.items()
        )
        found.add(Statement(body["Effect"], *parts, conditions, version == "2012-10-17"))
    return frozenset(found)


NO, COLON = frozenset(), frozenset(":")
ARN_COLONS = 5  # between the six components of an ARN
ANY = (NO, False, True)  # the symbol for any number of any characters


class UndocumentedError(Exception):
    """AWS does not document what a statement does."""


class Work:
    """Limit of the work for one certificate, so that checking it ends within seconds."""

    left = 0

    @classmethod
    def spend(cls, steps):
        """Reject the certificate if the limit is exceeded."""
        cls.left -= steps
        ensure(cls.left > 0, "checking it takes too much work")


class Automaton:
    """A union of patterns. A pattern is a list of symbols (characters, included, repeats): one character that is in the
    set (included) or not in it, or any number of them. A state has a bit for each position that can be reached.
    """

    def __init__(self, patterns):
        self.named, self.closed, self.cache = {}, {}, {}
        self.sets = {symbol[0] for pattern in patterns for symbol in pattern}
        self.wild = self.repeats = self.final = self.universal = start = 0
        position = 1
        for pattern in patterns:
            start |= position
            for index, (characters, included, repeats) in enumerate(pattern):
                for character in characters:
                    table = self.named if included else self.closed
                    table[character] = table.get(character, 0) | position
                self.wild |= 0 if included else position
                self.repeats |= position if repeats else 0
                self.universal |= position if pattern[index:] == [ANY] else 0
                position <<= 1
            self.final |= position
            position <<= 1
        self.start, self.weight = self._close(start), 1 + position.bit_length() // 256

    def _close(self, state):
        while (more := state | (state & self.repeats) << 1) != state:
            state = more
        return -1 if state & self.universal else state  # -1: accepts all strings that follow

    def _moves(self, state, character):
        return state & (self.named.get(character, 0) | self.wild & ~self.closed.get(character, 0))

    def step(self, state, character):
        """The state after one more character."""
        if state > 0 and (state, character) not in self.cache:
            moves = self._moves(state, character)
            self.cache[state, character] = self._close(moves & self.repeats | (moves & ~self.repeats) << 1)
        return self.cache[state, character] if state > 0 else state

    def distinct(self, state, alphabet):
        """The characters that the state distinguishes from the first one of the alphabet."""
        if state not in self.cache:
            usual = self._moves(state, alphabet[0]) if state > 0 else 0
            self.cache[state] = [c for c in alphabet if state > 0 and self._moves(state, c) != usual]
        return self.cache[state]

    def accepts(self, state):
        """Whether the characters read so far match a pattern."""
        return state & self.final != 0

    def takes(self, text):
        """Whether the text matches a pattern."""
        Work.spend(len(text) * self.weight)
        state = self.start
        for character in text:
            state = self.step(state, character)
        return self.accepts(state)


def walk(limits, automata, longest=math.inf):
    """Every combination of answers of the automata, as bits, to a string that the limits accept."""
    machines = [*limits, *automata]
    sets = set().union(*(machine.sets for machine in machines))
    named = sorted(set().union(*sets))
    kinds = {NO: next(chr(code) for code in itertools.count(0x2603) if chr(code) not in named)}
    for character in named:  # one character for each combination of sets: no symbol distinguishes the others from it
        kinds.setdefault(frozenset(one for one in sets if character in one), character)
    alphabet, weight = list(kinds.values()), sum(machine.weight for machine in machines)
    level = {tuple(machine.start for machine in machines)}
    seen, found, length = set(), set(), 0
    while level and length <= longest:
        seen |= level
        following = set()
        for states in level:
            pairs = list(zip(machines, states, strict=True))
            answers = [machine.accepts(state) for machine, state in pairs]
            if all(answers[: len(limits)]):
                found.add(sum(answer << place for place, answer in enumerate(answers[len(limits) :])))
            for character in {alphabet[0]}.union(*(machine.distinct(state, alphabet) for machine, state in pairs)):
                Work.spend(weight)
                following.add(tuple(machine.step(state, character) for machine, state in pairs))
        level, length = {states for states in following - seen if all(states[: len(limits)])}, length + 1
    return found


def pattern(kind, value, template=False, excluded=NO):
    """A value of a condition as a pattern. `template`: it can have policy variables, which stand for any string."""
    symbols, colons = [], 0
    parts = re.findall(r"\$\{([^}]*)\}|(.)", value, re.DOTALL) if template else [("", one) for one in value]
    for inside, character in parts:
        wild = excluded | (COLON if kind == "Arn" and colons < ARN_COLONS else NO)
        if not character and inside not in ("*", "?", "$"):
            symbols.append((wild, False, True))
        elif character and character in "*?" and kind in ("Like", "Arn"):
            symbols.append((wild, False, character == "*"))
        else:
            letter = character or inside
            colons += letter == ":"
            ensure(kind != "IgnoreCase" or letter.isascii(), "a comparison ignoring case beyond ASCII", Unsupported)
            same = {letter.lower(), letter.upper(), *"\u212a" * (letter in "kK")} if kind == "IgnoreCase" else letter
            symbols.append((frozenset(same), True, False))
    if kind == "Arn" and colons < ARN_COLONS:
        raise UndocumentedError
    return symbols


ORDERS = {"Equals": {0}, "LessThan": {-1}, "LessThanEquals": {-1, 0}, "GreaterThan": {1}, "GreaterThanEquals": {0, 1}}


def read_date(text):
    """Seconds since 1970, from ISO 8601 or from seconds; four digits are a year."""
    if re.fullmatch(r"-?[0-9]{5,20}(\.[0-9]{1,20})?|[0-9]{1,3}", text) and not re.fullmatch("[0-9]{8}", text):
        return Fraction(text)
    if re.fullmatch("[0-9]{4}(-[0-9]{2})?", text):
        text += "-01" if "-" in text else "-01-01"
    found = datetime.fromisoformat(text)
    return Fraction((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def read_number(text):
    """A decimal number. Raises ValueError."""
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", text.strip()):
        raise ValueError(text)
    return Fraction(text.strip())


class Ordered:
    """The values of a condition that compares numbers, dates, addresses or bytes."""

    READ = {"Numeric": read_number, "Date": read_date, "IpAddress": ip_address}  # noqa: RUF012
    READ["Binary"] = partial(base64.b64decode, validate=True)

    def __init__(self, base, values):
        self.family = next(name for name in self.READ if base.startswith(name))
        self.signs = ORDERS.get(base.removeprefix(self.family), ())
        try:
            networks = self.family == "IpAddress"
            self.values = [ip_network(v, strict=False) if networks else self.READ[self.family](v) for v in values]
        except (ValueError, OverflowError) as error:
            raise UndocumentedError from error
        numbers = [value.numerator for value in self.values if isinstance(value, Fraction)]
        self.weight = 1 + max(map(int.bit_length, numbers), default=0) // 256

    def fits(self, have):
        """Whether a number, date, address or byte string matches."""
        Work.spend(len(self.values) * self.weight)
        if self.family == "IpAddress":
            return any(have in network for network in self.values)
        return any((have > want) - (have < want) in self.signs for want in self.values)

    def takes(self, text):
        """Whether a string matches."""
        try:
            return self.fits(self.READ[self.family](text))
        except (ValueError, OverflowError):
            return False


def samples(wanted, family, integer):
    """The values that comparisons name, and one value in each range between them."""
    if family == "Binary":
        return [*wanted, b"".join(wanted) + b"!"]
    if family == "IpAddress":
        after = [(type(net[0]), int(net[-1]) + 1) for net in wanted if int(net[-1]) + 1 < 2**net.max_prefixlen]
        return [ip_address(0), ip_address("::"), *(net[0] for net in wanted), *(make(number) for make, number in after)]
    if integer:
        return [n for want in wanted for n in range(math.floor(want) - 1, math.ceil(want) + 2) if n >= 0]
    ends = sorted(set(wanted))
    return [ends[0] - 1, *ends, ends[-1] + 1, *((low + high) / 2 for low, high in itertools.pairwise(ends))]


TEXT = {"StringEquals": "Equals", "StringEqualsIgnoreCase": "IgnoreCase", "StringLike": "Like"}
TEXT |= {"ArnEquals": "Arn", "ArnLike": "Arn"}
COMPARED = {family + order for family in ("Numeric", "Date") for order in ORDERS} | {"IpAddress", "BinaryEquals"}
OPERATORS = {*TEXT, *COMPARED, "Bool", "Null"}
OPERATORS |= {"StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotEquals", "ArnNotLike"}
OPERATORS |= {"NumericNotEquals", "DateNotEquals", "NotIpAddress"}


class Condition:
    """One operator on one key."""

    def __init__(self, operator, key, values, variables, role_keys):
        found = re.fullmatch(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?", operator)
        if found is None or found[2] not in OPERATORS or not values or (found[2] == "Null" and operator != "Null"):
            raise UndocumentedError
        self.quantifier, self.base, self.exists = found[1], found[2].replace("Not", ""), found[3] is not None
        self.key, self.values, self.negated = key.lower(), sorted(values), "Not" in found[2]
        if self.base in ("Bool", "Null") and not {value.lower() for value in values} <= {"true", "false"}:
            raise UndocumentedError
        self.template = variables and self.base in TEXT and "${" in "".join(values)
        Work.spend(sum(len(value) * value.count("${") for value in self.values))
        filled = [self._filled(value, role_keys) if self.template else value for value in self.values]
        if self.template and not any(map(self._variables, filled)):
            self.values = filled
        self.variables = [self._variables(value) if self.template else [] for value in self.values]
        ensure(not any(self.variables) or not self.quantifier, "a policy variable with a set operator", Unsupported)
        self.matcher(self.values)

    def _variables(self, value):
        """The variables of a value: name, and whether it has a default."""
        names = [inside for inside in re.findall(r"\$\{([^}]*)\}", value) if inside not in ("*", "?", "$")]
        found = [re.fullmatch(r"\s*([^,'\s]+)\s*(?:,\s*'([^']*)'\s*)?", inside) for inside in names]
        if not all(found):
            raise UndocumentedError
        return [(name[1].lower(), name[2] is not None) for name in found]

    def _filled(self, value, role_keys):
        """The value with the variables replaced that the role determines."""
        for inside in re.findall(r"\$\{([^}]*)\}", value):
            known = role_keys.get(inside.partition(",")[0].strip().lower())
            value = value if known is None else value.replace("${" + inside + "}", re.sub(r"[*?$]", r"${\g<0>}", known))
        return value

    def matcher(self, values, prefixes=([],), excluded=NO, suffix=()):
        """What decides whether a value of the key matches any of the condition's values."""
        if self.base not in TEXT and self.base != "Bool":
            return Ordered(self.base, values) if self.base != "Null" else Automaton([])
        kind = TEXT.get(self.base, "IgnoreCase")
        return Automaton([[*p, *pattern(kind, v, self.template, excluded), *suffix] for v in values for p in prefixes])

    def outcome(self, count, every, some, filled):
        """Whether it holds for `count` values of which every one and some match; `filled`: some are not empty."""
        if self.base == "Null":
            return ("false" if filled else "true") in {value.lower() for value in self.values}
        counted = filled or count > 1  # for set operators, a single empty string is no value
        if self.quantifier == "ForAllValues":
            return not counted or (not some if self.negated else every)
        if self.quantifier == "ForAnyValue":
            return (counted and (not every if self.negated else some)) if count else self.exists
        if count == 0:
            return self.negated or self.exists
        return every != self.negated if count == 1 else None


def outcome(condition, test, seen):
    """The outcome of the condition for what is seen."""
    return agreed(condition.outcome(*facts) for facts in test(seen))


def agreed(outcomes):
    """The outcome if all are equal, otherwise None: undecided."""
    found = set(outcomes)
    return found.pop() if len(found) == 1 else None


def all_true(questions):
    """The question whether all questions are true; None is undecided."""

    def question(seen):
        answers = [question(seen) for question in questions]
        return False if False in answers else None if None in answers else True

    return question


# Sets of requests are functions of `weak` (whether undecided requests belong to it) and a box. Their value is TRUE if
# the set has all requests of the box, FALSE if it has none, and 1 if it is open.


def either(*parts):
    """The union of sets."""
    return lambda weak, box: max((part(weak, box) for part in parts), default=FALSE)


def both(*parts):
    """The intersection of sets."""
    return lambda weak, box: min((part(weak, box) for part in parts), default=TRUE)


def negation(part):
    """The complement of a set."""
    return lambda weak, box: TRUE - part(not weak, box)


def concerns(statement, action):
    """Whether the statement is about the action."""
    names = [pattern("Like", name.lower()) for name in statement.actions or statement.not_actions]
    same = bool(statement.actions) == bool(statement.not_actions)  # not a documented statement
    return same or Automaton(names).takes(action.lower()) == bool(statement.actions)


DIGITS = frozenset("0123456789")
WORD = DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_+=,.@-")
PATH = frozenset(map(chr, range(0x21, 0x80)))
BAR = frozenset("\n")  # separates the session name, empty for a user, and the ARN of a caller
SESSION = [(BAR, False, True), (BAR, True, False)]
TAG_KEYS, IDENTITY, KEPT = "aws:tagkeys", "sts:sourceidentity", "aws:sourceidentity"
MFA, MFA_AGE = "aws:multifactorauthpresent", "aws:multifactorauthage"
TRANSPORT = "aws:securetransport"
SEVERAL, MAX_WORK, MAX_CELLS = 2, 3_000_000, 10_000
KINDS = {"user", "role", "service", "provider"}
DOMAINS = ".amazonaws.com .amazonaws.com.cn .amazonaws.eu .c2s.ic.gov .sc2s.sgov.gov .cloud.adc-e.uk .csp.hci.ic.gov"
SERVICES = tuple(DOMAINS.split())
TYPES = {"Numeric": "integer", "Date": "date", "IpAddress": "ip", "Binary": "binary"}
EVERYONE = {("*", "*"), ("AWS", "*")}
# Values of keys by kind of caller: none, one, or several possible ones, where AWS does not document it.
ABSENT = {"service": [None], "provider": [None]}
FIXED = {
    "aws:principaltype": {**ABSENT, "user": ["User"], "role": ["AssumedRole"], "provider": [None, "Anonymous"]},
    "aws:principalisawsservice": {kind: ["false"] for kind in KINDS},
    "aws:principalaccount": {**ABSENT, "provider": [None, "anonymous"]},
    "aws:principalarn": ABSENT,
    "aws:username": {**ABSENT, "role": [None]},
}
FIXED["aws:principalisawsservice"] |= {"service": ["true"], "provider": ["false", None]}
RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
# What is observed of the values of a key: their number (2: several), whether every one and some match each matcher (as
# bits; bit 0: it is not empty), the kind of caller, and whether a source identity is kept from the caller's session.
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
        complete = set(map(answers, self.reachable())) <= set(found)
        ensure(complete, f"the representatives of {self.name} are not complete")
        for question in zip(*found, strict=True):
            sure = sum((answer is True) << place for place, answer in enumerate(question))
            weak = sum((answer is not False) << place for place, answer in enumerate(question))
            self.masks.append((sure, weak))


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
        self.facts = next((KEYS[one] for one in names if one in KEYS), {"many": True})
        self.add(Automaton([[(NO, False, False), ANY]]))

    def observe(self, cell):
        """The values of a representative. For sts:SourceIdentity, the same value twice is kept from the session."""
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
        while todo and self.facts.get("many"):  # several values: any combination
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
            if "range" in self.facts:
                low, high = self.facts["range"]
                values = [low, high, *(value for value in values if low < value < high)]
            numbered = list(enumerate(ordered, 1))
            found = {1 + sum(matcher.fits(value) << place for place, matcher in numbered) for value in values}
            return found if TYPES.get(family) == kind else found | {self.bits(""), self.bits("!")}
        shape = {"shortest": 0, "pattern": "*", "longest": math.inf} | SHAPES.get(self.facts.get("shape"), {})
        letters = re.compile(f"[{shape['characters']}]" if "characters" in shape else ".", re.DOTALL)
        others = frozenset(character for character in map(chr, range(128)) if not letters.fullmatch(character))
        symbol = (others, False)
        if "characters" in shape and "beyond_ascii" not in shape:
            symbol = (frozenset(map(chr, range(128))) - others, True)
        limits = [[(*symbol, False)] * shape["shortest"] + [(*symbol, True)], pattern("Like", shape["pattern"])]
        return walk([Automaton([limit]) for limit in limits], self.matchers, shape["longest"])

    def test(self, condition, values):
        """A function of what is seen: number of values, whether every one and some match, if some are not empty."""
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
        usual = all(name.endswith(SERVICES) or "*" in name for name in self.services)
        ensure(usual and not self.services & self.providers, "an AWS service with an unusual name", Unsupported)
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
        """Everything that can be observed of callers. There is at least one other service and provider of each kind."""
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
        ensure(not name.startswith(RESOURCE_TAGS), "a condition on a tag that the role does not have", Unsupported)
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
        """Whether Principal names a caller; undecided for others than accounts, users, roles, sessions, services."""
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
                {dimension.name: lambda seen, test=test: agreed(facts[0] == 1 and facts[1] for facts in test(seen))}
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
        """The requests that do not exist by a fact about AWS: questions, all of which are true for them."""
        key, caller = name.removeprefix("presence of "), self.dimensions["caller"]
        if name == "operations":  # providers use the operation of their protocol, all others sts:AssumeRole
            bit = caller.add(Automaton([pattern("Like", "arn:*:saml-provider/*")]))

            def others(place, is_saml):
                def uses(seen):
                    return seen.kind == "provider" and bool(seen.every >> bit & 1) == is_saml

                return {"caller": uses, "action": lambda seen: seen.every != place}

            yield {"caller": lambda seen: seen.kind != "provider", "action": lambda seen: seen.every != 0}
            yield {"caller": lambda seen: seen.kind == "provider", "provided contexts": lambda seen: seen.count > 0}
            yield others(ASSUMING.index("sts:AssumeRoleWithSAML"), is_saml=True)
            yield others(ASSUMING.index("sts:AssumeRoleWithWebIdentity"), is_saml=False)
        elif name == "source identity of sessions":  # only a session of a role keeps a source identity
            yield {"caller": lambda seen: seen.kind != "role", IDENTITY: lambda seen: seen.kept}
        elif name == "age of MFA":  # only a request with MFA has an age of it
            bit = self._dimension(MFA).add(Automaton([pattern("Equals", "true")]))
            yield {MFA_AGE: lambda seen: seen.count > 0, MFA: lambda seen: not seen.every >> bit & 1}
        elif name == "HTTPS":  # requests to AWS STS are HTTPS requests
            bit = self._dimension(TRANSPORT).add(Automaton([pattern("Equals", "true")]))
            yield {TRANSPORT: lambda seen: not seen.every >> bit & 1}
        elif name == "request tags":  # aws:RequestTag/x is present exactly if aws:TagKeys lists x
            for tag in [tag for tag in self.dimensions if tag.startswith("aws:requesttag/") and tag.isascii()]:
                bit = self._dimension(TAG_KEYS).add(Automaton([pattern("IgnoreCase", tag.partition("/")[2])]))
                for present in (True, False):
                    yield {
                        tag: lambda seen, present=present: (seen.count > 0) == present,
                        TAG_KEYS: lambda seen, present=present, bit=bit: bool(seen.some >> bit & 1) != present,
                    }
        else:  # only requests of some callers have the key, or those of some always have it
            known = name.startswith("presence of ") and isinstance(self._dimension(key), Key)
            ensure(known, "it relies on an unknown fact")
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

    def _counterexample(self, facts, subset, superset, box):
        """Whether a request of the box can be allowed by one policy and not by the other."""
        exists = [TRUE - leaf(False, box) for name in ("relations", *facts) for leaf in self.impossible[name]]
        return min(self._allows(subset, True, box), TRUE - self._allows(superset, False, box), *exists)

    def follow(self, steps, facts, subset, superset):
        """Check that the one policy allows no request that the other one denies. Steps: a split, or null for a part."""
        ensure(len(steps) * sum(map(len, self.rules.values())) <= MAX_STEPS, "there are too many steps")
        boxes = [self.box]
        for step in steps:
            ensure(boxes, "there are more steps than parts")
            part = boxes.pop()
            if step is None:
                is_proven = not all(part.values()) or self._counterexample(facts, subset, superset, part) == FALSE
                ensure(is_proven, "the steps leave a request open")
            else:
                dimension, places = step
                mask = sum(1 << place for place in set(places) if place < len(self.cells[dimension]))
                boxes += [{**part, dimension: part[dimension] & ~mask}, {**part, dimension: part[dimension] & mask}]
        ensure(not boxes, "the steps do not cover all requests")

    def notes(self, claims):
        """What else the proof relies on."""
        facts = ", ".join(sorted({fact for claim in claims.values() for fact in claim["facts"]}))
        tags = "; ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in self.tags.items())
        notes = [f"It assumes that the tags of the role are exactly these: {tags}."] * self.uses_tags
        return notes + [f"It relies on these facts, which AWS documents: {facts}."] * bool(facts)


def check(path, trust_path=None):
    """Check a certificate, and that it is about the trust policy of a file. Return the exit status and the result."""
    try:
        certificate = read_json(path)
        ensure(certificate["format"] == "rolecall certificate 1", "unknown format", Unsupported)
        role, claims, documents = certificate["role"], certificate["claims"], certificate["policies"]
        policies = {name: read_policy(documents[name]) for name in ("trust", "intent")}
        if trust_path:
            ensure(trust_path.suffix != ".tf", "only verify_certificate.py compares main.tf", Unsupported)
            found = read_json(trust_path)
            found = found.get("Role", found)
            same = read_policy(found.get("AssumeRolePolicyDocument", found)) == policies["trust"]
            same = same and found.get("Arn", role) == role
            ensure(same, "the certificate is about another role or trust policy than the file")
        ensure("nothing_else" in claims, "it is not claimed that only intended requests are allowed")
        checker = Checker(certificate, policies)
        for name, claim in claims.items():
            checker.follow(claim["steps"], claim["facts"], *CLAIMS[name])
        kind = "exactly" if "everything_intended" in claims else "only"
        known = "is that of the file" if trust_path else "is in the certificate; use --trust to compare it with yours"
        lines = [RESULT.format(json.dumps(role), kind, json.dumps(documents["intent"], indent=2), known)]
        return 0, "\n".join([*lines, *checker.notes(claims)])
    except (OSError, Unsupported) as error:
        return 2, f"NOT CHECKED: {ascii(str(error))[1:-1]}"
    except Exception as error:  # whatever is wrong with a certificate, it is not accepted
        return 1, f"REJECTED: {ascii(str(error))[1:-1]}"


if __name__ == "__main__":
    is_usual = len(sys.argv) in (2, 4) and sys.argv[2:3] in ([], ["--trust"])
    status, result = check(*map(Path, sys.argv[1::2])) if is_usual else (2, __doc__.split("\n\n")[1])
    sys.stdout.write(result + "\n")
    sys.exit(status)
