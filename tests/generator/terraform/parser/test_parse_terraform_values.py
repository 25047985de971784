"""Modules in which a conversion, an order or a null decides who has access: parsed as Terraform plans them, or reported.

The results were verified with `terraform plan` (Terraform 1.11.4, provider 5.100.0).
"""

from __future__ import annotations

import pytest

from rolecall_generator.findings import Severity
from rolecall_generator.iam.model import Role
from rolecall_generator.terraform.parser.parse import ParsedModule, parse_files

ACCOUNT = "222222222222"
BACKEND = "arn:aws:iam::111111111111:role/backend_role"
TRUST_DATA = f"""
data "aws_iam_policy_document" "trust" {{
  statement {{
    actions = ["sts:AssumeRole"]
    principals {{
      type        = "AWS"
      identifiers = ["{BACKEND}"]
    }}
  }}
}}
"""
DATA = "data.aws_iam_policy_document.trust.json"


QUOTED = f'"{BACKEND}"'
EVERYONE = '"*"'


def trust(principal: str) -> str:
    """A trust policy as an expression; `principal` is an expression, too."""
    statement = f'{{ Effect = "Allow", Action = "sts:AssumeRole", Principal = {{ AWS = {principal} }} }}'
    return f'jsonencode({{ Version = "2012-10-17", Statement = [{statement}] }})'


def role(policy: str, extra: str = "") -> str:
    return f'resource "aws_iam_role" "a" {{\n  name = "r"\n  assume_role_policy = {policy}\n{extra}\n}}\n'


def decided(condition: str) -> str:
    """A role that trusts the backend if the condition is true, else everyone."""
    return role(f"({condition}) ? {trust(f'{chr(34)}{BACKEND}{chr(34)}')} : {trust(chr(34) + '*' + chr(34))}")


def variable(of: str, default: str, name: str = "v", extra: str = "") -> str:
    return f'variable "{name}" {{\n  type = {of}\n  default = {default}\n{extra}\n}}\n'


def parsed(**files: str) -> ParsedModule:
    names = {name.replace("__", "."): text.encode() for name, text in files.items()}
    return parse_files(names, account_id=ACCOUNT)


def errors(module: ParsedModule) -> list[tuple[str, str | None]]:
    return [(found.rule, found.file) for found in module.findings if found.severity is Severity.ERROR]


def trusted(module: ParsedModule) -> set[str]:
    found: set[str] = set()
    for each in module.access.roles.values():
        for statement in each.trust.statements if each.trust else ():
            found.update(principal.identifier for principal in statement.principals)
    return found


def only_role(module: ParsedModule) -> Role:
    (found,) = module.access.roles.values()
    return found


LOCALS = 'locals {\n  l = [{ a = ["x", "*"], b = 1 }]\n}\n'

