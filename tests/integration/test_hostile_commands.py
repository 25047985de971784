"""Hostile text through every command and output format of both programs: it is printed and has no other effect.

A command without a scenario fails `test_every_command_has_a_scenario`, a value of `--format` without a scenario fails
`test_every_format_has_a_scenario`. test_printing.py checks that all output goes through the console.
"""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as Xml
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from tools.app_tree import loaded_commands

from audit_accounts import hostile_account
from command_lines import PROGRAMS
from command_rig import Ended, gen, runner
from hostile_aws import hostile_aws
from hostile_text import HOSTILE, leaks
from manifests import NOTES
from query_journals import Answering, write_run
from rolecall_generator.errors import ExitCode
from rolecall_generator.terraform.render import hcl_string
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import Result
from rolecall_runner.execution.journal import Journal, RunRecord
from rolecall_runner.query.execute import Reason

TEXT = "".join(HOSTILE).encode("utf-8", "ignore").decode().replace("\x00", "")
"""All hostile text in one string that is valid on a command line."""
ANY = "\n".join(HOSTILE)
NAMES = [each for each in HOSTILE if not {"\x00", "/"} & set(each) and each.encode("utf-8", "ignore").decode() == each]
"""Strings that are valid file names."""
PLAY = """
- name: p
  hosts: account1
  tasks:
    - name: q
      query: {service: lambda, operation: list_functions, select: "Functions[].{n: FunctionName}"}
      register: found
    - name: m
      assert: {that: "true", success_msg: "{{ found.rows | map(attribute='n') | join(' ') }}"}
    - name: l
      loop: "{{ found.rows }}"
      assert: {that: "item.n == 'x'", fail_msg: "bad {{ item.n }}"}
      ignore_errors: true
    - name: s
      query: {service: s3, operation: list_buckets}
"""
ROLE = """
resource "aws_iam_role" "hNUMBER" {
  name               = TEXT
  path               = TEXT
  description        = TEXT
  tags               = { TEXT = TEXT }
  assume_role_policy = jsonencode({ Statement = [{
    Sid = TEXT, Effect = TEXT, Action = TEXT, Principal = { AWS = TEXT }
    Condition = { StringEquals = { TEXT = TEXT } } }] })
}
output "hNUMBER" {
  value = TEXT
}
resource TEXT TEXT {}
"""


@dataclass(frozen=True)
class Scenario:
    """A command line in a folder with hostile content; `aws`: AWS is hostile too, and the STS actions that it denies."""

    words: tuple[str, ...]
    aws: tuple[str, ...] | None = None

    def run(self, folder: Path) -> Ended:
        """Exit code and output of the scenario."""
        program = gen if self.words[0] == "gen" else runner
        if self.aws is None:
            return program(*self.words[1:], cwd=folder)
        with hostile_aws(*self.aws) as environ:
            return program(*self.words[1:], cwd=folder, environ=environ)


def of(line: str, *more: str, aws: tuple[str, ...] | None = None) -> Scenario:
    return Scenario((*line.split(), *more), aws)


def each_format(line: str, *forms: str, aws: tuple[str, ...] | None = None, sql: str = "") -> list[Scenario]:
    return [of(f"{line} --format {form}", *filter(None, [sql]), aws=aws) for form in forms]


