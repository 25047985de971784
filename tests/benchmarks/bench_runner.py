"""Assume, GetCallerIdentity and one EC2 call for many accounts, against the HTTPS stub on loopback.

Prints, asserts nothing: rolecall's engines against the same calls signed by hand over urllib3 and against boto3 sessions
for each account (measured on fewer accounts, scaled); peak memory of all processes of a run together. Every run is a
process of its own, Python's start included in memory and CPU time but not in wall time. Figures are medians over rounds.
Run as `bench_runner.py [ACCOUNTS [SESSION_ACCOUNTS [REPEATS]]]`.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fast_stub import SOURCE_KEY, FastStub, instance_of, secret_of
from rolecall_runner.targets import Target
from stub_fleet import REGION, AskStub, MakeSessions, stub_target, stub_targets

WORKERS = 16


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def by_engine(engine: Any, url: str, ca_bundle: str, accounts: int) -> int:
    """With rolecall: how many accounts answered rightly."""
    from rolecall_runner.engine.interface import Settings  # noqa: PLC0415 - each run loads only what it measures
    from rolecall_runner.engine.run import run  # noqa: PLC0415

    task = AskStub(MakeSessions(url, ca_bundle, WORKERS))
    results = run(task, stub_targets(accounts), engine=engine, settings=Settings(WORKERS))
    return sum(result.status == "ok" for result in results)


def by_hand(url: str, ca_bundle: str, accounts: int) -> int:
    """Signed by botocore's signer, sent by one urllib3 pool, read by ElementTree."""
    import ssl  # noqa: PLC0415

    import urllib3  # noqa: PLC0415
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    pool = urllib3.PoolManager(maxsize=WORKERS, ssl_context=ssl.create_default_context(cafile=ca_bundle))

    def call(credentials: Any, service: str, **parameters: str) -> ElementTree.Element:
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = AWSRequest(method="POST", url=f"{url}/", data=urlencode(parameters), headers=headers)
        SigV4Auth(credentials, service, REGION).add_auth(request)
        reply = pool.urlopen("POST", f"{url}/", body=request.data, headers=dict(request.headers.items()))
        assert 200 == reply.status, reply.data
        return ElementTree.fromstring(reply.data)  # noqa: S314 - the stub's own

    def text(found: ElementTree.Element, name: str) -> str:
        return next(each.text or "" for each in found.iter() if each.tag.endswith("}" + name))

    source = Credentials(SOURCE_KEY, secret_of(SOURCE_KEY))

    def one(target: Target) -> bool:
        assumed = call(
            source,
            "sts",
            Action="AssumeRole",
            Version="2011-06-15",
            RoleArn=target.role_arn,
            RoleSessionName="rolecall",
            ExternalId=target.external_id or "",
        )
        own = Credentials(*(text(assumed, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))
        identity = call(own, "sts", Action="GetCallerIdentity", Version="2011-06-15")
        filters = {"Filter.1.Name": "owner-id", "Filter.1.Value.1": target.account_id}
        found = call(own, "ec2", Action="DescribeInstances", Version="2016-11-15", **filters)
        return (text(identity, "Account"), text(found, "instanceId")) == (target.account_id, instance_of(target.account_id))

    return in_threads(one, accounts)


def by_sessions(url: str, ca_bundle: str, accounts: int) -> int:
    """The usual way: a boto3 session and clients for each account."""
    import boto3  # noqa: PLC0415

    source = boto3.Session(SOURCE_KEY, secret_of(SOURCE_KEY), region_name=REGION)

    def one(target: Target) -> bool:
        sts = source.client("sts", endpoint_url=url, verify=ca_bundle)
        assumed = sts.assume_role(RoleArn=target.role_arn, RoleSessionName="rolecall", ExternalId=target.external_id)
        keys = assumed["Credentials"]
        own = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=REGION)
        identity = own.client("sts", endpoint_url=url, verify=ca_bundle).get_caller_identity()
        found = own.client("ec2", endpoint_url=url, verify=ca_bundle).describe_instances(
            Filters=[{"Name": "owner-id", "Values": [target.account_id]}]
        )
        instance = found["Reservations"][0]["Instances"][0]["InstanceId"]
        return (identity["Account"], instance) == (target.account_id, instance_of(target.account_id))

    return in_threads(one, accounts)


