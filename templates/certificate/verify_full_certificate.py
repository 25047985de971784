"""Check a rolecall certificate for any trust policy, with all condition operators of IAM.

Usage: python3 verify_full_certificate.py CERTIFICATE.json [--trust FILE]
FILE: the trust policy as JSON, or the output of `aws iam get-role`; the certificate must be about it.
Exit status: 0 accepted, 1 rejected, 2 wrong usage or not covered. Requires Python 3.11 and no other package.

The certificate claims that every request that one policy allows is allowed by another one, and names the facts about
AWS that this relies on. The program trusts nothing in it: it proves the claim again.
1. A request has independent dimensions: the caller, the action, and each context key. Policies test the values there.
   For each dimension, the program finds every combination of answers to these tests, by reading the patterns of all
   tests in parallel, character by character, until no new state is found.
2. A box is a set of combinations for each dimension. In the box of all requests, the program evaluates whether the one
   policy allows a request that the other one denies. Where that is open, it splits the box by a test that is open.

If AWS does not document an outcome, it counts as allowed for the policy that must allow less, and as denied for the
other one. Numbers, dates, addresses, bytes and values with policy variables are not read: a test may match any.
"""

import json
import re
import sys
from collections import namedtuple
from datetime import datetime
from ipaddress import ip_interface
from itertools import count
from pathlib import Path

if sys.version_info < (3, 11):
    sys.stdout.write("NOT CHECKED: this program requires Python 3.11 or newer\n")
    sys.exit(2)

ASSUMING = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"]
CLAIMS = {"nothing_else": ("trust", "intent"), "everything_intended": ("intent", "trust")}
# The permission that a request needs in addition if it has a value there.
NEEDS = {"aws:tagkeys": "sts:TagSession", "sts:transitivetagkeys": "sts:TagSession"}
NEEDS |= {"sts:sourceidentity": "sts:SetSourceIdentity", "Contexts": "sts:SetContext"}
Unsupported, MAX_BYTES, MAX_POLICY, MAX_WORK = NotImplementedError, 2_000_000, 20_000, 3_000_000
ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Principal", "NotPrincipal", "Condition"}
Statement = namedtuple("Statement", "effect actions not_actions principals not_principals conditions variables")
# Context keys: those with at most one value, those of them whose value is never empty, those with the value true or
# false, and those with several values, none of them empty. A key that is not listed takes every form. Tags end in "/".
# Source: IAM User Guide and STS API Reference, November 2026.
FORMS = {
    "single": "aws:currenttime aws:multifactorauthage aws:principaltag/ aws:requesttag/ aws:sourceip aws:sourcevpc "
    "aws:sourcevpce aws:vpcsourceip saml:aud saml:iss saml:sub saml:sub_type",
    "filled": "aws:principalorgid aws:requestedregion aws:sourceaccount aws:sourcearn aws:sourceorgid aws:userid "
    "sts:externalid sts:rolesessionname sts:sourceidentity",
    "bool": "aws:multifactorauthpresent aws:securetransport",
    "several": "aws:principalorgpaths aws:tagkeys sts:transitivetagkeys",
}
FORMS = {name: form for form, names in FORMS.items() for name in names.split()}
RESULT = """ACCEPTED. {} can be assumed {} as this policy allows, and in no other way:
{}
This is proven for every possible request, whatever the caller's own policies allow. The trust policy {}.
Root users and callers of another partition cannot assume roles. Policies of an organization can only deny more."""


class UndocumentedError(Exception):
    """AWS does not document what a statement does."""


def ensure(condition, reason="", error=ValueError):
    """Reject the certificate unless the condition holds. Unsupported: it is not covered."""
    if not condition:
        raise error(reason)


def lower(key):
    """A key in lower case. Beyond ASCII, AWS does not document which letters are the same."""
    usual = all(letter.isascii() or letter == letter.lower() for letter in key)
    ensure(usual, "a key with a capital letter beyond ASCII", Unsupported)
    return key.lower()


