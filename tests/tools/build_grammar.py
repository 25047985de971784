"""Write the tables of python-hcl2's grammar that the parser starts with; see `rolecall_generator/parse/grammar.py`.

Run `python tests/tools/build_grammar.py` when python-hcl2 or Lark change in the lock, and commit the result.
"""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import hcl2.parser
from hcl2.postlexer import PostLexer
from lark import Lark

from rolecall_generator.parse import grammar

TARGET = Path(grammar.__file__).parent / grammar.TABLES
Table = dict[str, Any]


def built() -> Lark:
    """A parser built from python-hcl2's grammar with `hcl2.parser.parser`'s options, past every cache."""
    return Lark.open("hcl2.lark", parser="lalr", rel_to=hcl2.parser.__file__, propagate_positions=True, postlex=PostLexer())


def content(parser: Lark) -> Table:
    """The file's content for a parser that was built."""
    stream = io.BytesIO()
    parser.save(stream, ("postlex", "cache"))
    saved = pickle.loads(stream.getvalue())  # noqa: S301 - written one line above
    memo = [saved["memo"][number] for number in range(len(saved["memo"]))]
    parsing = {**saved["data"]["parser"], "parser": packed(saved["data"]["parser"]["parser"])}
    tables = {"data": {**saved["data"], "parser": parsing}, "memo": memo}
    return {"made_from": grammar.made_from(), "tables": tables}


def packed(table: Table) -> Table:
    """Lark's parse table as `grammar.unpacked` reads it. Numbers of states and tokens follow from the grammar alone."""
    names = sorted(table["tokens"].values())
    rows = {
        state: dict(sorted((names.index(table["tokens"][token]), action) for token, action in row.items()))
        for state, row in table["states"].items()
    }
    order = _walk(rows, table["start_states"]["start"])
    token_sets: dict[tuple[int, ...], int] = {}
    return {
        **{key: {"start": order[table[key]["start"]]} for key in ("start_states", "end_states")},
        "tokens": dict(enumerate(names)),
        "states": [_packed_row(rows[state], order, token_sets) for state in order],
        "token_sets": [list(tokens) for tokens in token_sets],
    }


def _walk(rows: dict[int, dict[int, Any]], start: int) -> dict[int, int]:
    """States in the order in which they are reached, as Lark's own numbers change from run to run."""
    order = {start: 0}
    waiting = [start]
    for state in waiting:
        for kind, goal in rows[state].values():
            if not kind and goal not in order:
                order[goal] = len(order)
                waiting.append(goal)
    return order


def _packed_row(row: dict[int, Any], order: dict[int, int], token_sets: dict[tuple[int, ...], int]) -> list[list[int]]:
    shifts: list[int] = []
    reductions: dict[int, list[int]] = {}
    for token, (kind, argument) in row.items():
        if kind:
            reductions.setdefault(argument["@"], []).append(token)
        else:
            shifts += [token, order[argument]]
    numbers = [
        number
        for rule, tokens in reductions.items()
        for number in (rule, token_sets.setdefault(tuple(tokens), len(token_sets)))
    ]
    return [shifts, numbers]


_NO_END = str((1 << 32) - 1)


def as_text(tables: Table) -> str:
    """JSON with a line for each state, rule and terminal, so that a difference can be read."""
    text = json.dumps(tables, separators=(",", ":"), sort_keys=True)
    # What a regular expression matches at most, where it has no end: patch versions of Python count it differently.
    text = text.replace(str(1 << 64), _NO_END)
    for between in ("]],[[", "],[", "},{"):
        text = text.replace(between, between.replace(",", ",\n", 1))
    return text + "\n"


def main() -> None:
    """Write the file beside the module that reads it."""
    TARGET.write_text(as_text(content(built())), "utf-8")


if __name__ == "__main__":
    main()
