"""The kept tables of python-hcl2's grammar: fresh, the same as built ones, and left alone where they do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import hcl2.parser
import pytest
from lark import Lark
from lark.exceptions import UnexpectedInput

from rolecall_generator.parse import grammar
from tools import build_grammar

GOLDEN = Path(__file__).parents[2] / "golden"
SAMPLES = {
    "empty": "",
    "operators": "a = !b && -1 + 2 * 3 >= 4 % 5 || c != d\n",
    "conditional over lines": "a = b ?\n  c :\n  d\n",
    "for": 'a = [for k, v in b : "${k}-${v}" if v]\nc = {for k in b : k => k...}\n',
    "paths": "a = b.c[0].d[*].e.*.f.0\n",
    "calls": "a = f(b, c...)\nd = p::q::r()\n",
    "objects": 'a = {b = 1, "c" : 2\n  (d) = 3\n  in = 4}\n',
    "blocks": 'a "b" c {\n  d {}\n}\nfor in {}\n',
    "heredoc": "a = <<EOF\n  ${b}\nEOF\n",
    "directives": 'a = "%{ if b }c%{ else }d%{ endif }$${e}"\n',
    "comments": "# a\n// b\n/* c\n*/ d = 1\n",
    "bad": "a = = b\n",
    "cut off": "a {\n",
}


@lru_cache(maxsize=1)
def built() -> Lark:
    return build_grammar.built()


def outcome(parser: Lark, text: str) -> object:
    try:
        tree = parser.parse(text + "\n")
    except UnexpectedInput as error:
        return type(error), error.line, error.column
    return tree, [(token, token.line, token.end_pos) for token in tree.scan_values(lambda _: True)]


def test_the_kept_tables_are_those_of_the_installed_grammar() -> None:
    """Building anew gives the file, byte for byte; where not, run tests/tools/build_grammar.py."""
    assert build_grammar.as_text(build_grammar.content(built())) == build_grammar.TARGET.read_text("utf-8")


@pytest.mark.parametrize("name", SAMPLES)
def test_kept_tables_parse_as_built_ones(name: str) -> None:
    """Every construct gives the tree, the places and the errors that python-hcl2's own parser gives."""
    assert outcome(built(), SAMPLES[name]) == outcome(grammar.parser(), SAMPLES[name])


def test_kept_tables_parse_generated_modules_as_built_ones() -> None:
    """All golden files give the trees of python-hcl2's own parser."""
    texts = {path.read_text("utf-8") for path in GOLDEN.rglob("*.tf")}

    assert texts
    assert [] == [text for text in texts if outcome(built(), text) != outcome(grammar.parser(), text)]


@pytest.mark.parametrize("change", ["lark", "python-hcl2", "grammar"])
def test_tables_of_another_version_are_not_used(change: str) -> None:
    """Where anything differs from what the tables were made from, python-hcl2 builds its own."""
    content = json.loads(build_grammar.TARGET.read_text("utf-8"))
    content["made_from"][change] = "other"

    assert hcl2.parser.parser() is grammar.parser_of(json.dumps(content))


def test_nothing_is_built_for_a_module(tmp_path: Path) -> None:
    """A process without a home reads a module without python-hcl2 building or loading tables of its own."""
    (tmp_path / "main.tf").write_text('resource "aws_iam_group" "a" {\n  name = "b"\n}\n')
    script = (
        "import sys\nfrom pathlib import Path\nsys.path[:] = sys.argv[2:]\n"
        "from rolecall_generator.parse import parse_module\nimport hcl2.parser\n"
        "groups = parse_module(Path(sys.argv[1]), account_id='222222222222').access.groups\n"
        "print(*groups, hcl2.parser.parser.cache_info().misses)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *sys.path], env={}, capture_output=True, text=True, check=True
    )

    assert "arn:aws:iam::222222222222:group/b 0" == done.stdout.strip()