class Work:
    """Limit of the work for one certificate, so that checking it ends within seconds."""

    left = 0

    @classmethod
    def spend(cls, steps):
        """Reject the certificate if the limit is exceeded."""
        cls.left -= steps
        ensure(cls.left > 0, "checking it takes too much work")


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
        return tuple(sorted(set(values)))

    def principals(value):
        value = {"*": value} if isinstance(value, str) else value
        return tuple(sorted((kind, name) for kind, names in value.items() for name in strings(names)))

    found, version = set(), policy.get("Version", "2008-10-17")
    ensure(len(json.dumps(policy)) <= MAX_POLICY, "a policy is too large")
    usual = version in ("2008-10-17", "2012-10-17") and set(policy) <= {"Version", "Id", "Statement"}
    ensure(usual, "a policy has an unknown form", Unsupported)
    for body in policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]:
        usual = set(body) <= ELEMENTS and body["Effect"] in ("Allow", "Deny")
        ensure(usual and all(body.get("Condition", {}).values()), "a statement has an unknown form", Unsupported)
        parts = [strings(body.get(name, [])) for name in ("Action", "NotAction")]
        parts += [principals(body.get(name, {})) for name in ("Principal", "NotPrincipal")]
        tests = [(op, key, strings(one)) for op, keys in body.get("Condition", {}).items() for key, one in keys.items()]
        found.add(Statement(body["Effect"], *parts, tuple(sorted(tests)), version == "2012-10-17"))
    return sorted(found)


# A pattern is a list of symbols: a character in the set (included) or not in it, or any number of them (repeats).
Symbol = namedtuple("Symbol", "characters included repeats")
NO, COLON, BAR = frozenset(), frozenset(":"), frozenset("\n")
ANY = Symbol(NO, False, True)
ARN_COLONS = 5  # between the six components of an ARN


def pattern(kind, value, excluded=NO, template=False):
    """A value of a condition as a pattern. `excluded`: not matched by wildcards. `template`: it can have `${*}`."""
    symbols, colons = [], 0
    parts = re.findall(r"\$\{([*?$])\}|(.)", value, re.DOTALL) if template else [("", one) for one in value]
    for inside, character in parts:
        if character in ("*", "?") and kind in ("Like", "Arn"):
            wild = excluded | (COLON if kind == "Arn" and colons < ARN_COLONS else NO)
            symbols.append(Symbol(wild, False, character == "*"))
        else:
            letter = character or inside
            colons += letter == ":"
            ensure(kind != "IgnoreCase" or letter.isascii(), "a comparison ignoring case beyond ASCII", Unsupported)
            same = {letter.lower(), letter.upper(), *"\u212a" * (letter in "kK")} if kind == "IgnoreCase" else letter
            symbols.append(Symbol(frozenset(same), True, False))
    return symbols


def alphabet(symbols):
    """One character for each combination of sets that the symbols name: no symbol distinguishes the others from it."""
    sets = {symbol.characters for symbol in symbols if symbol}
    named = sorted(set().union(*sets))
    Work.spend((len(named) + 1) * len(symbols))
    found = {NO: next(chr(code) for code in count(0x2603) if chr(code) not in named)}
    for character in named:
        found.setdefault(frozenset(one for one in sets if character in one), character)
    return list(found.values())


def join(unions):
    """The symbols of all patterns, each ended by None. As bits: where patterns begin, and the places of each union."""
    symbols, start, owned = [], 0, []
    for patterns in unions:
        first = len(symbols)
        for one in patterns:
            start |= 1 << len(symbols)
            symbols += [*one, None]
        owned.append((1 << len(symbols)) - (1 << first))
    return symbols, start, owned


