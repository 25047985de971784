"""Check a rolecall certificate: a proof of who can assume an IAM role.

Usage: python3 verify_certificate.py CERTIFICATE.json [--trust FILE]
FILE: main.tf of the module, the trust policy as JSON, or the output of `aws iam get-role`, to compare the policies.
Exit status: 0 accepted, 1 rejected, 2 wrong usage or not covered. Requires Python 3.11 and no other package.

The certificate claims that every request that one policy allows is allowed by another one. This program checks:
1. The policies are as rolecall writes them: they allow and never deny, and name values without wildcards.
2. No request is allowed by one policy and denied by the other. A request consists of dimensions: the caller, the
   action, and each context key. Such policies distinguish only the values that they name, so each named value, another
   one and the absent value represent all. A caller is never allowed if neither it nor its account is named. The program
   tries all combinations.
"""

import json
import re
import sys
from collections import namedtuple
from itertools import product
from math import prod
from pathlib import Path

if sys.version_info < (3, 11):
    sys.stdout.write("NOT CHECKED: this program requires Python 3.11 or newer\n")
    sys.exit(2)

CLAIMS = {"nothing_else": ("trust", "intent"), "everything_intended": ("intent", "trust")}
ACTIONS = {"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"}
ARN, ID, MFA = "aws:principalarn", "sts:externalid", "aws:multifactorauthpresent"
# The permission that a request needs in addition if it has a value there.
NEEDS = {"aws:tagkeys": "sts:TagSession", "sts:transitivetagkeys": "sts:TagSession"}
NEEDS |= {"sts:sourceidentity": "sts:SetSourceIdentity", "provided contexts": "sts:SetContext"}
Unsupported, MAX_POLICY, MAX_WORK = NotImplementedError, 20_000, 500_000
# The actions that a statement allows, the accounts, ARNs and services that it names, and the values of its conditions.
Statement = namedtuple("Statement", "actions names conditions")
# The forms of principals and conditions. IAM ignores the case of keys.
CALLER = re.compile("arn:[a-z-]+:iam::([0-9]{12}):(?:role|user)/[^*?$%&]+")
ACCOUNT, SERVICE = "([0-9]{12})|arn:[a-z-]+:iam::([0-9]{12}):root", re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")
CONDITIONS = {("StringEquals", ID): "[^*?$%&]+", ("ArnEquals", ARN): CALLER, ("Bool", MFA): "true"}
ROLE_ARN = re.compile(r'arn:([a-z-]+):iam::([0-9]{12}):role(/|/[^"\\$%\s]+/)([\w+=,.@-]+)')
# Parts of main.tf as rolecall writes it: strings, the check of the account, roles, and the first lines of all blocks.
QUOTED = r'"(?:\$\$\{|%%\{|\$\{[\w.]+\}|\$(?!\$?\{)|%(?!%?\{)|\\.|[^"\\$%\r\n])*"'
GUARD = r'\ndata "aws_caller_identity" "current" \{\n +lifecycle \{\n +postcondition \{\n +condition +'
GUARD += rf'= self\.account_id == "([0-9]+)"\n +error_message = {QUOTED}\n +\}}\n +\}}\n\}}\n'
ROLE = r'(?m)^resource "aws_iam_role" "\w+" \{\n  name += "([\w+=,.@-]+)"\n  path += "([^"\\$%]+)"\n  description += '
ROLE += rf"{QUOTED}\n  assume_role_policy   = data\.aws_iam_policy_document\.(\w+)\.json\n(?:\n"
ROLE += rf"|  permissions_boundary = {QUOTED}\n|  depends_on = \[data\.aws_caller_identity\.current\]\n"
ROLE += rf"|  max_session_duration = \d+\n|  tags = \{{\n(?:    {QUOTED} += {QUOTED}\n)*  \}}\n)*\}}$"
HEAD = r"(?:(?:locals|(?:data|resource) '(?:aws_iam_\w+|aws_caller_identity)' '\w+') \{)?"
HIDDEN = r"""["<#/\r]|\bprovisioner(\s*'|\s+\w)"""  # strings and comments that hide code, and programs to run
RESULT = """ACCEPTED. {} can be assumed {} as these statements allow, and in no other way:\n{}
This is proven for every possible request, whatever the caller's own policies allow. The trust policy {}.
Root users and callers of another partition cannot assume roles. Policies of an organization can only deny more."""


