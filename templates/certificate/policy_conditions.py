"""Conditions of policies: operators, patterns as automata, comparisons, and all combinations of outcomes of values.

Part of verify_full_certificate.py.
"""

import base64
import itertools
import math
import re
from datetime import UTC, datetime
from fractions import Fraction
from ipaddress import ip_address, ip_network

from verify_certificate import FALSE, TRUE, Unsupported, ensure

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
    """A union of patterns. A pattern is a list of symbols (characters, included, repeats): one character that is in the set
    (included) or not in it, or any number of them. A state has a bit for each position that the text read so far can reach.
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
            answers = [machine.accepts(state) for machine, state in zip(machines, states, strict=True)]
            if all(answers[: len(limits)]):
                found.add(sum(answer << place for place, answer in enumerate(answers[len(limits) :])))
            pairs = list(zip(machines, states, strict=True))
            for character in {alphabet[0]}.union(*(machine.distinct(state, alphabet) for machine, state in pairs)):
                Work.spend(weight)
                following.add(tuple(machine.step(state, character) for machine, state in pairs))
        level, length = {states for states in following - seen if all(states[: len(limits)])}, length + 1
    return found


def pattern(kind, value, template=False, excluded=NO):
    """A value of a condition as a pattern. `template`: it can have policy variables, which stand for any string."""
    symbols, colons = [], 0
    for inside, character in re.findall(r"\$\{([^}]*)\}|(.)", value, re.DOTALL) if template else [("", c) for c in value]:
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


ORDERS = {"Equals": (0,), "LessThan": (-1,), "LessThanEquals": (-1, 0), "GreaterThan": (1,), "GreaterThanEquals": (0, 1)}


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


def read_bytes(text):
    """The bytes that a base-64 string encodes. Raises ValueError."""
    return base64.b64decode(text, validate=True)


class Ordered:
    """The values of a condition that compares numbers, dates, addresses or bytes."""

    READ = {"Numeric": read_number, "Date": read_date, "IpAddress": ip_address, "Binary": read_bytes}  # noqa: RUF012

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


TEXT = {
    "StringEquals": "Equals",
    "StringEqualsIgnoreCase": "IgnoreCase",
    "StringLike": "Like",
    "ArnEquals": "Arn",
    "ArnLike": "Arn",
}
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
        """Whether the condition holds for `count` values of which every one and some match; `filled`: some are not empty."""
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


# Sets of requests are functions of `weak` (whether undecided requests belong to the set) and a box. Their value is TRUE if
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