def combinations(limit, unions):
    """Every set of unions of patterns, as bits, that match a string which one of the patterns of the limit matches.

    A state has a bit for each symbol that can be next, and for each end of a pattern that is reached.
    """
    symbols, start, owned = join([limit, *unions])

    def places(test):
        return sum(1 << place for place, symbol in enumerate(symbols) if test(place, symbol))

    ends, repeats = places(lambda _, symbol: symbol is None), places(lambda _, symbol: symbol and symbol.repeats)
    certain = places(lambda place, symbol: symbol == ANY and symbols[place + 1] is None)  # it matches whatever follows

    def close(state):
        """Add what follows repeated symbols. A union that matches whatever follows has one state."""
        while (more := state | (state & repeats) << 1) != state:
            state = more
        for union in owned:
            if place := state & union & certain & -(state & union & certain):
                state = state & ~union | place | place << 1
        return state

    accepting = [places(lambda _, s, c=one: s and (c in s.characters) == s.included) for one in alphabet(symbols)]
    seen, found = {close(start)}, set()
    todo = list(seen)
    while todo:
        state = todo.pop()
        if state & owned[0] & ends:
            found.add(sum(1 << place for place, union in enumerate(owned[1:]) if state & union & ends))
        Work.spend(len(accepting))
        for accepted in {state & mask for mask in accepting}:
            Work.spend(len(owned) + len(symbols) // 64)
            after = close(accepted & repeats | (accepted & ~repeats) << 1)
            if after & owned[0] and after not in seen:
                seen.add(after)
                todo.append(after)
    return found


TEXT = {"StringEquals": "Equals", "StringEqualsIgnoreCase": "IgnoreCase", "StringLike": "Like", "Bool": "IgnoreCase"}
TEXT |= {"ArnEquals": "Arn", "ArnLike": "Arn"}
ORDERS = ("Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
COMPARED = {family + order for family in ("Numeric", "Date") for order in ORDERS} | {"IpAddress", "BinaryEquals"}
NEGATED = {"StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotEquals", "ArnNotLike"}
NEGATED |= {"NumericNotEquals", "DateNotEquals", "NotIpAddress"}
# By the first letter of an operator: the form of its values, and how Python reads it, which also reads other forms.
FORMATS = {
    "N": (r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", float),
    "D": (r"[0-9]{4}-..-..(T..:..(:..(\.[0-9]+)?)?(Z|[+-]..:..)?)?", datetime.fromisoformat),
    "I": (r"[0-9A-Fa-f:.]+(/[0-9]{1,3})?", ip_interface),
    "B": (r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", str),
}


class Condition:
    """One operator on one key. `variables`: names of the policy variables that the role does not determine."""

    def __init__(self, operator, key, values, template=False, role_keys=()):
        found = re.fullmatch(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?", operator)
        known = found and (found[2] in {*TEXT, *COMPARED, *NEGATED} or operator == "Null")
        ensure(known and values, error=UndocumentedError)
        self.quantifier, self.base, self.exists = found[1], found[2].replace("Not", ""), found[3] is not None
        self.key, self.negated, self.values, self.variables = lower(key), found[2] in NEGATED, sorted(values), []
        self.template, self.role_keys = template and self.base in TEXT, role_keys
        if self.template:
            self.values = [re.sub(r"\$\{([^{}]*)(\}?)", self._fill, value) for value in self.values]
        if self.base in ("Bool", "Null"):
            ensure({value.lower() for value in values} <= {"true", "false"}, error=UndocumentedError)
        if self.base in COMPARED:
            form, read = FORMATS[self.base[0]]
            ensure(all(re.fullmatch(form, value) for value in values), error=UndocumentedError)
            list(map(read, values))  # raises ValueError for a day or an address that does not exist
        if TEXT.get(self.base) == "Arn":
            ensure(all(value.count(":") >= ARN_COLONS for value in self.values), error=UndocumentedError)

    def _fill(self, found):
        """What replaces a policy variable: the value that the role determines, or the variable itself."""
        form = re.fullmatch(r"([*?$])|\s*([^,'\s]+)\s*(?:,\s*'[^'*?]*'\s*)?", found[1])
        ensure(form and found[2], error=UndocumentedError)
        key = lower(form[2] or "")
        if (value := self.role_keys.get(key)) is None:
            self.variables += [key] if key else []
            return found[0]
        ensure(TEXT[self.base] != "Arn" or ":" not in value, error=UndocumentedError)
        return re.sub(r"[*?$]", r"${\g<0>}", value)

    def patterns(self, prefixes=([],), excluded=NO, suffix=()):
        """The patterns of values without excluded characters, or what identifies a test that may match any value."""
        if self.base in COMPARED or self.variables:
            return self.key, self.base, *self.values
        values = [value for value in self.values if not excluded & set(value)]
        values = [pattern(TEXT[self.base], value, excluded, self.template) for value in values]
        return [[*prefix, *value, *suffix] for value in values for prefix in prefixes]

    def outcome(self, number, every, some, filled):
        """Whether it holds for a number of values of which every one and some match; `filled`: some are not empty."""
        if self.base == "Null":
            return ("false" if filled else "true") in {value.lower() for value in self.values}
        counted = filled or number > 1  # for set operators, a single empty string is no value
        if self.quantifier == "ForAllValues":
            return not counted or (not some if self.negated else every)
        if self.quantifier == "ForAnyValue":
            return (counted and (not every if self.negated else some)) if number else self.exists
        if number == 0:
            return self.negated or self.exists
        return every != self.negated if number == 1 else None


# What is observed of the values of a key: their number (2: several), whether every one and some match each union of
# patterns (as bits; bit 0: it is not empty), and whether a source identity is kept from the caller's session.
Seen = namedtuple("Seen", "number every some kept")
UNCLEAR = ("unclear",)  # sets of requests are formulas: this one if AWS does not document which requests belong to it
SEVERAL, IDENTITY, KEPT = 2, "sts:sourceidentity", "aws:sourceidentity"


class Dimension:
    """A part of a request: a context key, or with `limit`, a part that always has one value, by its patterns."""

    def __init__(self, name, limit=()):
        tag, provider = name[: name.find("/") + 1], name.rpartition(":")[0].partition("/")[0]
        is_claim = "." in provider and name.endswith((":aud", ":sub"))  # of an identity provider
        form = FORMS.get(name) or FORMS.get(tag) or ("single" if limit or is_claim else "any")
        filled = [[Symbol(NO, False, False), ANY]]
        limits = {"bool": [pattern("Equals", "true"), pattern("Equals", "false")], "filled": filled, "several": filled}
        self.limit, self.is_key = limit or limits.get(form, [[ANY]]), not limit
        self.name, self.has_several = name, form in ("several", "any")
        self.unions, self.tests, self.masks = [filled], [], []

    def add(self, patterns):
        """Add a union of patterns. Return a function of what is observed: whether every value matches, and some."""
        if patterns not in self.unions:
            self.unions.append(patterns)
        place = self.unions.index(patterns)
        return lambda seen: (bool(seen.every >> place & 1), bool(seen.some >> place & 1))

    def ask(self, test):
        """The set of the requests for which a test of what is observed is true. None is undocumented."""
        self.tests.append(test)
        return "test", self, len(self.tests) - 1

    def decide(self):
        """Find all combinations of answers to the tests. Return their set as bits, one for each combination."""
        found = set()
        for seen in self._observations():
            Work.spend(len(self.tests))
            found.add(tuple(test(seen) for test in self.tests))
        for answers in zip(*found, strict=True):
            sure = sum((answer is True) << place for place, answer in enumerate(answers))
            self.masks.append((sure, sum((answer is not False) << place for place, answer in enumerate(answers))))
        return (1 << len(found)) - 1

    def _observations(self):
        """Everything that can be observed: no value, one, or any combination of several ones."""
        singles = combinations(self.limit, [one if isinstance(one, list) else [] for one in self.unions])
        for place in [place for place, one in enumerate(self.unions) if not isinstance(one, list)]:
            Work.spend(len(singles))
            singles |= {bits | 1 << place for bits in singles}
        yield from [Seen(0, 0, 0, False)] * self.is_key
        yield from (Seen(1, bits, bits, kept) for bits in singles for kept in {False, self.name == IDENTITY})
        found = {(bits, bits) for bits in singles if self.has_several}
        todo = list(found)
        while todo:
            every, some = todo.pop()
            yield Seen(SEVERAL, every, some, False)
            Work.spend(len(singles))
            more = {(every & bits, some | bits) for bits in singles} - found
            found |= more
            todo += more


def negation(formula):
    """The complement of a set."""
    return "not", formula


def all_of(*formulas):
    """The intersection of sets."""
    return "all", *formulas


def any_of(*formulas):
    """The union of sets."""
    return negation(all_of(*map(negation, formulas)))


def evaluate(formula, weak, box):
    """Whether a set has all requests of a box (True) or none (False), otherwise a test that splits the box.

    A test is a dimension and the combinations for which it is true. `weak`: what is not documented belongs to the set.
    """
    Work.spend(1)
    kind, *parts = formula
    if kind == "unclear":
        return weak
    if kind == "test":
        dimension, place = parts
        mask, have = dimension.masks[place][weak], box[dimension.name]
        return (dimension.name, mask) if have & mask and have & ~mask else have & mask != 0
    if kind == "not":
        found = evaluate(parts[0], not weak, box)
        return not found if isinstance(found, bool) else found
    result = True
    for part in parts:
        if (found := evaluate(part, weak, box)) is False:
            return False
        result = found if result is True else result
    return result


DOMAINS = r"amazonaws\.(?:com|com\.cn|eu)|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov"
RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
# Values of keys by kind of caller, where they do not follow from an ARN: None is absent, and several if AWS does not
# document which it is.
ABSENT, FALSE = {"Service": [None], "Federated": [None]}, ["false"]
CALLER_KEYS = {
    "aws:principalarn": ABSENT,
    "aws:principalaccount": {"Service": [None, "000000000000"], "Federated": [None, "anonymous"]},
    "aws:username": {**ABSENT, "role": [None]},
    "aws:principaltype": {**ABSENT, "user": ["User"], "role": ["AssumedRole"], "Federated": [None, "Anonymous"]},
    "aws:principalisawsservice": {"Service": ["true"], "Federated": [None, "false"], "user": FALSE, "role": FALSE},
}
# The patterns of callers by the form of a principal, in which `{0}` is the part of an ARN before the account.
PRINCIPALS = {
    r"(?:AWS|\*) \*": ["*"],
    "AWS ([0-9]{12})": ["*\n{0}{1}:*"],
    "AWS (arn:[^:]*:iam::[0-9]{12}:)root": ["*\n{1}*"],
    "AWS (arn:[^:]*:iam::[0-9]{12}:(?:role|user)/.+)": ["*\n{1}"],
    "AWS (arn:[^:]*:)sts(::[0-9]{12}:)assumed-(role/)([^/]+)/(.+)": ["{5}\n{1}iam{2}{3}{4}", "{5}\n{1}iam{2}{3}*/{4}"],
    "AWS arn:[^:]*:sts::[0-9]{12}:federated-user/.+": [],
    rf"Service (.+\.(?:{DOMAINS}))": ["Service {1}"],
    "Federated (.+)": ["Federated {1}"],
}


class Checker:
    """The requests that policies allow on a role, as sets.

    A caller is read as session name, line break and ARN, or as `Service NAME` or `Federated NAME`.
    """

    def __init__(self, role, tags, policies):
        Work.left = MAX_WORK
        partition, account = re.fullmatch("arn:([a-z-]+):iam::([0-9]{12}):role/[!-~]+", role).groups()
        self.head, self.role_keys = f"arn:{partition}:iam::", {"aws:resourceaccount": account}
        known = {lower(key): value for key, value in tags.items() if isinstance(value, str)}
        ensure(len(known) == len(tags), "a role cannot have these tags")
        self.role_keys |= {prefix + key: value for key, value in known.items() for prefix in RESOURCE_TAGS}
        start = pattern("Like", f"*\n{self.head}{'?' * 12}", BAR | COLON)
        self.kinds = {kind: [[*start, *pattern("Like", f":{kind}/?*", BAR)]] for kind in ("user", "role")}
        self.kinds |= {kind: [pattern("Like", f"{kind} *", BAR)] for kind in ("Service", "Federated")}
        callers = Dimension("Caller", [form for forms in self.kinds.values() for form in forms])
        actions = Dimension("Action", [pattern("Equals", action) for action in ASSUMING])
        self.dimensions, self.policies = {"Caller": callers, "Action": actions}, policies

    def _dimension(self, key):
        """The dimension of a key. The keys of the caller share one, and so do the two for source identities."""
        name = "Caller" if key in CALLER_KEYS else IDENTITY if key == KEPT else key
        if name not in self.dimensions:
            limit = [pattern("Equals", self.role_keys[name])] if name in self.role_keys else []
            ensure(limit or not name.startswith(RESOURCE_TAGS), "a condition on a tag that the role lacks", Unsupported)
            self.dimensions[name] = Dimension(name, limit)
        return self.dimensions[name]

    def _present(self, key):
        """The requests that have a key."""
        return self._dimension(key).ask(lambda seen: seen.number > 0)

    def _value(self, name, patterns):
        """The requests with a value in a dimension that matches a pattern."""
        matches = self.dimensions[name].add(patterns)
        return self.dimensions[name].ask(lambda seen: matches(seen)[0])

    def _rule(self, statement):
        """The requests to which a statement applies."""
        try:
            spelled = {(operator, key.lower()) for operator, key, _ in statement.conditions}
            usual = len(spelled) == len(statement.conditions) and statement.principals and not statement.not_principals
            ensure(usual and bool(statement.actions) != bool(statement.not_actions), error=UndocumentedError)
            conditions = [Condition(*one, statement.variables, self.role_keys) for one in statement.conditions]
            return all_of(self._principals(statement.principals), *map(self._condition, conditions))
        except UndocumentedError:
            return UNCLEAR

    def _principals(self, principals):
        """The callers that Principal names; undocumented for others than accounts, users, roles, sessions, services."""
        patterns, unclear = [], False
        for kind, name in principals:
            usual = kind in ("AWS", "Service", "Federated") and not set(name) & set("*?")
            ensure(usual or (kind, name) in {("*", "*"), ("AWS", "*")}, error=UndocumentedError)
            found = [(re.fullmatch(form, f"{kind} {name}"), formats) for form, formats in PRINCIPALS.items()]
            known = [(match.groups(), formats) for match, formats in found if match]
            patterns += [pattern("Like", one.format(self.head, *parts)) for parts, formats in known for one in formats]
            unclear = unclear or not known
        named = self._value("Caller", patterns)
        return any_of(named, UNCLEAR) if unclear else named

    def _condition(self, condition):
        """The requests for which a condition holds."""
        key, dimension = condition.key, self._dimension(condition.key)
        if condition.variables:
            several = [name for name in condition.variables if self._dimension(name).has_several]
            usual = len(condition.values) == 1 and not condition.quantifier and not several
            ensure(usual, error=UndocumentedError)
        if dimension.name == "Caller":
            return self._caller_condition(condition)
        matches = dimension.add(dimension.unions[0] if condition.base == "Null" else condition.patterns())

        def test(seen):
            number = int(seen.kept) if key == KEPT else seen.number
            return condition.outcome(number, *matches(seen), bool(number and seen.some & 1))

        return dimension.ask(test)

    def _caller_condition(self, condition):
        """The requests for which a condition on a key of the caller holds."""
        start, user = f"*\n{self.head}", f"*\n{self.head}{'?' * 12}:user/"
        prefixes, excluded, suffix = {
            "aws:principalaccount": ([start], COLON, ":*"),
            "aws:username": ([user, f"{user}*/"], frozenset("/"), ""),
        }.get(condition.key, (["*\n"], NO, ""))
        prefixes, suffix = [pattern("Like", one) for one in prefixes], pattern("Like", suffix)
        is_null, caller = condition.base == "Null", self.dimensions["Caller"]
        matches = caller.add([] if is_null else condition.patterns(prefixes, excluded, suffix))
        kinds = {kind: caller.add(patterns) for kind, patterns in self.kinds.items()}

        def constant(values):
            outcomes = set()
            for value in values:
                fits = {False, isinstance(patterns := [[]] if is_null else condition.patterns(), tuple)}
                if value is not None and isinstance(patterns, list):
                    fits = set(map(bool, combinations([pattern("Equals", value)], [patterns])))
                outcomes |= {condition.outcome(int(value is not None), one, one, value is not None) for one in fits}
            return outcomes.pop() if len(outcomes) == 1 else None

        constants = {kind: constant(values) for kind, values in CALLER_KEYS[condition.key].items()}

        def test(seen):
            kind = next(kind for kind, is_kind in kinds.items() if is_kind(seen)[0])
            return constants[kind] if kind in constants else condition.outcome(1, *matches(seen), True)

        return caller.ask(test)

    def _impossible(self, name):
        """The requests that do not exist by a fact about AWS."""

        def holds(operator, key, value):
            return self._condition(Condition(operator, key, [value]))

        def is_half(tag):
            listed = holds("ForAnyValue:StringEqualsIgnoreCase", "aws:tagkeys", tag.partition("/")[2])
            return all_of(any_of(self._present(tag), listed), negation(all_of(self._present(tag), listed)))

        provider, role = (self._value("Caller", self.kinds[kind]) for kind in ("Federated", "role"))
        saml = self._value("Caller", [pattern("Like", "Federated arn:*:iam::*:saml-provider/*", COLON)])
        uses = [self._value("Action", [pattern("Equals", action)]) for action in ASSUMING]
        tags = [name for name in self.dimensions if name.startswith("aws:requesttag/") and name.isascii()]
        age, has_mfa = self._present("aws:multifactorauthage"), holds("Bool", "aws:multifactorauthpresent", "true")
        facts = {
            # Providers use the operation of their protocol. All others use sts:AssumeRole, and only that has contexts.
            "operations": any_of(
                all_of(negation(provider), negation(uses[0])),
                all_of(saml, negation(uses[1])),
                all_of(provider, negation(saml), negation(uses[2])),
                all_of(provider, self._present("Contexts")),
            ),
            # Only a session of a role keeps a source identity, and only a request with MFA has an age of it.
            "source identity of sessions": all_of(negation(role), holds("Null", KEPT, "false")),
            "age of MFA": all_of(age, negation(has_mfa)),
            "HTTPS": negation(holds("Bool", "aws:securetransport", "true")),
            # aws:RequestTag/x is present exactly if aws:TagKeys lists x.
            "request tags": any_of(*map(is_half, tags)),
        }
        ensure(name in facts, "it relies on an unknown fact")
        return facts[name]

    def _allowed(self, statements):
        """The requests that a policy allows."""
        rules = [(statement, self._rule(statement)) for statement in statements]

        def permits(action):
            effects = {"Allow": [], "Deny": []}
            for statement, rule in rules:
                names = [pattern("Like", name.lower()) for name in statement.actions or statement.not_actions]
                named = combinations([pattern("Equals", action.lower())], [names]) == {1}
                if named == bool(statement.actions) or bool(statement.actions) == bool(statement.not_actions):
                    effects[statement.effect].append(rule)
            return all_of(any_of(*effects["Allow"]), negation(any_of(*effects["Deny"])))

        uses = [(self._value("Action", [pattern("Equals", action)]), action) for action in ASSUMING]
        needs = [(self._present(key), action) for key, action in NEEDS.items()]
        assumes = any_of(*(all_of(used, permits(action)) for used, action in uses))
        return all_of(assumes, *(any_of(negation(present), permits(action)) for present, action in needs))

    def prove(self, claims):
        """Check for each claim that the one policy allows no request that the other one denies."""
        counterexamples = []
        for name, claim in claims.items():
            subset, superset = (self._allowed(self.policies[side]) for side in CLAIMS[name])
            impossible = any_of(*map(self._impossible, claim["facts"]))
            counterexamples.append(all_of(subset, negation(superset), negation(impossible)))
        everything = {name: dimension.decide() for name, dimension in self.dimensions.items()}
        boxes = [(formula, everything) for formula in counterexamples]
        while boxes:
            formula, box = boxes.pop()
            test = evaluate(formula, True, box)
            ensure(test is not True, "a policy allows a request that the other one denies")
            if test is not False:
                name, mask = test
                boxes += [(formula, {**box, name: box[name] & side}) for side in (mask, ~mask)]


def check(path, trust_path=None):
    """Check a certificate, and that it is about the trust policy of a file. Return the exit status and the result."""
    try:
        certificate = read_json(path)
        ensure(certificate["format"] == "rolecall certificate 2", "unknown format", Unsupported)
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
        Checker(role, certificate["tags"], policies).prove(claims)
        kind = "exactly" if "everything_intended" in claims else "only"
        known = "is that of the file" if trust_path else "is in the certificate; use --trust to compare it with yours"
        lines = [RESULT.format(json.dumps(role), kind, json.dumps(documents["intent"], indent=2), known)]
        if "resourcetag/" in json.dumps(documents).lower():
            lines.append(f"It assumes that the tags of the role are exactly these: {json.dumps(certificate['tags'])}.")
        if facts := {fact for claim in claims.values() for fact in claim["facts"]}:
            lines.append(f"It relies on these facts, which AWS documents: {', '.join(sorted(facts))}.")
        return 0, "\n".join(lines)
    except (OSError, Unsupported) as error:
        return 2, f"NOT CHECKED: {ascii(str(error))[1:-1]}"
    except Exception as error:  # whatever is wrong with a certificate, it is not accepted
        return 1, f"REJECTED: {ascii(str(error))[1:-1]}"


if __name__ == "__main__":
    is_usual = len(sys.argv) in (2, 4) and sys.argv[2:3] in ([], ["--trust"]) and sys.argv[1][:1] != "-"
    status, result = check(*map(Path, sys.argv[1::2])) if is_usual else (2, __doc__.split("\n\n")[1])
    sys.stdout.write(result + "\n")
    sys.exit(status)
