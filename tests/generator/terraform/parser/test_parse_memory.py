"""Caching does not change the result: cached blocks of files and cached policy documents equal a new parse of the whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.terraform.parser.documents import document_json, evaluate_document
from rolecall_generator.terraform.parser.files import load
from rolecall_generator.terraform.parser.lexer import Unreadable
from rolecall_generator.terraform.parser.modules import Instance, ModuleScope
from rolecall_generator.terraform.parser.readers import read_native, read_whole
from rolecall_generator.terraform.parser.schema import ParseFindings
from rolecall_generator.terraform.parser.values import Unresolvable

GOLDEN = Path(__file__).parents[3] / "golden"

# Complete blocks, partial blocks, and all syntax that can hide or open the end of a block.
PIECES = (
    "a {\n}\n", 'a "b" {\n  c = "d"\n}\n', 'a "b" {\n  c = "e"\n}\n', "x = 1\n", "a = {\n  b = 1\n}\n", "a {\n", "}\n",
    "{\n", "  c = [\n", "]\n", "[\n}\n", "# }\n", "/*\n", "*/\n", "  b = <<E\n", "E\n", "a {\n  b = <<E\n}\nE\n}\n", '"\n',
    '  b = "${\n', '"\\x"\n', "? b : c\n", "|| d\n", ".e\n", "\n", "\r\n", "a {\r\n}\r\n", "} b {\n}\n", "a {}", " ",
    "in {\n}\n", "a b\n", "(\n", ")\n", "a { b = 1 }\n", "a {\n  b = c\n}\n", "a {\n  b = f(c)\n}\n",
)  # fmt: skip


def outcome(read: object, text: str) -> object:
    try:
        return read(text, "main.tf")  # type: ignore[operator]
    except Unreadable as error:
        return error.reason, error.line


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=7).map("".join))
def test_pieces_parse_as_the_whole_file(text: str) -> None:
    """Blocks, positions and errors are the same for any text before and after each block."""
    assert outcome(read_whole, text) == outcome(read_native, text)


def test_pieces_of_generated_files_parse_as_the_whole_file() -> None:
    """Each golden file has the same blocks, also with lines inserted before it."""
    texts = [path.read_text("utf-8") for path in GOLDEN.rglob("*.tf")]

    assert texts
    for text in (moved for found in texts for moved in (found, f"# moved\n\n{found}", f"a {{\n}}\n{found}{found}")):
        assert read_whole(text, "main.tf") == read_native(text, "main.tf")


STATEMENT = """
data "aws_iam_policy_document" "a" {{
{repeat}  statement {{
    actions = [{action}]
    resources = ["*"]
  }}
}}
variable "v" {{
  default = "{value}"
}}
locals {{
  l = "sts:{value}"
}}
"""
ACTIONS = (
    '"sts:AssumeRole"',
    "var.v",
    "local.l",
    "each.key",
    '"${var.v}x"',
    "missing.x",
    '[for x in ["a"] : x][0]',
    'f("a")',
)
REPEATS = ("", '  for_each = toset(["one", "two"])\n', '  version = "2008-10-17"\n', "  count = 2\n")


def instances(text: str) -> list[Instance]:
    module = ModuleScope(load({"main.tf": text.encode()}, ParseFindings()), "222222222222", "aws", document_json)
    return [instance for block in module.source.blocks if block.type == "data" for instance in module.instances(block)]


def said(read: object, instance: Instance) -> object:
    try:
        return read(instance)  # type: ignore[operator]
    except Unresolvable as error:
        return error.reason


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(REPEATS), st.sampled_from(["p", "q"])), max_size=4))
def test_cached_document_equals_uncached_document(modules: list[tuple[str, str, str]]) -> None:
    """A document is cached for other modules only if it does not depend on its own module."""
    for action, repeat, value in modules * 2:
        for instance in instances(STATEMENT.format(action=action, repeat=repeat, value=value)):
            assert said(evaluate_document, instance) == said(lambda known: document_json(known).policy, instance)


def test_cached_documents_count_evaluation_steps() -> None:
    """A module that exceeds the limit is found whether or not its documents are cached."""
    text = STATEMENT.format(action='"sts:AssumeRole"', repeat="", value="p")
    (instance,) = instances(text)
    before = instance.scope.budget[0]
    document_json(instance)
    first = before - instance.scope.budget[0]
    document_json(instance)

    assert first > 0
    assert 2 * first == before - instance.scope.budget[0]
    instance.scope.budget[0] = first - 1
    with pytest.raises(Unresolvable, match="too long"):
        document_json(instance)
