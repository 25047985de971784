"""Check a rolecall certificate: a proof of who can assume an IAM role.

Usage: python3 verify_certificate.py CERTIFICATE.json [--trust FILE]
FILE: main.tf of the module, the trust policy as JSON, or the output of `aws iam get-role`; the certificate must be about it.
Exit status: 0 accepted, 1 rejected, 2 wrong usage or not covered. Requires Python 3.11 and no other package.

The certificate claims that every request that one policy allows is allowed by another one. It lists representatives for each
dimension of a request (caller, action, each context key), and steps that split all requests into parts. This program checks
that the representatives are complete: without wildcards, conditions distinguish only the values that they name, so the named
values and one other value represent all values. It checks that no part has a request that the one policy allows and the
other one does not. It covers trust policies as rolecall writes them; verify_full_certificate.py covers all others.
"""

import json
import re
import sys
from functools import partial
from pathlib import Path

from policy_files import read_json, read_policy, read_trust

ASSUMING = ("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
CLAIMS = {"nothing_else": ("trust", "intent"), "everything_intended": ("intent", "trust")}
TAG = "sts:TagSession"
# The permission that a request needs in addition if it has a value there.
NEEDS = {"aws:tagkeys": TAG, "sts:transitivetagkeys": TAG, "sts:sourceidentity": "sts:SetSourceIdentity"}
NEEDS["provided contexts"] = "sts:SetContext"
ARN, EXTERNAL_ID, MFA = "aws:principalarn", "sts:externalid", "aws:multifactorauthpresent"
FALSE, TRUE = 0, 2  # three-valued logic; 1 is open. "And" is min, "or" is max, "not" is TRUE minus the value.
Unsupported, MAX_CELLS, MAX_WORK = NotImplementedError, 5_000, 100_000
IS = {"StringEquals": "is", "ArnEquals": "is", "Bool": "is"}
UNUSUAL, USAGE = "a {} is not as rolecall writes it", "usage: verify_certificate.py CERTIFICATE.json [--trust FILE]"
PROVEN = """This is proven for every possible request, whatever the caller's own policies allow. The trust policy {}.
Root users and callers of another partition cannot assume roles. Policies of an organization can only deny more."""


def ensure(condition, reason, error=ValueError):
    """Reject the certificate unless the condition holds. Unsupported: it is not covered."""
    if not condition:
        raise error(reason)


def within(leaf, box):
    """Whether all requests of the box have representatives of the leaf (TRUE), none has (FALSE), or some have (1)."""
    return min((box[dimension] & mask != 0) + (box[dimension] & ~mask == 0) for dimension, mask in leaf.items())


def follow(steps, box, counterexample):
    """Check that no part of the box has a counterexample. Steps: [dimension, representatives inside], or null for a part."""
    boxes = [box]
    for step in steps:
        ensure(boxes, "there are more steps than parts")
        part = boxes.pop()
        if step is None:
            ensure(not all(part.values()) or counterexample(part) == FALSE, "the steps leave a request open")
        else:
            mask = sum(1 << place for place in set(step[1]) if place < box[step[0]].bit_length())
            boxes += [{**part, step[0]: part[step[0]] & ~mask}, {**part, step[0]: part[step[0]] & mask}]
    ensure(not boxes, "the steps do not cover all requests")


class Checker:
    """The representatives of a certificate, and what the policies decide for them."""

    def __init__(self, certificate, policies):
        """Check that the representatives are complete."""
        text, iam = str(policies), re.fullmatch("(arn:[a-z-]+:iam::)[0-9]{12}:role/.+", certificate["role"])[1]
        self.cells, self.tests, self.iam = certificate["dimensions"], {}, iam
        ensure(sum(map(len, self.cells.values())) <= MAX_CELLS, "there are too many representatives")
        self.caller = re.compile(iam + "([0-9]{12}):(?:role|user)/[^*?$]+")
        self.forms = {ARN: ("(String|Arn)(Not)?(Equals|Like)", self.caller), MFA: ("Bool", "true|false")}
        self.forms[EXTERNAL_ID] = ("String(Not)?(Equals|Like)", "[^*?$]+")
        self.account = re.compile(f"{iam}([0-9]{{12}}):root|([0-9]{{12}})")
        # The values that must be represented: those that the policies name, and `new` ones, which they do not name.
        # No statement is about a caller that it names neither by ARN nor by account.
        self.new = next("x" * length for length in range(12, len(text) + 12) if "x" * length not in text)
        self.values = {name: [[], [self.new]] for name in (EXTERNAL_ID, *NEEDS)} | {MFA: [[], ["true"], ["false"]]}
        self.values["action"] = [[action] for action in ASSUMING]
        self.values["caller"] = []
        self.leaves = {name: [(s.actions, self._leaf(s)) for s in found] for name, found in policies.items()}
        self.actions = {action: {"action": self._where("action", [action].__eq__)} for action in ASSUMING}
        self.passed = {dimension: {dimension: self._where(dimension, bool)} for dimension in NEEDS}
        for dimension, tests in self.tests.items():
            answers = {tuple(test(cell) for test in tests) for cell in self.cells[dimension]}
            complete = all(tuple(test(value) for test in tests) in answers for value in self.values[dimension])
            ensure(complete, f"the representatives of {dimension} are not complete")
        self.box = {dimension: (1 << len(self.cells[dimension])) - 1 for dimension in self.tests}

    def _where(self, dimension, test):
        """The representatives for which the test holds, as bits."""
        self.tests.setdefault(dimension, []).append(test)
        return sum(test(cell) << place for place, cell in enumerate(self.cells[dimension]))

    def _reached(self, names, cell):
        found = self.caller.fullmatch(cell[0])
        return cell[0] in names or (found is not None and found[1] in names)

    def _holds(self, operator, key, wanted, cell):
        values = [] if key == ARN and not self.caller.fullmatch(cell[0]) else cell
        if operator == "Null":
            return ("false" if any(values) else "true") in wanted
        return (values != [] and values[0] in wanted) != ("Not" in operator)

    def _leaf(self, statement):
        """The representatives to which the statement applies, by dimension."""
        usual = statement.effect == "Allow" and not statement.not_actions and not statement.not_principals
        ensure(usual, UNUSUAL.format("statement"), Unsupported)
        names = set()
        for kind, name in statement.principals:
            found, caller = self.account.fullmatch(name), self.caller.fullmatch(name)
            usual = re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?", name) if kind == "Service" else found or caller
            ensure(usual and kind in ("AWS", "Service"), UNUSUAL.format("principal"), Unsupported)
            account = found and (found[1] or found[2])
            names.add(account or name)
            self.values["caller"].append([f"{self.iam}{account}:role/{self.new}" if account else name])
        masks = {"caller": self._where("caller", partial(self._reached, names))}
        conditions = {(operator, name.lower()) for operator, name, _ in statement.conditions}
        usual = len(conditions) == len(statement.conditions) and statement.actions and names
        ensure(usual and statement.actions <= {*ASSUMING, *NEEDS.values()}, UNUSUAL.format("statement"), Unsupported)
        for operator, name, wanted in statement.conditions:
            key, dimension = name.lower(), "caller" if name.lower() == ARN else name.lower()
            operators, form = ("Null", "true|false") if operator == "Null" else self.forms.get(key, ("", ""))
            usual = key in self.forms and re.fullmatch(operators, operator) and wanted
            ensure(usual and all(re.fullmatch(form, value) for value in wanted), UNUSUAL.format("condition"), Unsupported)
            self.values[dimension] += [[value] for value in wanted if form != "true|false"]
            mask = self._where(dimension, partial(self._holds, operator, key, wanted))
            masks[dimension] = masks.get(dimension, -1) & mask
        return masks

    def _allows(self, policy, box):
        """Whether the policy allows the requests of the box."""

        def permits(action):
            return max([FALSE, *(within(masks, box) for actions, masks in self.leaves[policy] if action in actions)])

        assumes = max(min(within(mask, box), permits(action)) for action, mask in self.actions.items())
        return min(assumes, *(max(TRUE - within(self.passed[key], box), permits(action)) for key, action in NEEDS.items()))

    def counterexample(self, facts, subset, superset, box):
        """Whether a request of the box can be allowed by one policy and not by the other."""
        ensure(not facts, "the proof relies on facts about AWS", Unsupported)
        return min(self._allows(subset, box), TRUE - self._allows(superset, box))

    def notes(self, _claims):
        """What else the proof relies on: nothing."""
        return ()


def describe(statement):
    """A statement in English."""
    lists = [sorted({json.dumps(name) for _, name in pairs}) for pairs in (statement.principals, statement.not_principals)]
    who = " and ".join(lists[0]) or f"everyone except {' and '.join(lists[1])}"
    what = " and ".join(sorted(map(json.dumps, statement.actions)))
    what = what or f"everything except {' and '.join(sorted(map(json.dumps, statement.not_actions)))}"
    when = [
        f"{json.dumps(key)[1:-1]} {IS.get(operator) or json.dumps(operator)} {' or '.join(sorted(map(json.dumps, values)))}"
        for operator, key, values in statement.conditions
    ]
    verb = "may use" if statement.effect == "Allow" else "may not use"
    return f"- {who} {verb} {what}{' if ' if when else ''}{' and '.join(sorted(when))}"


def verify(path, trust_path, checker_class):
    """Check a certificate, and that it is about the trust policy of a file unless that is None. Return status and result."""
    try:
        certificate = read_json(path)
        ensure(certificate["format"] == "rolecall certificate 1", "unknown format", Unsupported)
        role, claims, policies = certificate["role"], certificate["claims"], certificate["policies"]
        policies = {name: read_policy(policies[name]) for name in ("trust", "intent")}
        same = trust_path is None or read_trust(trust_path, role) == policies["trust"]
        ensure(same, "the certificate is about another trust policy than the file")
        ensure("nothing_else" in claims, "the certificate does not claim that only intended requests are allowed")
        checker, size = checker_class(certificate, policies), sum(map(len, policies.values()))
        for name, claim in claims.items():
            ensure(len(claim["steps"]) * size <= MAX_WORK, "the certificate has too many steps")
            follow(claim["steps"], checker.box, partial(checker.counterexample, claim["facts"], *CLAIMS[name]))
        kind = "exactly" if "everything_intended" in claims else "only"
        known = "is that of the file" if trust_path else "is in the certificate; use --trust to compare it with yours"
        lines = [f"ACCEPTED. {json.dumps(role)} can be assumed {kind} as these statements say, and in no other way:"]
        lines += [*sorted(map(describe, policies["intent"])), PROVEN.format(known), *checker.notes(claims)]
        return 0, "\n".join(lines)
    except Exception as error:  # whatever is wrong with a certificate, it is not accepted
        unsupported = isinstance(error, (OSError, Unsupported))
        return 2 if unsupported else 1, f"{'NOT CHECKED' if unsupported else 'REJECTED'}: {ascii(str(error))[1:-1]}"


def main(checker_class):
    """Check the certificate that the command line names, print the result, and return the exit status."""
    if len(sys.argv) not in (2, 4) or sys.argv[2:3] not in ([], ["--trust"]):
        status, result = 2, USAGE
    else:
        status, result = verify(Path(sys.argv[1]), Path(sys.argv[3]) if sys.argv[2:] else None, checker_class)
    sys.stdout.write(result + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(Checker))