LAMBDA = "lambda list_functions --select Functions[].{n:FunctionName,d:Description}"
SCENARIOS: dict[str, list[Scenario]] = {
    "gen init": [of("gen init", NAMES[0]), of("gen", TEXT), of("gen init", f"--{TEXT}")],
    "gen schema": [of("gen schema")],
    "gen terraform": [*each_format("gen terraform", "table", "json"), of("gen terraform hostile.yaml")],
    "gen check": [
        *each_format("gen check --path account1=returned", "table", "json", "sarif", "junit"),
        of("gen check hostile.yaml"),
        of("gen check --format", TEXT),
    ],
    "gen prove": each_format("gen prove --out forged", "table", "json", "html", "svg", "mermaid"),
    "gen diff": each_format("gen diff --out forged", "table", "json"),
    "gen guardrails": [
        *each_format("gen guardrails account1 --scp scps.json --rcp rcps.json", "table", "json", "customer"),
        of("gen guardrails account1 --scp", f"{TEXT}=scps.json"),
        of("gen guardrails account1 --scp broken-policies.json"),
        of("gen guardrails account1 --scp", TEXT),
        of("gen guardrails --scp scps.json", TEXT),
        of("gen guardrails account1 --scp scps.json --administrator", TEXT),
        of("gen guardrails account1 --scp scps.json --organization", TEXT),
        of("gen guardrails account1 --profile", TEXT),
        of("gen guardrails account1 --profile default", aws=()),
    ],
    "gen profiles": [of("gen profiles"), of("gen profiles hostile.yaml")],
    "gen bundle": each_format("gen bundle", "table", "json"),
    "gen bundle-check": each_format("gen bundle-check hostile.zip account1.zip", "table", "json"),
    "gen audit": [
        *each_format("gen audit account.json", "table", "json", "sarif", "junit", "html"),
        of("gen audit hostile.json"),
        of("gen audit", TEXT),
        of("gen audit account.json --organization-accounts", TEXT),
        of("gen audit --profile missing", aws=()),
    ],
    "gen customer add": [of("gen customer add acme --account-id 999999999999 --dry-run --label", f"a={TEXT}")],
    "gen customer set": [of("gen customer set account1 --dry-run --label", f"{TEXT}=a")],
    "gen customer remove": [of("gen customer remove --dry-run", TEXT)],
    "gen customer rename": [of("gen customer rename account1 --dry-run", TEXT)],
    "gen customer list": each_format("gen customer list --manifest odd.yaml", "table", "json"),
    "gen customer show": [
        *each_format("gen customer show account1 --manifest odd.yaml", "table", "json"),
        of("gen customer show", TEXT),
    ],
    "gen customer rotate-external-id": [of("gen customer rotate-external-id --dry-run", TEXT)],
    "gen customer rotations": each_format("gen customer rotations --out rotated", "table", "json"),
    "gen import csv": [of("gen import csv hostile.csv --dry-run"), of("gen import csv odd.csv --dry-run")],
    "gen import organizations": [of("gen import organizations --dry-run", aws=())],
    "gen import terraform-outputs": [of("gen import terraform-outputs hostile.json --dry-run")],
    "runner rehearse": each_format("runner rehearse hostile.yaml --no-terraform", "table", "json"),
    "runner verify": [
        *each_format("runner verify --no-probe-actions", "table", "json", "jsonl", "junit", "html", aws=()),
        of("runner verify", aws=("GetCallerIdentity",)),
        of("runner verify --no-probe-actions", aws=("AssumeRole",)),
        of("runner verify --limit", TEXT),
    ],
    "runner query": [
        *each_format(f"runner query {LAMBDA}", "table", "json", "jsonl", "csv", aws=()),
        of(f"runner query {LAMBDA} --format parquet --output rows", aws=()),
        of("runner query s3 list_buckets", aws=()),
        of("runner query iam list_users", aws=("AssumeRole",)),
    ],
    "runner sql": [
        *each_format("runner sql", "table", "json", "jsonl", "csv", sql="select n, d from s3_buckets"),
        of("runner sql --format parquet --output out.parquet", "from s3_buckets"),
        of("runner sql --tables"),
        of("runner sql --changes s3_buckets"),
        of("runner sql", "select * from errors"),
        of("runner sql", "select * from runs"),
        of("runner sql", TEXT),
    ],
    "runner play": [
        *each_format("runner play play.yaml", "table", "json", aws=()),
        of("runner play play.yaml --list-tasks"),
    ],
    "runner switch-url": [of("runner switch-url", TEXT)],
    "runner console": [of("runner console account1", aws=("AssumeRole",)), of("runner console", TEXT)],
    "runner shell": [of("runner shell account1 -- true", aws=("AssumeRole",)), of("runner shell", TEXT)],
    "runner explain": [
        *each_format("runner explain 'not authorized to perform: s3:GetObject'", "table", "json"),
        *(
            of(f"runner explain --format {form}", f"User: arn:aws:iam::1:role/{TEXT} is not authorized to perform: a:b")
            for form in ("table", "json")
        ),
    ],
    "runner history": [*each_format("runner history", "table", "json"), of("runner history", TEXT), of("runner", TEXT)],
    "runner onboard": each_format("runner onboard account1 --timeout 1", "table", "json", aws=("AssumeRole",)),
    "runner status": [
        *each_format("runner status", "table", "json", "html"),
        of("runner status --out broken"),
        of("runner status --customer-pages", TEXT),
    ],
    "runner sandbox up": [of("runner sandbox up hostile.yaml"), of("runner sandbox up --faults", TEXT)],
    "runner sandbox env": [of("runner sandbox env --home", NAMES[0])],
    "runner sandbox status": each_format("runner sandbox status", "table", "json"),
    "runner sandbox logs": [of("runner sandbox logs")],
    "runner sandbox down": [of("runner sandbox down --home", NAMES[0])],
}
SAME_IN_EACH_FORMAT = ("gen customer", "gen import", "runner sandbox env")
"""Commands that print a proposal or variables; their JSON comes from `emit_json` like all other JSON."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest, its modules and bundles, and every file that others could have added."""
    folder = tmp_path_factory.mktemp("world")
    shutil.copy(NOTES, folder / "accounts.yaml")
    assert 0 == gen("terraform", cwd=folder).code
    assert 0 == gen("bundle", cwd=folder).code
    shutil.copy(folder / "output" / "bundles" / "account1.zip", folder / "account1.zip")
    for name in NAMES:
        (folder / "output" / "customers" / "account1" / f"{name}.tf").write_text("", "utf-8")
    _returned(folder / "output" / "customers" / "account1", folder / "returned")
    shutil.copytree(folder / "output", folder / "forged")
    shutil.rmtree(folder / "forged" / "customers" / "account1")
    shutil.copytree(folder / "returned", folder / "forged" / "customers" / "account1")
    _manifests(folder)
    _tables(folder)
    _runs(folder / ".rolecall" / "runs")
    _records(folder)
    (folder / "account.json").write_text(json.dumps(hostile_account(HOSTILE)), "utf-8")
    return folder