# The value of each condition in Terraform.
CONDITIONS: dict[str, tuple[str, bool]] = {
    # Types of variables
    'variable "v" of type string with default true': (variable("string", "true") + decided('var.v == "true"'), True),
    "a bool compared with a string": (variable("bool", '"true"') + decided('var.v == "true"'), False),
    "a number compared with a string": (variable("number", '"5"') + decided('var.v == "5"'), False),
    "a string compared with a number": (variable("string", "5") + decided("var.v == 5"), False),
    "a variable without type keeps that of its literal": (
        'variable "v" {\n  default = "1"\n}\n' + decided("var.v == 1"), False),
    "an empty typed list and an empty tuple": (variable("list(string)", "[]") + decided("var.v == []"), False),
    "a typed map and an object": (variable("map(string)", '{ a = "x" }') + decided('var.v == { a = "x" }'), False),
    "a set drops what is there twice": (variable("set(string)", '["a", "a"]') + decided("length(var.v) == 2"), False),
    "a set of numbers and strings": (variable("set(string)", '[1, "1"]') + decided("length(var.v) == 1"), True),
    "a set in order of its elements": (variable("set(string)", '["z", "a"]') + decided('tolist(var.v)[0] == "z"'), False),
    "a set of strings that look like numbers": (
        variable("set(string)", "[9, 10]") + decided('tolist(var.v)[0] == "9"'), False),
    "list(any) has one type": (variable("list(any)", '[1, "1"]') + decided("length(distinct(var.v)) == 2"), False),
    "map(any) has one type": (variable("map(any)", '{ a = true, b = "x" }') + decided("var.v.a == true"), False),
    "a tuple converts its elements": (variable("tuple([string, number])", '[1, "2"]') + decided("var.v[0] == 1"), False),
    "an object drops what is not declared": (
        variable("object({ a = string })", '{ a = "x", b = "y" }') + decided('can(var.v.b)'), False),
    "optional without default is null": (
        variable("object({ a = optional(string) })", "{}") + decided("var.v.a == null"), True),
    "optional with default": (
        variable('object({ a = optional(string, "given") })', "{}") + decided('lookup(var.v, "a", "x") == "given"'), True),
    "optional with default replaces null": (
        variable('object({ a = optional(string, "given") })', "{ a = null }") + decided('var.v.a == "given"'), True),
    "an optional null wins a merge": (
        variable("object({ a = optional(string) })", "{}") + decided('merge({ a = "x" }, var.v).a == "x"'), False),
    "optional inside a list": (
        variable('list(object({ a = optional(bool, "true") }))', "[{}]") + decided("var.v[0].a == true"), True),
    "nullable false takes the default": (
        variable("string", '"d"', extra="  nullable = false") + decided('var.v == "d"'), True),
    # Unification
    "a conditional of number and string": (decided('(true ? 1 : "a") == 1'), False),
    "a conditional of bool and string": (decided('(true ? true : "a") == "true"'), True),
    "a conditional of tuples of different length": (decided('(true ? [1] : ["a", "b"])[0] == 1'), False),
    "a conditional of objects of different attributes": (decided('(true ? { a = 1 } : { b = "x" }).a == 1'), False),
    "a conditional of a null and a list": (decided('(false ? ["a"] : null) == null'), True),
    "tolist of mixed elements": (decided('tolist([1, "a"])[0] == 1'), False),
    "tomap of mixed elements": (decided('tomap({ a = 1, b = "x" }).a == 1'), False),
    "concat of typed lists": (decided('concat(tolist([1]), tolist(["a"]))[0] == 1'), False),
    "concat of tuples": (decided('concat([1], ["a"])[0] == 1'), True),
    "merge of maps": (decided('merge(tomap({ a = 1 }), tomap({ b = "x" })).a == 1'), True),
    "coalesce converts": (decided('coalesce(1, "a") == 1'), False),
    # Equality
    "a tuple and a list": (decided("[1] == tolist([1])"), False),
    "an object and a map": (decided("{ a = 1 } == tomap({ a = 1 })"), False),
    "a set and a tuple": (decided('toset(["a"]) == ["a"]'), False),
    "contains does not convert": (decided('contains(["1"], 1)'), False),
    "nulls of different types": (decided("tostring(null) == tonumber(null)"), True),
    # Numbers
    "numbers beyond 53 bits": (decided("9007199254740993.0 == 9007199254740992.0"), False),
    "numbers of 40 digits": (
        decided("1234567890123456789012345678901234567890 == 1234567890123456789012345678901234567891"), False),
    "a number written with zeros": (decided('tostring(1.50) == "1.5"'), True),
    "a number written with an exponent": (decided('"${1e3}x" == "1000x"'), True),
    "numbers in a set are in numeric order": (decided("tolist(toset([10, 9]))[0] == 9"), True),
    "format with many digits": (decided('format("%v", 123456789012) == "123456789012"'), False),
    # Strings
    "composed and decomposed characters": (decided('"\\u00e9" == "e\\u0301"'), True),
    "white space that only Python strips": (decided('trimspace("\\u001ca") == "a"'), False),
    "the order of keys in JSON": (decided('jsonencode({ b = 1, a = 2 }) == "{\\"b\\":1,\\"a\\":2}"'), False),
    "angle brackets in JSON": (decided('jsonencode("<") == "\\"<\\""'), False),
    "a heredoc's end": ('locals {\n  h = <<EOT\nx\nEOT\x1c\nEOT\n}\n' + decided('local.h == "x\\n"'), False),
    "an indented heredoc": ("locals {\n  h = <<-EOT\n    x\n      y\n  EOT\n}\n" + decided('local.h == "x\\n  y\\n"'), True),
    "split of nothing": (decided('length(split(",", "")) == 0'), False),
    # Errors
    "try after what Terraform converts": (decided('try(tonumber("5"), 1) == 1'), False),
    "try after what Terraform refuses": (decided("try(tonumber(true), 5) == 1"), False),
    "can of a missing attribute": (decided("can({ a = 1 }.b)"), False),
    # Splats, for, dynamic blocks
    "a legacy splat indexes the list": (LOCALS + decided("length(local.l.*.a[0]) == 2"), True),
    "a full splat indexes each element": (LOCALS + decided('local.l[*].a[0] == ["x"]'), True),
    "a splat of null": (decided("length(null[*]) == 1"), False),
    "for over a set": (decided('[for k, v in toset(["a"]) : k][0] == "a"'), True),
    "grouping": (decided('{ for v in ["a", "b"] : "k" => v... }.k[1] == "b"'), True),
}  # fmt: skip


