"""Assume, GetCallerIdentity and one EC2 call for many accounts, against the HTTPS stub on loopback.

Prints, asserts nothing: rolecall's engines against the same calls signed by hand over urllib3 and against boto3 sessions
for each account (on fewer accounts; for so few our own start weighs more, which speaks against us); peak memory of all
processes of a run together. Every run is a process of its own, Python's start included in memory and CPU time but not in
wall time. Ratios are medians over rounds.
Run as `bench_runner.py [ACCOUNTS [SESSION_ACCOUNTS [ROUNDS]]]`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fast_stub import SOURCE_KEY, FastStub, instance_of, secret_of
from measuring import measured
from rolecall_runner.targets import Target
from stub_fleet import REGION, AskStub, MakeSessions, stub_target, stub_targets

WORKERS = 16
ENGINES = ("threads", "processes")

HAND_SIGNED = 1.5
"""Times the hand-signed calls' wall time, at most."""
SESSIONS = 15
"""Times faster than sessions for each account, at least."""
MIB = 150
"""Peak memory, at most."""


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
class Run:
    """Seconds of the work, and CPU seconds and peak MiB of the whole processes that did it."""

    seconds: float
    cpu: float
    mib: float


def measure(way: str, stub: FastStub, accounts: int) -> Run:
    """One run in a process of its own; every account must have answered rightly."""
    done = measured([sys.executable, __file__, "--child", way, stub.url, stub.ca_bundle, str(accounts)])
    assert 0 == done.code, done.errors
    found = json.loads(done.output)
    assert accounts == found["right"], found
    return Run(found["seconds"], done.cpu, done.mib)


def verdict(found: float, target: float, *, at_least: bool = False) -> str:
    """A figure beside its target."""
    kept = found >= target if at_least else found <= target
    return f"target {'at least' if at_least else 'at most'} {target:g}: {'kept' if kept else 'MISSED'}"


def against_hand_signed(stub: FastStub, accounts: int, rounds: int) -> None:
    """The engines beside hand-signed calls, round by round; medians of the ratios."""
    ways = ("urllib3", *ENGINES)
    found = []
    for number in range(rounds):
        found.append({way: measure(way, stub, accounts) for way in ways})
        rows = "  ".join(f"{way} {run.seconds:.2f} s (CPU {run.cpu:.2f} s)" for way, run in found[-1].items())
        say(f"round {number + 1}, load {os.getloadavg()[0]:.1f}: {rows}")
    for way in ways:
        wall = median(each[way].seconds / each["urllib3"].seconds for each in found)
        cpu = median(each[way].cpu / each["urllib3"].cpu for each in found)
        told = f"{way:10} {wall:5.2f} x urllib3 (CPU {cpu:4.2f} x)  {max(each[way].mib for each in found):4.0f} MiB"
        say(told if way == "urllib3" else f"{told}  {verdict(wall, HAND_SIGNED)}")
    best = min(found, key=lambda each: min(each[way].seconds / each["urllib3"].seconds for way in ENGINES))
    say(f"best round {min(best[way].seconds / best['urllib3'].seconds for way in ENGINES):.2f} x urllib3")


def against_sessions(stub: FastStub, accounts: int, rounds: int) -> None:
    """A boto3 session for each account beside the engines, for the same number of accounts in the same round."""
    found = [{way: measure(way, stub, accounts) for way in ("sessions", *ENGINES)} for _ in range(rounds)]
    say(f"sessions   {median(each['sessions'].seconds for each in found):7.2f} s for {accounts} accounts")
    for way in ENGINES:
        ratio = median(each["sessions"].seconds / each[way].seconds for each in found)
        say(f"sessions for each account take {ratio:.1f} times as long as {way}: {verdict(ratio, SESSIONS, at_least=True)}")


def memory_of_many(stub: FastStub, accounts: int) -> None:
    """Peak memory for so many accounts and for ten times as many."""
    for way in ENGINES:
        few, many = measure(way, stub, accounts), measure(way, stub, accounts * 10)
        sizes = f"{few.mib:.0f} MiB for {accounts} accounts, {many.mib:.0f} MiB for {accounts * 10}"
        say(f"{way:10} {sizes}: {verdict(many.mib, MIB)}; {many.seconds:.1f} s for {accounts * 10}")


def main(accounts: int, session_accounts: int, rounds: int) -> None:
    """Measure and print. Ways take turns, so that a machine that is busy for a while is so for all of them."""
    say(f"{accounts} accounts, 3 calls each, {WORKERS} workers a process, {os.cpu_count()} CPUs, {rounds} rounds")
    with FastStub() as stub:
        against_hand_signed(stub, accounts, rounds)
        if session_accounts:
            against_sessions(stub, session_accounts, 1)
        memory_of_many(stub, accounts)
        say(f"violations seen by the stub: {stub.counts()['violations']}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child()
    else:
        numbers = [int(each) for each in sys.argv[1:]] + [1000, 200, 5][len(sys.argv) - 1 :]
        main(*numbers)