def _returned(module: Path, into: Path) -> None:
    """A module that a customer could return: every name and string in it is hostile."""
    shutil.copytree(module, into)
    for number, text in enumerate(HOSTILE):
        said = hcl_string(text.encode("utf-8", "ignore").decode())
        (into / f"h{number}.tf").write_text(ROLE.replace("NUMBER", str(number)).replace("TEXT", said), "utf-8")
    (into / "broken.tf").write_text(f"# {TEXT}\nlocals {{ a = {TEXT}() }}\n", "utf-8")


def _manifests(folder: Path) -> None:
    """A manifest with hostile values, and one with unusual but permitted visible ones."""
    text = (folder / "accounts.yaml").read_text("utf-8")
    first = "- {name: account1,"
    assert first in text
    odd = json.dumps({"a": "[red]x[/] :bomb: ##[error] ::error::x", "b": "::error::x\n##vso[x]"})
    (folder / "odd.yaml").write_text(text.replace(first, f"{first} variables: {odd},", 1), "utf-8")
    hostile = "".join(f" h{number}: {json.dumps(each)}," for number, each in enumerate(HOSTILE))
    (folder / "hostile.yaml").write_text(text.replace(first, f"- {{name: {json.dumps(TEXT)},{hostile}", 1), "utf-8")


def _tables(folder: Path) -> None:
    rows = [f'"{each}",{number:012}' for number, each in enumerate(HOSTILE, 1) if '"' not in each]
    data = "\n".join(["name,account_id", *rows]).encode("utf-8", "ignore")
    (folder / "hostile.csv").write_bytes(bytes(byte for byte in data if byte >= ord(" ") or byte == ord("\n")))
    (folder / "odd.csv").write_text("name,account_id\n::error::x [red] ##[error],999999999997\n", "utf-8")
    arn = "arn:aws:iam::999999999999:role/x"
    body = {each: {"value": {"role_arn": f"{arn}{each}", "external_id": each}} for each in HOSTILE}
    (folder / "hostile.json").write_text(json.dumps(body), "utf-8")
    with zipfile.ZipFile(folder / "hostile.zip", "w") as file:
        for name in NAMES:
            file.writestr(f"account1/{name}", name)
        file.writestr("account1/SHA256SUMS", "".join(f"{'0' * 64}  {name}\n" for name in NAMES))
    (folder / "play.yaml").write_text(PLAY, "utf-8")
    _policies(folder)


def _policies(folder: Path) -> None:
    """SCPs and RCPs of an organization: every name, key and value in them is hostile."""
    statements: list[dict[str, object]] = []
    for each in HOSTILE:
        conditions = {"StringNotEquals": {"aws:RequestedRegion": each, f"aws:PrincipalTag/{each}": each}, each: {each: each}}
        denied = {"Action": ["s3:*", "sts:*", each], "Resource": ["*", each]}
        statements.append({"Sid": each, "Effect": "Deny", **denied, "Condition": conditions})
    plain: dict[str, object] = {"Sid": ANY, "Effect": "Deny", "Action": ["s3:*", "sts:AssumeRole"], "Resource": "*"}
    scps = [{"Version": "2012-10-17", "Statement": [each]} for each in (*statements, plain)]
    named = [{"Policy": {"PolicySummary": {"Name": ANY}, "Content": json.dumps(each)}} for each in scps]
    rcps = [{"Version": ANY, "Statement": [{**each, "Principal": "*"}]} for each in (*statements, plain)]
    for name, policies in (("scps.json", named), ("rcps.json", rcps)):
        (folder / name).write_text(json.dumps(policies), "utf-8")
    broken = {"Statement": [{"Effect": ANY, "Condition": {ANY: {ANY: {}}}}]}
    (folder / "broken-policies.json").write_text(json.dumps(broken), "utf-8")