def ensure(condition, reason="a policy is not as rolecall writes it", error=Unsupported):
    """Stop unless the condition holds. Unsupported: it is not covered. ValueError: the certificate is wrong."""
    if not condition:
        raise error(reason)


def unique(pairs):
    """An object of JSON, in which no key may occur twice."""
    ensure(len(dict(pairs)) == len(pairs), "an object has a key twice", ValueError)
    return dict(pairs)


def as_list(value):
    """A list, or a single value as a list."""
    return value if isinstance(value, list) else [value]


def read_policy(policy):
    """The statements of a policy, without Sid, and independent of their order and of the form of single values."""
    ensure(len(str(policy)) <= MAX_POLICY, "a policy is too large", ValueError)
    ensure(set(policy) <= {"Version", "Id", "Statement"} and policy["Version"] == "2012-10-17")
    return frozenset(map(read_statement, as_list(policy["Statement"])))


def read_statement(body):
    """A statement that allows operations to accounts, roles, users and services, on conditions."""
    ensure(set(body) <= {"Sid", "Effect", "Action", "Principal", "Condition"} and body["Effect"] == "Allow")
    ensure(isinstance(body["Principal"], dict) and set(body["Principal"]) <= {"AWS", "Service"})
    actions, services = frozenset(as_list(body["Action"])), as_list(body["Principal"].get("Service", []))
    names, conditions = set(services), {}
    for name in as_list(body["Principal"].get("AWS", [])):
        account = re.fullmatch(ACCOUNT, name)
        ensure(account or CALLER.fullmatch(name))
        names.add(account[1] or account[2] if account else name)
    for operator, keys in body.get("Condition", {}).items():
        for key, values in keys.items() or [("none", [])]:
            form, is_new = CONDITIONS.get((operator, key.lower())), key.lower() not in conditions
            ensure(form and values and is_new and all(re.fullmatch(form, value) for value in as_list(values)))
            conditions[key.lower()] = frozenset(as_list(values))
    ensure(names and actions and actions <= {*ACTIONS, *NEEDS.values()} and all(map(SERVICE.fullmatch, services)))
    return Statement(actions, frozenset(names), frozenset(conditions.items()))


def hcl_statement(body):
    """A statement as rolecall writes it in main.tf. Its strings have no characters that HCL interprets."""

    def block(head, name, values, margin):
        lines = [f"{margin}  {json.dumps(value)},\n" for value in as_list(values)]
        return f"\n{head}{margin}{name} = [\n{''.join(lines)}{margin}]\n"

    ensure(re.fullmatch("[A-Za-z0-9]+", body["Sid"]) and str(body).isascii())  # Terraform normalizes other characters
    head = f'  statement {{\n    sid    = "{body["Sid"]}"\n    effect = "Allow"\n'
    text = head + block("", "actions", body["Action"], " " * 4)
    for kind, names in sorted(body["Principal"].items()):
        text += block(f'    principals {{\n      type = "{kind}"\n\n', "identifiers", names, " " * 6) + "    }\n"
    for operator, keys in body.get("Condition", {}).items():
        for key, values in keys.items():
            head = f'    condition {{\n      test     = "{operator}"\n      variable = "{key}"\n\n'
            text += block(head, "values", values, " " * 6) + "    }\n"
    return text + "  }\n"


def is_about(path, role, policy):
    """Whether a file has this trust policy for the role: JSON, or exactly the lines that rolecall writes in main.tf."""
    if path.suffix != ".tf":
        file = json.loads(path.read_text("utf-8"), object_pairs_hook=unique, parse_constant=int)
        found = file.get("Role", file)
        found_policy = read_policy(found.get("AssumeRolePolicyDocument", found))
        return found_policy == read_policy(policy) and found.get("Arn", role) == role
    arn, text, depth = ROLE_ARN.fullmatch(role), path.read_bytes().decode().replace("\r\n", "\n"), 0
    code = re.sub(QUOTED, lambda it: "'" + re.sub(r"[^\w\\]", "", it[0]) + "'", re.sub(r"(?m)^ *#[^\r\n]*", "", text))
    for line in code.split("\n"):
        ensure((depth or re.fullmatch(HEAD, line)) and not re.search(HIDDEN, line), "main.tf has unusual code")
        depth += len(re.findall(r"[\[({]", line)) - len(re.findall(r"[\])}]", line))
    roles = {found[1].lower(): found.groups() for found in re.finditer(ROLE, text)}  # IAM ignores the case of names
    labels = [found[2] for found in roles.values() if found[:2] == arn.group(4, 3)]
    head = f'\ndata "aws_iam_policy_document" "{"".join(labels)}" {{'
    document = head + "\n" + "\n".join(map(hcl_statement, policy["Statement"])) + "}\n"
    is_all = len(re.findall("(?m)^resource 'aws_iam_role'", code)) == len(roles) and re.findall(GUARD, text) == [arn[2]]
    return is_all and len(labels) == text.count(head) == 1 and document in text


