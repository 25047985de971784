"""python-hcl2's parser, ready in a tenth of the time that building it takes.

python-hcl2 8.1.4 builds its LALR tables from its grammar at first use, which takes 1.5 s, and keeps them in its own folder
in site-packages; where that cannot be written, every process builds them anew. `grammar.json` holds the tables that Lark
made of the grammar of one version of python-hcl2. They are used when the installed versions and the grammar's text are the
very same, else python-hcl2 builds its own: so python-hcl2 decides what parses either way. `tests/tools/build_grammar.py`
writes the file.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark

TABLES = "grammar.json"
_SHIFT, _REDUCE = 0, 1


@lru_cache(maxsize=1)
def parser() -> Lark:
    """python-hcl2's parser: of the kept tables where they fit, else as python-hcl2 builds it."""
    try:
        kept = resources.files(__package__).joinpath(TABLES).read_text("utf-8")
    except OSError:
        kept = "{}"
    return parser_of(kept)


def parser_of(kept: str) -> Lark:
    """The parser of kept tables; the one that python-hcl2 builds when they are made from anything but what is installed."""
    # Imported here: a quarter of a second that a run without a module to read must not pay.
    from hcl2.parser import parser as build  # noqa: PLC0415

    content = json.loads(kept)
    return unpacked(content["tables"]) if content.get("made_from") == made_from() else build()


def made_from() -> dict[str, str]:
    """What the tables depend on: the installed versions of Lark and python-hcl2, and the SHA-256 of the grammar's text."""
    grammar = resources.files("hcl2").joinpath("hcl2.lark").read_bytes()
    return {"lark": version("lark"), "python-hcl2": version("python-hcl2"), "grammar": hashlib.sha256(grammar).hexdigest()}


def unpacked(tables: dict[str, Any]) -> Lark:
    """The parser of packed tables, with the post-lexer of the installed python-hcl2.

    A packed state is [shifts, reductions]: token and next state in turns, then rule and number of a set of tokens in turns.
    """
    from hcl2.postlexer import PostLexer  # noqa: PLC0415 - lazily, see parser_of
    from lark import Lark  # noqa: PLC0415

    parse_table = tables["data"]["parser"]["parser"]
    token_sets = parse_table.pop("token_sets")
    parse_table["tokens"] = {int(number): name for number, name in parse_table["tokens"].items()}
    states: dict[int, dict[int, tuple[int, Any]]] = {}
    for state, (shifts, reductions) in enumerate(parse_table["states"]):
        row = states[state] = {token: (_SHIFT, goal) for token, goal in zip(shifts[::2], shifts[1::2], strict=True)}
        for rule, tokens in zip(reductions[::2], reductions[1::2], strict=True):
            row.update(dict.fromkeys(token_sets[tokens], (_REDUCE, {"@": rule})))
    parse_table["states"] = states
    tables["data"]["options"] |= {"cache": False, "postlex": PostLexer()}
    # Lark's own way to load: it takes the file of a pickle, or what would be in it.
    return Lark.load({"data": tables["data"], "memo": dict(enumerate(tables["memo"]))})