def _runs(runs: Path) -> None:
    """Journals written by an earlier run or by someone else."""
    rows = [{"n": each, "d": each, each: each} for each in HOSTILE]
    accounts = [Answering("account1", rows), Answering("account2", reason=Reason.DENIED, error=ANY)]
    for number in (1, 2):
        answers = [*accounts, Answering(ANY, rows[:1])]
        write_run(runs, number, answers, service="s3", operation="ListBuckets", failed=["x"], where=ANY)
    moment = datetime(2026, 11, 25, tzinfo=UTC)
    record = RunRecord("20261125-000000-0000ff", ANY, ANY, ANY, ANY, 3, moment.isoformat(), ANY, ANY)
    with Journal.start(runs, record) as journal:
        journal.add(Result(ANY, ANY, Status.FAILED, moment, error=ANY, code=ANY))
    broken = runs / "20261125-000001-0000fe"
    broken.mkdir(0o700)
    for name, text in (("run.json", json.dumps(asdict(record) | {"run_id": broken.name})), ("results.jsonl", f"{TEXT}\n")):
        (broken / name).write_text(text, "utf-8")
        (broken / name).chmod(0o600)


def _records(folder: Path) -> None:
    """Status and rotations, valid except for their strings; and a sandbox log."""
    (folder / "broken").mkdir()
    status = json.dumps({"version": 1, "customers": {ANY: ANY}, "switch_roles": {}})
    (folder / "broken" / "status.json").write_text(status, "utf-8")
    shutil.copytree(folder / "output", folder / "rotated")
    rotations = json.dumps({"version": 1, "customers": {ANY: ANY}})
    (folder / "rotated" / ".rolecall.rotations.json").write_text(rotations, "utf-8")
    home = folder / ".rolecall" / "sandbox"
    home.mkdir(0o700)
    (home / "sandbox.log").write_bytes(ANY.encode("utf-8", "ignore"))


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, child in loaded_commands(command).items():
        yield from leaves(child, f"{path} {name}")
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = {path: command for name, program in PROGRAMS.items() for path, command in leaves(program, name)}


def test_every_command_has_a_scenario() -> None:
    assert set(COMMANDS) == set(SCENARIOS)


def formats(command: Any) -> set[str]:
    """The values of a command's --format."""
    options = [each for each in command.params if "--format" in each.opts]
    return {form for each in options for form in get_args(each.type_descriptor.annotation)}


@pytest.mark.parametrize("path", [path for path in COMMANDS if formats(COMMANDS[path])])
def test_every_format_has_a_scenario(path: str) -> None:
    asked = {form for each in SCENARIOS[path] for form in formats(COMMANDS[path]) & set(each.words)}

    assert path.startswith(SAME_IN_EACH_FORMAT) or formats(COMMANDS[path]) == asked


def test_formats_are_found() -> None:
    """An empty list would make the test above pass without checking anything."""
    assert {"table", "json", "sarif", "junit"} == formats(COMMANDS["gen check"])


def named(scenario: Scenario) -> str:
    return ascii(" ".join(scenario.words))[1:60]


@pytest.mark.parametrize("scenario", [each for some in SCENARIOS.values() for each in some], ids=named)
def test_output_of_every_command_is_sanitized(scenario: Scenario, world: Path, tmp_path: Path) -> None:
    """Neither standard output nor errors have any, there is no traceback, and each format is valid."""
    folder = tmp_path / "here"
    shutil.copytree(world, folder)
    ended = scenario.run(folder)

    assert [] == leaks(ended.out)
    assert [] == leaks(ended.err)
    assert "Traceback" not in ended.err
    assert ended.code != ExitCode.INTERNAL
    _check_form(scenario.words, ended)


def _check_form(words: Sequence[str], ended: Ended) -> None:
    if "--format" not in words or not ended.out.strip():
        return
    form = words[words.index("--format") + 1]
    if form in {"json", "sarif"}:
        json.loads(ended.out)
    elif form == "jsonl":
        assert all(json.loads(line) for line in ended.out.splitlines())
    elif form in {"junit", "svg"}:
        Xml.fromstring(ended.out)  # noqa: S314 - our own output


def test_scenarios_contain_hostile_text(world: Path, tmp_path: Path) -> None:
    """Folder and fake AWS provide hostile text; without it the tests above would prove nothing."""
    folder = tmp_path / "here"
    shutil.copytree(world, folder)
    rows = json.loads(of(f"runner query {LAMBDA} --format json", aws=()).run(folder).out)["rows"]
    refused = json.loads(of("runner query s3 list_buckets --format json", aws=()).run(folder).out)["not_answered"]
    checked = json.loads(of("gen check --path account1=returned --format json").run(folder).out)["findings"]

    reviewed = json.loads(of("gen guardrails account1 --rcp rcps.json --format json").run(folder).out)

    assert set(HOSTILE) == {each["n"] for each in rows}
    assert any("\x9b" in (stop["sid"] or "") for answer in reviewed["answers"] for stop in answer["stops"])
    assert "\x9b" in refused[0]["error"]
    assert any("\x1b" in finding["message"] for finding in checked)