def in_threads(one: Callable[[Target], bool], accounts: int) -> int:
    """How many accounts answered rightly, so many workers at a time."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(one, (stub_target(number) for number in range(accounts))))


WAYS: dict[str, Callable[[str, str, int], int]] = {
    "urllib3": by_hand,
    "threads": partial(by_engine, "threads"),
    "processes": partial(by_engine, "processes"),
    "sessions": by_sessions,
}


def child() -> None:
    """One run: prints seconds and right answers."""
    way, url, ca_bundle, accounts = sys.argv[2:]
    started = time.perf_counter()
    right = WAYS[way](url, ca_bundle, int(accounts))
    say(json.dumps({"seconds": time.perf_counter() - started, "right": right}))


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of the work, CPU seconds of the whole processes, peak MiB of all of them together (sampled)."""

    seconds: float
    cpu: float
    mib: float


def measure(way: str, stub: FastStub, accounts: int) -> Measured:
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--child", way, stub.url, stub.ca_bundle, str(accounts)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = [0.0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            peak[0] = max(peak[0], sum(memory(pid) for pid in family(running.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = running.communicate()
    ended.set()
    watcher.join()
    assert 0 == running.returncode
    found = json.loads(out)
    assert accounts == found["right"], found
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(found["seconds"], cpu, peak[0])


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    for each in children:
        yield from family(int(each))


def memory(pid: int) -> float:
    """MiB of a process; shared pages count by their share where the system says so, else in full."""
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(key):
                return int(line.split()[1]) / 1024
    return 0.0


def main(accounts: int, session_accounts: int, repeats: int) -> None:
    """Measure and print. Ways take turns, so that a machine that is busy for a while is so for all of them."""
    say(f"{accounts} accounts, 3 calls each, {WORKERS} workers a process, {os.cpu_count()} CPUs, {repeats} rounds")
    ways = ("urllib3", "threads", "processes")
    with FastStub() as stub:
        rounds = [{way: measure(way, stub, accounts) for way in ways} for _ in range(repeats)]
        seconds = {way: statistics.median(each[way].seconds for each in rounds) for way in ways}
        for way in ways:
            wall = statistics.median(each[way].seconds / each["urllib3"].seconds for each in rounds)
            cpu = statistics.median(each[way].cpu / each["urllib3"].cpu for each in rounds)
            mib = max(each[way].mib for each in rounds)
            say(f"{way:10} {seconds[way]:7.2f} s  {wall:5.2f} x urllib3 (CPU time {cpu:4.2f} x)  {mib:6.0f} MiB")
        if session_accounts:
            found = measure("sessions", stub, session_accounts)
            scaled = found.seconds / session_accounts * accounts
            ratio = scaled / seconds["urllib3"]
            say(f"{'sessions':10} {scaled:7.2f} s  {ratio:5.1f} x urllib3  {found.mib:6.0f} MiB (scaled)")
            for way in ("threads", "processes"):
                say(f"sessions for each account take {scaled / seconds[way]:.1f} times as long as {way}")
        for way in ("threads", "processes"):
            found = measure(way, stub, accounts * 10)
            say(f"{way:10} {found.seconds:7.2f} s  for {accounts * 10} accounts  {found.mib:6.0f} MiB")
        say(f"violations seen by the stub: {stub.counts()['violations']}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child()
    else:
        numbers = [int(each) for each in sys.argv[1:]] + [1000, 200, 3][len(sys.argv) - 1 :]
        main(*numbers)
