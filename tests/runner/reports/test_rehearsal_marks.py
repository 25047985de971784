"""Results of a sandbox are marked; the endpoint of the clients decides, not an option."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from command_rig import Ended, runner
from consoles import pipe
from manifests import NOTES
from onboard_rig import Stage, staged
from rolecall_generator.records import is_aws_address, rehearsing
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.dataframes import record_of
from rolecall_runner.plays.play_model import Recap
from rolecall_runner.query.execute import Count, QueryResult, Reason, RegionResult
from rolecall_runner.reports.formatters.csv import CsvRowWriter
from rolecall_runner.reports.formatters.html import run_html
from rolecall_runner.reports.formatters.json import JsonLines, json_line, run_json
from rolecall_runner.reports.formatters.junit import run_junit
from rolecall_runner.reports.play_output import PlayText
from rolecall_runner.reports.summary import print_summary
from rolecall_runner.verify.verdict import Verdict
from verdict_worlds import INFO, mixed

MARK = "rehearsal (sandbox)"


def marked(verdicts: list[Verdict]) -> list[Verdict]:
    return [replace(each, rehearsal=True) for each in verdicts]


@pytest.mark.parametrize("rehearsal", [True, False])
def test_every_verify_report_is_marked_as_rehearsal(rehearsal: bool) -> None:
    """Recap, JSON, JSONL, JUnit, HTML; a live run has no mark."""
    info = replace(INFO, rehearsal=rehearsal)
    verdicts = [replace(each, rehearsal=rehearsal) for each in mixed()]
    recap = io.StringIO()
    print_summary(pipe(recap), info, verdicts)
    body = json.loads(run_json(info, verdicts))
    junit = run_junit(info, verdicts)
    texts = (
        recap.getvalue().splitlines()[0],
        recap.getvalue().splitlines()[-1],
        junit,
        "".join(run_html(info, verdicts, picture_svg="")),
    )

    assert [rehearsal] * 4 == [MARK in text for text in texts]
    assert [rehearsal, rehearsal] == [body["rehearsal"], body["run"]["rehearsal"]]
    assert {rehearsal} == {each["rehearsal"] for each in body["verdicts"]}
    assert rehearsal == json.loads(json_line(verdicts[0]))["rehearsal"]
    assert (len(verdicts) if rehearsal else 0) == sum(
        each.get("name") == "rehearsal"
        for each in Xml.fromstring(junit).iter("property")  # noqa: S314 - trusted XML
    )


@pytest.mark.parametrize("rehearsal", [True, False])
def test_query_rows_are_marked(rehearsal: bool) -> None:
    """JSONL and CSV have a column, and the summary has a mark; rows of AWS have no such column."""
    place = RegionResult("us-east-1", Reason.OK, "2026-11-24T12:00:00+00:00", ({"name": "a"},))
    answer = QueryResult("account1", "222222222222", (place,), rehearsal=rehearsal)
    lines, csv, count = io.StringIO(), io.StringIO(), Count()
    JsonLines(lines.write).add(answer)
    CsvRowWriter(csv.write, ("name",)).add(answer)
    count.add(answer)

    assert rehearsal == ("rehearsal" in json.loads(lines.getvalue()))
    assert rehearsal == ("rehearsal" in csv.getvalue().splitlines()[0].split(","))
    assert rehearsal == count.text.startswith(MARK)
    assert {"name": "a"}.items() <= record_of(next(answer.rows())).items()


@pytest.mark.parametrize("rehearsal", [True, False])
def test_play_recap_is_marked(rehearsal: bool) -> None:
    """In its header."""
    lines: list[str] = []
    PlayText(lambda text, _style: lines.append(text)).close(Recap(rehearsal=rehearsal))

    assert rehearsal == any(MARK in line for line in lines)


@pytest.mark.parametrize(
    ("url", "aws"),
    [
        ("https://sts.us-east-1.amazonaws.com", True),
        ("https://sts.cn-north-1.amazonaws.com.cn", True),
        ("https://vpce-0a1b-2c3d.sts.us-east-1.vpce.amazonaws.com", True),
        ("https://ec2.us-east-1.api.aws", True),
        ("http://127.0.0.1:4000", False),
        ("http://localhost:4566", False),
        ("https://amazonaws.com.example.org", False),
        ("https://notamazonaws.com", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_aws_endpoint_is_recognized_by_host(url: str, aws: bool) -> None:
    """Including VPC endpoints, but not similar names."""
    assert aws is is_aws_address(url)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"])
def test_custom_endpoint_is_detected_from_any_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """A variable for all services or for one, or the configuration file."""
    plain, by_variable, by_file = Clients(), Clients(), Clients()
    plain.client("sts", "us-east-1")
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    by_variable = Clients()
    by_variable.client("sts", "us-east-1")
    seen = rehearsing({name: "http://127.0.0.1:9"})
    monkeypatch.delenv(name)
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://127.0.0.1:9\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    by_file = Clients(ClientSettings())
    by_file.client("sts", "us-east-1")

    assert [False, True, True, True] == [plain.rehearsal, by_variable.rehearsal, by_file.rehearsal, seen]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A sandbox with the example accounts."""
    with staged(NOTES, tmp_path_factory.mktemp("marks")) as found:
        yield found


def run(stage: Stage, *arguments: str, **changes: str) -> Ended:
    return runner(*arguments, cwd=stage.folder, environ={**stage.environ, **changes})


def test_service_specific_endpoint_is_a_rehearsal(stage: Stage) -> None:
    """Verdicts are stored separately too if the sandbox is set for each service instead of for all."""
    url = stage.environ["AWS_ENDPOINT_URL"]
    only = {f"AWS_ENDPOINT_URL_{name}": url for name in ("STS", "IAM", "EC2", "S3")}
    done = run(
        stage,
        "verify",
        "--limit",
        "account2",
        "--actions",
        "none",
        "--no-drift",
        "--format",
        "json",
        AWS_ENDPOINT_URL="",
        **only,
    )
    body = json.loads(done.out)

    assert (0, True) == (done.code, body["rehearsal"]), done.err
    assert not (stage.folder / "output" / "status.json").exists()
    assert (stage.folder / "output" / "status.sandbox.json").exists()


def test_commands_mark_sandbox_results(stage: Stage) -> None:
    """Verify, query, status and history."""
    verified = run(stage, "verify", "--limit", "account2", "--actions", "none", "--no-drift")
    asked = run(stage, "query", "s3", "list_buckets", "--limit", "account2", "--format", "json")
    listed = run(stage, "history", "--format", "json")

    assert MARK in verified.out.splitlines()[-1]
    assert (True, True) == (json.loads(asked.out)["rehearsal"], MARK in asked.err)
    assert {True} == {each["rehearsal"] for each in json.loads(listed.out)}
    assert MARK in run(stage, "status").out.splitlines()[0]
    assert f"<title>{MARK}: " in run(stage, "status", "--format", "html").out