def is_named(caller, names):
    """Whether a caller or its account is named."""
    return bool(names & {caller, CALLER.sub(r"\1", caller)})


def requests(statements):
    """Every combination of representatives. A request has one for each dimension: a list of one value, or of none."""
    new = "x" * len(str(statements))  # a value that no statement names
    values = {"caller": [], "action": [[action] for action in ACTIONS]} | {key: [[], [new]] for key in NEEDS}
    for statement in statements:
        values["caller"] += [[f"arn:aws:iam::{name}:role/{new}"] for name in statement.names if name.isdigit()]
        for key, named in (("caller", statement.names), *statement.conditions):
            dimension = values.setdefault("caller" if key == ARN else key, [[], [new]])
            dimension += [[value] for value in named if [value] not in dimension]
    ensure(prod(map(len, values.values())) * len(statements) <= MAX_WORK, "it is too large", ValueError)
    return (dict(zip(values, cells, strict=True)) for cells in product(*values.values()))


def allows(policy, request):
    """Whether a policy allows a request: its action, and what it needs in addition."""
    allowed, values = set(), {**request, ARN: request["caller"]}
    for statement in policy:
        accepted = all(values[key] and values[key][-1] in wanted for key, wanted in statement.conditions)
        allowed |= statement.actions if accepted and is_named(request["caller"][-1], statement.names) else set()
    return {request["action"][-1], *(action for key, action in NEEDS.items() if request[key])} <= allowed


def check(path, trust_path=None):
    """Check a certificate, and that it is about the trust policy of a file. Return the exit status and the result."""
    try:
        certificate = json.loads(path.read_text("utf-8"), object_pairs_hook=unique, parse_constant=int)
        ensure(certificate["format"] == "rolecall certificate 2", "unknown format")
        role, claims, documents = certificate["role"], certificate["claims"], certificate["policies"]
        policies = {name: read_policy(documents[name]) for name in ("trust", "intent")}
        partitions = set(re.findall("arn:([a-z-]+):", str(documents)))
        ensure(partitions <= {ROLE_ARN.fullmatch(role)[1]}, "a policy is about another partition than the role")
        same = not trust_path or is_about(trust_path, role, documents["trust"])
        ensure(same, "it is about another role or trust policy than the file", ValueError)
        ensure(not any(claim["facts"] for claim in claims.values()), "the proof relies on facts about AWS")
        ensure("nothing_else" in claims, "it is not claimed that only intended requests are allowed", ValueError)
        for request in requests(policies["trust"] | policies["intent"]):
            for subset, superset in map(CLAIMS.__getitem__, claims):
                holds = allows(policies[superset], request) or not allows(policies[subset], request)
                ensure(holds, f"{superset} denies a request that {subset} allows: {request}", ValueError)
        kind = "exactly" if "everything_intended" in claims else "only"
        known = "is that of the file" if trust_path else "is in the certificate; use --trust to compare it with yours"
        return 0, RESULT.format(json.dumps(role), kind, json.dumps(documents["intent"]["Statement"]), known)
    except (OSError, Unsupported) as error:
        return 2, f"NOT CHECKED: {ascii(str(error))[1:-1]}"
    except Exception as error:  # whatever is wrong with a certificate, it is not accepted
        return 1, f"REJECTED: {ascii(str(error))[1:-1]}"


if __name__ == "__main__":
    is_usual = len(sys.argv) in (2, 4) and sys.argv[2:3] in ([], ["--trust"]) and sys.argv[1][:1] != "-"
    status, result = check(*map(Path, sys.argv[1::2])) if is_usual else (2, __doc__.split("\n\n")[1])
    sys.stdout.write(result + "\n")
    sys.exit(status)
