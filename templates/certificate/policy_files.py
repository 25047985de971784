"""Read policies: those of a certificate, and a role's trust policy from a file.

The file is main.tf of a module as rolecall writes it, the trust policy as JSON, or the output of `aws iam get-role`.
Part of verify_certificate.py and verify_full_certificate.py.
"""

import json
import re
from collections import namedtuple

MAX_BYTES, MAX_POLICY = 2_000_000, 20_000
Statement = namedtuple("Statement", "effect actions not_actions principals not_principals conditions variables")
ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Principal", "NotPrincipal", "Condition"}
# A quoted string. Templates in it are only references, as in ${self.arn}, so that quotes never nest.
QUOTED = r'"(?:\$\$\{|%%\{|\$\{[\w.]+\}|[$%](?!\{)|\\.|[^"\\$%\n])*"'
TOKEN = re.compile(rf"#[^\n]*|//[^\n]*|/\*.*?\*/|[^\S\n]+|({QUOTED}|[\w.-]+|\n|[^\s\w])", re.DOTALL)
ROLE = {"name", "path", "description", "assume_role_policy", "max_session_duration", "permissions_boundary", "tags"}
ROLE |= {"depends_on"}
ARGUMENTS = {"sid": "Sid", "effect": "Effect", "actions": "Action", "not_actions": "NotAction"}


def read_json(path):
    """Parse a JSON file, in which no object may have a key twice."""

    def constant(name):
        raise ValueError(f"{name} is not JSON")

    def unique(pairs):
        _require(len(dict(pairs)) == len(pairs), "an object has a key twice", ValueError)
        return dict(pairs)

    _require(path.stat().st_size <= MAX_BYTES, "the file is too large", ValueError)
    return json.loads(path.read_text("utf-8"), object_pairs_hook=unique, parse_constant=constant)


def read_policy(policy):
    """The statements of a policy, without Sid, and independent of their order and of the form of single values.

    `variables` of a statement: the version of the policy supports policy variables.
    """

    def strings(value):
        values = value if isinstance(value, list) else [value]
        values = [str(item).lower() if isinstance(item, bool) else item for item in values]
        _require(all(isinstance(item, str) for item in values), "a policy has a value that is not a string", ValueError)
        return frozenset(values)

    def principals(value):
        value = {value: value} if isinstance(value, str) else value
        return frozenset((kind, name) for kind, names in value.items() for name in strings(names))

    found, version = set(), policy.get("Version", "2008-10-17")
    _require(len(json.dumps(policy)) <= MAX_POLICY, "a policy is too large", ValueError)
    usual = version in ("2008-10-17", "2012-10-17") and set(policy) <= {"Version", "Id", "Statement"}
    _require(usual, "a policy has an unknown form")
    for body in policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]:
        _require(set(body) <= ELEMENTS and body["Effect"] in ("Allow", "Deny"), "a statement has an unknown form")
        parts = [strings(body.get(name, [])) for name in ("Action", "NotAction")]
        parts += [principals(body.get(name, {})) for name in ("Principal", "NotPrincipal")]
        conditions = [(operator, *item) for operator, items in body.get("Condition", {}).items() for item in items.items()]
        conditions = frozenset((operator, key, strings(values)) for operator, key, values in conditions)
        found.add(Statement(body["Effect"], *parts, conditions, version == "2012-10-17"))
    return frozenset(found)


def read_trust(path, role):
    """The trust policy of the role (an ARN) in the file, as by `read_policy`.

    Raises ValueError if the file is about another role, and NotImplementedError for Terraform that rolecall does not write.
    """
    if path.suffix == ".tf":
        return read_policy(_read_terraform(path.read_text("utf-8"), role))
    found = read_json(path)
    found = found.get("Role", found)
    _require(found.get("Arn", role) == role, "the certificate is about another role than the file", ValueError)
    return read_policy(found.get("AssumeRolePolicyDocument", found))


def _read_terraform(text, role):
    account, path, name = re.fullmatch("arn:[a-z-]+:iam::([0-9]{12}):role(/|/.*/)([^/]+)", role).groups()
    tokens = [found[1] for found in TOKEN.finditer(text) if found[1]]
    _require('"' not in tokens and "<" not in tokens)  # no nested quotes, no heredocs
    blocks = _body(tokens[::-1])
    roles = [dict(body) for head, body in blocks if head.startswith("resource aws_iam_role ")]
    roles = [body for body in roles if (_string(body["name"]), _string(body["path"])) == (name, path)]
    same = len(roles) == 1 and set(re.findall(r'self\.account_id == "([0-9]+)"', text)) <= {account}
    _require(same, "the certificate is about another role than the module", ValueError)
    label = re.fullmatch(r"data\.aws_iam_policy_document\.([\w-]+)\.json", " ".join(roles[0]["assume_role_policy"]))
    documents = [body for head, body in blocks if label and head == f"data aws_iam_policy_document {label[1]}"]
    _require(set(roles[0]) <= ROLE and len(documents) == 1)
    return {"Version": "2012-10-17", "Statement": [_statement(head, body) for head, body in documents[0]]}


def _statement(head, body):
    """A statement block as JSON."""
    _require(head == "statement")
    found = {"Effect": "Allow"}
    for name, value in body:
        if name in ("principals", "not_principals"):
            part = dict(value)
            _require(set(part) == {"type", "identifiers"})
            kind = found.setdefault("Principal" if name == "principals" else "NotPrincipal", {})
            kind.setdefault(_string(part["type"]), []).extend(_strings(part["identifiers"]))
        elif name == "condition":
            part = dict(value)
            _require(set(part) == {"test", "variable", "values"})
            keys = found.setdefault("Condition", {}).setdefault(_string(part["test"]), {})
            keys.setdefault(_string(part["variable"]), []).extend(_strings(part["values"]))
        else:
            _require(name in ARGUMENTS)
            found[ARGUMENTS[name]] = _string(value) if name in ("sid", "effect") else _strings(value)
    return found


def _body(tokens):
    """The items of an HCL body: the words before it, and the items of a block or the tokens of an expression."""
    items = []
    while tokens and tokens[-1] != "}":
        head = []
        while tokens and tokens[-1] not in ("{", "=", "\n", "}"):
            head.append(tokens.pop().strip('"'))
        end = tokens.pop() if tokens and tokens[-1] != "}" else "\n"
        _require(end != "\n" or not head)
        if end == "{":
            items.append((" ".join(head), _body(tokens)))
            _require(tokens and tokens.pop() == "}")
        elif end == "=":
            items.append((" ".join(head), _expression(tokens)))
    return items


def _expression(tokens):
    """The tokens up to the end of the line or block, outside brackets."""
    found, depth = [], 0
    while tokens and (depth or tokens[-1] not in ("\n", "}")):
        found.append(tokens.pop())
        depth += (found[-1] in ("(", "[", "{")) - (found[-1] in (")", "]", "}"))
    return [part for part in found if part != "\n"]


def _strings(tokens):
    _require(tokens[0] == "[" and tokens[-1] == "]")
    return [_string([part]) for part in tokens[1:-1] if part != ","]


def _string(tokens):
    """The value of a quoted string without templates."""
    _require(len(tokens) == 1 and tokens[0].startswith('"'))
    value = json.loads(tokens[0])
    _require(not re.search(r"\$\{|%\{", value.replace("$${", "").replace("%%{", "")))
    return value.replace("$${", "${").replace("%%{", "%{")


def _require(condition, reason="the module is not as rolecall writes it", error=NotImplementedError):
    if not condition:
        raise error(reason)
