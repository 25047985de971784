"""Invalid and hostile files are findings with a location, without an exception and within a time limit."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.errors import ModuleError
from rolecall_generator.findings import Severity
from rolecall_generator.terraform.parser.parse import ParsedModule, parse_files, parse_module
from rolecall_generator.terraform.render import hcl_string

ACCOUNT = "222222222222"
BAD: dict[str, tuple[bytes, int]] = {
    "huge": (b"# x\n" * 300_000, 1),
    "brackets 10,000 deep": (b"a {\n  b = " + b"[" * 10_000 + b"]" * 10_000 + b"\n}\n", 2),
    "blocks 10,000 deep": (b"a {\n" * 10_000 + b"}\n" * 10_000, 101),
    "templates 10,000 deep": (b"a {\n  b = " + b'"${' * 10_000 + b'}"' * 10_000 + b"\n}\n", 2),
    "a sum of 10,000": (b"a {\n  b = 1" + b" + 1" * 10_000 + b"\n}\n", 1),
    "a path of 10,000": (b"a {\n  b = c" + b".d" * 10_000 + b"\n}\n", 1),
    "10,000 conditions": (b"a {\n  b = " + b"c ? d : " * 10_000 + b"e\n}\n", 1),
    "300,000 signs in a string": (b'a {\n  b = "' + b"$" * 300_000 + b"\n}\n", 2),
    "300,000 signs in a heredoc": (b"a {\n  b = <<E\n" + b"%" * 300_000 + b"${\nE\n}\n", 4),
    "250,000 comments, the last not closed": (b"/**/" * 250_000 + b"/*", 1),
    "300,000 ends of blocks": (b"\n}" * 300_000, 1),
    "cut off within a character": ('a {\n  b = "\u00e9'.encode()[:-1], 2),
    "binary": (b"a {}\n\x00\x01\n", 2),
    "not UTF-8": (b'a {\n  b = "\xff"\n}\n', 2),
    "UTF-16": ("a {}\n".encode("utf-16"), 1),
    "cut off": (b'resource "aws_iam_role" "a" {\n  name = "b"\n', 3),
    "string not closed": (b'a {\n  b = "c\n}\n', 2),
    "comment not closed": (b"a {}\n/* b {}\n", 2),
    "heredoc not closed": (b"a {\n  b = <<EOF\n  c\n}\n", 3),
    "template not closed": (b'a {\n  b = "${c"\n}\n', 2),
    "unknown escape": (b'a {\n  b = "\\x41"\n}\n', 2),
    "half a surrogate pair": (b'a {\n  b = "\\ud800"\n}\n', 2),
    "a bare carriage return": (b'# a\rb {}\nc { d = 1 }\re = "f"\n', 2),
    "no syntax at all": (b"hello, this is an e-mail\n", 1),
    "an argument outside any block": (b'a {}\nname = "b"\n', 2),
}
BAD_JSON: dict[str, bytes] = {
    "not JSON": b"{",
    "a list": b"[]",
    "10,000 deep": b'{"locals": {"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}",
    "20,000 names and a template not closed": (
        b'{"locals": {' + b"".join(b'"a%d": 1,\n' % number for number in range(20_000)) + b'"b": "${"}}'
    ),
    "a key twice": b'{"resource": {}, "resource": {}}',
    "no label": b'{"resource": "x"}',
    "no body": b'{"resource": {"aws_iam_role": {"a": "b"}}}',
    "a template not closed": b'{"locals": {"a": "${"}}',
}


def parsed(**files: bytes) -> ParsedModule:
    return parse_files(
        {name.replace("_tf", ".tf").replace("_json", ".json"): body for name, body in files.items()}, account_id=ACCOUNT
    )


@pytest.mark.parametrize("name", BAD)
def test_invalid_file_is_error_with_line(name: str) -> None:
    """Each invalid file is RC903 at the line of the error."""
    content, line = BAD[name]
    found = [finding for finding in parsed(main_tf=content).findings if finding.rule == "RC903"]

    assert [("main.tf", line, Severity.ERROR)] == [(finding.file, finding.line, finding.severity) for finding in found]


@pytest.mark.parametrize("name", BAD_JSON)
def test_invalid_json_file_is_error(name: str) -> None:
    """Errors in the JSON syntax are findings, as in the native syntax."""
    found = [finding for finding in parsed(main_tf_json=BAD_JSON[name]).findings if finding.rule == "RC903"]

    assert [Severity.ERROR] == [finding.severity for finding in found]


def chain(first: str, step: str, last: str, length: int = 60) -> str:
    """Locals that each refer to the previous one; `P` in `step` is replaced by the reference."""
    steps = [f"a{n} = " + step.replace("P", f"local.a{n - 1}") for n in range(1, length)]
    return "\n  ".join([f"a0 = {first}", *steps, "a = " + last.replace("P", f"local.a{length - 1}")])


LOCALS: dict[str, str] = {
    "a local of itself": "a = local.a",
    "locals of each other": "a = local.b\n  b = local.a",
    "text that doubles": chain('"xxxxxxxx"', '"${P}${P}"', "P"),
    "lists that double": chain("[]", "[P, P]", "jsonencode(P)"),
    "squares of squares": chain("99", "P * P", '"${P}"'),
    "nested loops": f'l = split("", "{"x" * 300}")\n  a = [for x in local.l : [for y in local.l : [for z in local.l : x]]]',
    "a chain of 3,000": "\n  ".join([*(f"a{n} = local.a{n + 1}" for n in range(3000)), "a = local.a0"]),
    "an unknown function": 'a = file("x")',
    "a directive": 'a = "%{ if true }x%{ endif }"',
    "a directive and a loop of its name": 'a = [for template_directive in ["x"] : "%{ if true }y%{ endif }"][0]',
}


@pytest.mark.parametrize("name", LOCALS)
def test_excessive_evaluation_is_finding(name: str) -> None:
    """Infinite and very large values are reported within the time limit."""
    text = f'locals {{\n  {LOCALS[name]}\n}}\nresource "aws_iam_group" "a" {{\n  name = local.a\n}}\n'

    assert "RC901" in {finding.rule for finding in parsed(main_tf=text.encode()).findings}


def test_folder_without_terraform_files_is_error(tmp_path: Path) -> None:
    assert "RC903" in {finding.rule for finding in parse_module(tmp_path, account_id=ACCOUNT).findings}


def test_missing_folder_is_module_error(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match="absent"):
        parse_module(tmp_path / "absent", account_id=ACCOUNT)


@given(st.text(min_size=1))
def test_strings_round_trip(value: str) -> None:
    """A literal written by the renderer is parsed as the same string, with NFC normalization as in Terraform."""
    text = f'resource "aws_iam_group" "a" {{\n  name = {hcl_string(value)}\n}}\n'
    groups = parsed(main_tf=text.encode("utf-8", "replace")).access.groups
    expected = unicodedata.normalize("NFC", value.encode("utf-8", "replace").decode())

    assert [f"arn:aws:iam::{ACCOUNT}:group/{expected}"] == list(groups)


@settings(deadline=None)
@given(st.text(alphabet='ab1 "\\{}[]()$%#/*<-=.,\n\r?:!E\t~', max_size=60))
def test_reader_never_raises_other_errors(text: str) -> None:
    """For any content of a file, parsing ends with or without findings, and never with an exception."""
    parsed(main_tf=text.encode())
    parsed(main_tf=f"a {{\n  b = {text}\n}}".encode())


@pytest.mark.parametrize("text", ["\u0301\u0316" * 100_000, "a" + "\u0301" * 101])
@pytest.mark.parametrize(
    "form", ['locals {{ a = "{}" }}', 'locals {{\n  a = "{}${{1}}"\n}}', "locals {{\n  a = <<E\n{}\nE\n}}"]
)
def test_long_run_of_combining_characters_is_rejected(form: str, text: str) -> None:
    """The time for normalizing them is quadratic in their number."""
    assert "RC903" in {finding.rule for finding in parsed(main_tf=form.format(text).encode()).findings}


def test_ordinary_combining_characters_are_normalized() -> None:
    """As many combining characters as occur in any language."""
    text = 'resource "aws_iam_group" "a" {\n  name = "e\u0301' + "x" * 200 + '"\n}\n'

    assert [f"arn:aws:iam::{ACCOUNT}:group/\u00e9" + "x" * 200] == list(parsed(main_tf=text.encode()).access.groups)