@pytest.mark.parametrize("name", CONDITIONS)
def test_access_is_evaluated_as_by_terraform(name: str) -> None:
    """The role trusts the principals of Terraform's plan, and has no finding."""
    text, holds = CONDITIONS[name]
    module = parsed(main__tf=text)

    assert [] == errors(module)
    assert {BACKEND if holds else "*"} == trusted(module)


UNKNOWN: dict[str, str] = {
    "the JSON text of a document": TRUST_DATA + role(f'replace({DATA}, "{BACKEND}", "*")'),
    "the minified text of a document": TRUST_DATA + role(f'replace({DATA.replace(".json", ".minified_json")}, "AWS", "x")'),
    "a document compared": TRUST_DATA + role(f'{DATA} == "x" ? {trust(QUOTED)} : {DATA}'),
    "the length of a document": TRUST_DATA + decided(f"length({DATA}) == 1"),
    "a document within a string": TRUST_DATA + role(f'" ${{{DATA}}}"'),
    "a document decoded": TRUST_DATA + role(f"jsonencode(jsondecode({DATA}))"),
    "a document in a set": TRUST_DATA + decided(f"length(toset([{DATA}, {DATA}])) == 1"),
    "a document behind a local": TRUST_DATA + f"locals {{\n  d = [{DATA}]\n}}\n" + decided('upper(local.d[0]) == "X"'),
    "the policy of another role": role(trust(EVERYONE)).replace('"a"', '"b"').replace('"r"', '"s"')
    + role("aws_iam_role.b.assume_role_policy"),
    "letters outside ASCII": decided('upper("\\u00df") == "SS"'),
    "length outside ASCII": decided('length("\\u00e9") == 1'),
    "numbers that are rounded": decided("0.1 + 0.2 == 0.3"),
    "a regular expression": decided('replace("a", "/a/", "b") == "b"'),
    "try around what is unknown": decided('try(file("x"), "y") == "y"'),
    "can around what is unknown": decided('can(file("x"))'),
    "try around a local that Terraform refuses": "locals {\n  l = tonumber(true)\n}\n" + decided("try(local.l, 5) == 5"),
    "an error next to a decision": decided("false && tobool(5)"),
    "a conditional of a number and an unknown string": decided('(true ? 1 : file("x")) == 1'),
    "a conditional of a number and a list of the unknown": decided('(true ? 1 : [file("x")]) == 1'),
    "the order of a set of objects": decided("tolist(toset([{ a = 2 }, { a = 1 }]))[0].a == 2"),
    "an element at a negative index": decided("element([1, 2], -1) == 2"),
    "an element of nothing": decided("element([], 0) == 1"),
    "the first of empty lists": decided("coalescelist([], []) == []"),
    "a null among the principals": TRUST_DATA.replace(f'"{BACKEND}"', f'"{BACKEND}", null') + role(DATA),
    "a null where a list is due": role(trust(EVERYONE), "  managed_policy_arns = [null]"),
    "an empty name": role(trust(EVERYONE)).replace('"r"', '""'),
    "an empty path": role(trust(EVERYONE), '  path = ""'),
    "a count that is no number": role(trust(EVERYONE), '  count = "x"'),
    "a count of a fraction": role(trust(EVERYONE), "  count = 0.5"),
    "a count that is true": role(trust(EVERYONE), "  count = true"),
    "a count of null": role(trust(EVERYONE), "  count = null"),
    "for_each over a tuple": role(trust(EVERYONE), '  for_each = ["x"]'),
    "for_each over a set of numbers": role(trust(EVERYONE), "  for_each = toset([1])"),
    "for_each over null": role(trust(EVERYONE), "  for_each = null"),
    "a dynamic block over a string": TRUST_DATA
    .replace("  statement {", '  dynamic "statement" {\n    for_each = "x"\n    content {', 1)
    .replace("\n}\n", "\n  }\n}\n") + role(DATA),
    "a string where a set is due": TRUST_DATA.replace(f'["{BACKEND}"]', f'"{BACKEND}"') + role(DATA),
    "a variable without a value": 'variable "v" {\n  type = string\n}\n' + role(trust("var.v")),
    "a default of the wrong type": variable("number", '"x y"') + decided("var.v == 1"),
    "a type that is none": variable("strings", '"x"') + role(trust("var.v")),
    "a session of an unknown length": role(trust(EVERYONE), "  max_session_duration = tonumber(true)"),
    "a null in a policy": role('jsonencode({ Statement = [{ Effect = "Allow", Action = "*", Condition = null }] })'),
    "a fraction in a policy": role(
        'jsonencode({ Statement = [{ Effect = "Allow", Action = "*", Condition = { NumericLessThan = { k = 1.5 } } }] })'),
    "an object among strings": role('jsonencode({ Statement = [{ Effect = "Allow", Action = { a = "b" } }] })'),
    "a boundary from a file": role(trust(EVERYONE), '  permissions_boundary = file("x")'),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_unresolvable_value_is_error_with_line(name: str) -> None:
    """A value that affects access and cannot be evaluated exactly is RC901, in its file."""
    found = errors(parsed(main__tf=UNKNOWN[name]))

    assert found
    assert {("RC901", "main.tf")} == set(found)


def test_documents_are_resolved_through_expressions() -> None:
    """Locals, collections, conditionals and functions that do not change the string keep the document."""
    ways = (
        DATA,
        f'"${{{DATA}}}"',
        f'lookup({{ a = {DATA}, b = "x" }}, "a", "")',
        f"[for d in tolist([{DATA}]) : d][0]",
        f'coalesce("", {DATA})',
        f'true ? {DATA} : "{{}}"',
        f"try({DATA}, null)",
        f"one([{DATA}])",
        f"merge({{ x = 1 }}, {{ d = {DATA} }}).d",
        f"tostring({DATA})",
    )
    for way in ways:
        module = parsed(main__tf=TRUST_DATA + role(way))
        assert [] == errors(module), way
        assert {BACKEND} == trusted(module), way


def test_arguments_are_converted_to_the_schema() -> None:
    """Numbers become names, strings become numbers, an empty boundary is absent, and so are nulls."""
    extra = '  max_session_duration = "7200"\n  permissions_boundary = ""\n  path = null\n  description = 5\n'
    extra += "  tags = { a = true }"
    module = parsed(main__tf=role(trust(EVERYONE), extra).replace('"r"', "12"))
    found = only_role(module)

    assert [] == errors(module)
    assert f"arn:aws:iam::{ACCOUNT}:role/12" == found.arn
    assert (7200, None, "5", {"a": "true"}) == (
        found.max_session_seconds,
        found.boundary,
        found.description,
        dict(found.tags),
    )


def test_tfvars_values_are_converted() -> None:
    """A value has the declared type, and a null is replaced by the default if the variable is not nullable."""
    text = variable("bool", "false") + variable("string", f'"{BACKEND}"', "w", "  nullable = false")
    module = parsed(
        main__tf=text + role(trust("var.w"), "  count = var.v == true ? 1 : 0"), terraform__tfvars='v = "true"\nw = null\n'
    )

    assert [] == errors(module)
    assert {BACKEND} == trusted(module)


def test_types_are_parsed_in_json_syntax() -> None:
    """There, a type is an expression in a string."""
    declared = '{"variable": {"v": {"type": "list(string)", "default": [1]}, "w": {"type": "string", "default": true}}}'
    module = parsed(main__tf=decided('var.v[0] == "1" && var.w == "true"'), v__tf__json=declared)

    assert [] == errors(module)
    assert {BACKEND} == trusted(module)


DYNAMIC: dict[str, tuple[str, str, set[str]]] = {
    "the key over a list is the index": ('["x"]', 'statement.key == 0 ? "*" : "1"', {"*"}),
    "the key over a set is the element": ('toset(["x"])', 'statement.key == "x" ? "*" : "1"', {"*"}),
    "the key over a map is the key": ('{ x = "y" }', '"${statement.key}${statement.value}"', {"xy"}),
    "a set of objects": ('toset([{ a = "p" }, { a = "q" }])', "statement.value.a", {"p", "q"}),
    "nothing": ("[]", '"*"', set()),
}


@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_blocks_iterate_as_terraform_does(name: str) -> None:
    """Keys and values of the iterator, for each type of collection."""
    for_each, identifier, expected = DYNAMIC[name]
    text = f"""
data "aws_iam_policy_document" "trust" {{
  dynamic "statement" {{
    for_each = {for_each}
    content {{
      actions = ["sts:AssumeRole"]
      principals {{
        type        = "AWS"
        identifiers = [{identifier}]
      }}
    }}
  }}
}}
"""
    module = parsed(main__tf=text + role(DATA))

    assert [] == errors(module)
    assert expected == trusted(module)


def test_iterator_shadows_a_name_of_the_module() -> None:
    """Also if its name is `local`."""
    text = TRUST_DATA.replace(
        "  statement {", '  dynamic "statement" {\n    for_each = ["*"]\n    iterator = local\n    content {'
    )
    text = text.replace(f'["{BACKEND}"]', "[local.value]").replace("\n}\n", "\n  }\n}\n") + 'locals {\n  value = "x"\n}\n'
    module = parsed(main__tf=text + role(DATA))

    assert [] == errors(module)
    assert {"*"} == trusted(module)
