"""`runner query`'s task over many accounts and two Regions, against the HTTPS stub on loopback.

Prints results, asserts nothing: the task by threads, processes and an embedded Dask cluster, compared with the same calls
signed manually over urllib3 (one AssumeRole and two DescribeInstances per account). Wall time with the time to the first
row; peak memory of all processes of a run in total. Every run is a separate process. Run as
`bench_query.py [ACCOUNTS [REPEATS [WAY...]]]`; the target size is 10000 accounts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from fast_stub import SOURCE_KEY, FastStub, instance_of, secret_of
from process_memory import family, memory
from rolecall_runner.inventory.targets import Target
from stub_fleet import stub_targets

WORKERS = 16
REGIONS = ("us-east-1", "eu-west-1")


def say(text: str) -> None:
    """Print one line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


First = Callable[[], None]
"""Called for each row."""


def fleet(accounts: int) -> Iterator[Target]:
    """The stub's accounts, with two Regions each."""
    return (replace(target, regions=REGIONS) for target in stub_targets(accounts))


def by_engine(engine: str, url: str, ca_bundle: str, accounts: int, first: First) -> int:
    """With rolecall's task: the number of rows with the right account and Region."""
    from engine_runs import run  # noqa: PLC0415
    from rolecall_runner.aws.caller import AwsConfig  # noqa: PLC0415
    from rolecall_runner.execution.interface import EngineSettings, ProcessLocal  # noqa: PLC0415
    from rolecall_runner.query.execute import QueryResult, QueryTask  # noqa: PLC0415
    from rolecall_runner.query.spec import QuerySpec  # noqa: PLC0415
    from rolecall_runner.query.validate import validate_query  # noqa: PLC0415

    # Every process looks up the caller identity, as in a real run.
    os.environ |= {"AWS_ACCESS_KEY_ID": SOURCE_KEY, "AWS_SECRET_ACCESS_KEY": secret_of(SOURCE_KEY)}
    os.environ |= {"AWS_CA_BUNDLE": ca_bundle, "AWS_REGION": REGIONS[0]}
    connections = ProcessLocal(partial(AwsConfig(endpoint_url=url, workers=WORKERS).connect, "0a1b2c3d"))
    task = QueryTask(
        validate_query(QuerySpec("ec2", "describe_instances", select="Reservations[].Instances[]")), connections
    )
    right = 0
    for result in run(task, fleet(accounts), engine=_engine(engine), settings=EngineSettings(WORKERS)):
        for row in QueryResult.from_result(result).rows():
            first()
            right += row.values["InstanceId"] == instance_of(row.account_id) and row.region in REGIONS
    return right


def _engine(name: str) -> Any:
    if name != "dask":
        return name
    from rolecall_runner.execution.dask import DaskEngine  # noqa: PLC0415 - an extra

    return DaskEngine()


def by_hand(url: str, ca_bundle: str, accounts: int, first: First) -> int:
    """Signed by botocore's signer, sent by one urllib3 pool, all fields of an instance read by ElementTree."""
    import ssl  # noqa: PLC0415

    import urllib3  # noqa: PLC0415
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    pool = urllib3.PoolManager(maxsize=WORKERS, ssl_context=ssl.create_default_context(cafile=ca_bundle))

    def call(credentials: Any, service: str, region: str, **parameters: str) -> ElementTree.Element:
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = AWSRequest(method="POST", url=f"{url}/", data=urlencode(parameters), headers=headers)
        SigV4Auth(credentials, service, region).add_auth(request)
        reply = pool.urlopen("POST", f"{url}/", body=request.data, headers=dict(request.headers.items()))
        assert 200 == reply.status, reply.data
        return ElementTree.fromstring(reply.data)  # noqa: S314 - the stub's own

    source = Credentials(SOURCE_KEY, secret_of(SOURCE_KEY))

    def one(target: Target) -> int:
        role = {"RoleArn": target.role_arn, "RoleSessionName": "rolecall", "ExternalId": target.external_id or ""}
        assumed = _texts(call(source, "sts", REGIONS[0], Action="AssumeRole", Version="2011-06-15", **role))
        own = Credentials(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
        right = 0
        for region in REGIONS:
            found = _texts(call(own, "ec2", region, Action="DescribeInstances", Version="2016-11-15"))
            right += found["instanceId"] == instance_of(target.account_id)
            first()
        return right

    with ThreadPoolExecutor(WORKERS) as threads:
        return sum(threads.map(one, fleet(accounts)))


def _texts(found: ElementTree.Element) -> dict[str, str]:
    return {each.tag.rpartition("}")[2]: each.text or "" for each in found.iter()}


WAYS: dict[str, Callable[[str, str, int, First], int]] = {
    "urllib3": by_hand,
    "threads": partial(by_engine, "threads"),
    "processes": partial(by_engine, "processes"),
    "dask": partial(by_engine, "dask"),
}


def child() -> None:
    """One run: prints seconds (total, and to the first row) and the number of correct rows."""
    way, url, ca_bundle, accounts = sys.argv[2:]
    moments: list[float] = []
    started = time.perf_counter()

    def first() -> None:
        if not moments:
            moments.append(time.perf_counter() - started)

    right = WAYS[way](url, ca_bundle, int(accounts), first)
    say(json.dumps({"seconds": time.perf_counter() - started, "first": moments[0], "right": right}))


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of the whole work and to the first row, peak MiB of all processes in total (sampled)."""

    seconds: float
    first: float
    mib: float


def measure(way: str, stub: FastStub, accounts: int) -> Measured:
    """One run in its own process."""
    command = [sys.executable, __file__, "--child", way, stub.url, stub.ca_bundle, str(accounts)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = [0.0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            peak[0] = max(peak[0], sum(memory(pid) for pid in family(running.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = running.communicate()
    ended.set()
    watcher.join()
    assert 0 == running.returncode
    found = json.loads(out)
    assert accounts * len(REGIONS) == found["right"], found
    return Measured(found["seconds"], found["first"], peak[0])


def main(accounts: int, repeats: int, ways: list[str]) -> None:
    """Measure and print. Variants alternate, so that load on the machine affects all of them."""
    say(f"{accounts} accounts x {len(REGIONS)} Regions, {1 + len(REGIONS)} calls an account")
    say(f"{WORKERS} workers a process, {os.cpu_count()} CPUs, {repeats} rounds")
    with FastStub() as stub:
        rounds = [{way: measure(way, stub, accounts) for way in ["urllib3", *ways]} for _ in range(repeats)]
        for way in ["urllib3", *ways]:
            seconds = statistics.median(each[way].seconds for each in rounds)
            ratio = statistics.median(each[way].seconds / each["urllib3"].seconds for each in rounds)
            first = statistics.median(each[way].first for each in rounds)
            mib = max(each[way].mib for each in rounds)
            say(f"{way:10} {seconds:7.2f} s  {ratio:5.2f} x urllib3  first row after {first:4.2f} s  {mib:6.0f} MiB")
        say(f"violations seen by the stub: {stub.counts()['violations']}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child()
    else:
        asked = sys.argv[1:]
        main(int((asked or ["1000"])[0]), int((asked[1:] or ["3"])[0]), asked[2:] or ["threads", "processes", "dask"])
