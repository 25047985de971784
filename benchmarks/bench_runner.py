"""AssumeRole, GetCallerIdentity and one EC2 call per account against an HTTPS stub on loopback, with injected latency.

Prints results, asserts nothing. Each row is a latency and a number of workers; the variants alternate within a round, so
that load on the machine affects all of them, and the ratios are medians over rounds:

- `urllib3`: the floor, signed by botocore's signer and sent by one urllib3 pool
- `plain`: rolecall's shared clients without `first_attempt`: what botocore itself costs
- `threads`, `processes` (two): rolecall's engines

Every run is a separate process. Wall and CPU time (user and system, with child processes) exclude the start of Python and
the creation of clients, except in the processes that an engine starts; peak memory is that of all processes in total.
Then: the goal of 600 AssumeRole per second at 100 ms, boto3 sessions for each account, and memory for ten times as many.
Run as `bench_runner.py [ACCOUNTS [ROUNDS [SESSION_ACCOUNTS [GOAL_ACCOUNTS]]]] [--only LATENCY_MS/WORKERS]`; 0 skips a part.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock
from urllib.parse import urlencode
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from fast_stub import SOURCE_KEY, FastStub, Options, instance_of, secret_of
from measuring import measured
from rolecall_runner.inventory.targets import Target
from stub_fleet import REGION, AskStub, MakeSessions, stub_target, stub_targets

LATENCIES = (0, 50, 150)
"""Milliseconds by which the stub delays each reply."""
WORKERS = (16, 64, 256)
"""Threads per process."""
ENGINES = ("threads", "processes")
CALLS = 3
"""Per account."""

GOAL_PER_SECOND = 600
"""AssumeRole calls: the quota of STS for one account and Region (STS quotas, IAM User Guide, November 2026)."""
GOAL_LATENCY = 100
GOAL_WORKERS = 128
SAVING = 0.2
"""CPU per call that `first_attempt` must save at 50 ms and 64 workers."""
SESSIONS = 15
"""Minimum speedup over a session per account."""
MIB = 200
"""Maximum peak memory."""


def say(text: str) -> None:
    """Print one line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def by_engine(engine: Any, url: str, ca_bundle: str, accounts: int, workers: int) -> int:
    """With rolecall: the number of correct accounts."""
    from engine_runs import run  # noqa: PLC0415
    from rolecall_runner.execution.interface import EngineSettings  # noqa: PLC0415 - each run loads only what it measures

    task = AskStub(MakeSessions(url, ca_bundle, workers))
    if engine == "threads":
        task.warm_up()
    start()
    results = run(task, stub_targets(accounts), engine=engine, settings=EngineSettings(workers))
    return sum(result.status == "ok" for result in results)


def by_plain_clients(url: str, ca_bundle: str, accounts: int, workers: int) -> int:
    """With rolecall's threads and shared clients, but every attempt is made by botocore."""
    from rolecall_runner.aws.first_attempt import FirstAttempt  # noqa: PLC0415

    def leave_to_botocore(_self: FirstAttempt, **_event: object) -> None:
        """Replaces FirstAttempt.call; a mock would cost CPU time."""

    with mock.patch.object(FirstAttempt, "call", leave_to_botocore):
        return by_engine("threads", url, ca_bundle, accounts, workers)


def by_hand(url: str, ca_bundle: str, accounts: int, workers: int) -> int:
    """Signed by botocore's signer, sent by one urllib3 pool, read by ElementTree."""
    import ssl  # noqa: PLC0415

    import urllib3  # noqa: PLC0415
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    pool = urllib3.PoolManager(maxsize=workers, ssl_context=ssl.create_default_context(cafile=ca_bundle))

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

    start()
    return in_threads(one, accounts, workers)


def by_sessions(url: str, ca_bundle: str, accounts: int, workers: int) -> int:
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

    start()
    return in_threads(one, accounts, workers)


def in_threads(one: Callable[[Target], bool], accounts: int, workers: int) -> int:
    """The number of correct accounts."""
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(one, (stub_target(number) for number in range(accounts))))


WAYS: dict[str, Callable[[str, str, int, int], int]] = {
    "urllib3": by_hand,
    "plain": by_plain_clients,
    "threads": partial(by_engine, "threads"),
    "processes": partial(by_engine, "processes"),
    "sessions": by_sessions,
}

started: list[tuple[float, float]] = []


def start() -> None:
    """Start measuring: clients are created, modules are imported."""
    started.append((time.perf_counter(), cpu_seconds()))


def cpu_seconds() -> float:
    """User and system time of this process and of its completed children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def child() -> None:
    """One run: prints seconds, CPU seconds and the number of correct answers."""
    way, url, ca_bundle, accounts, workers = sys.argv[2:]
    right = WAYS[way](url, ca_bundle, int(accounts), int(workers))
    began, used = started[0]
    say(json.dumps({"seconds": time.perf_counter() - began, "cpu": cpu_seconds() - used, "right": right}))


@dataclass(frozen=True, slots=True)
class Run:
    """Wall and CPU seconds of the work, and the peak MiB of all its processes."""

    seconds: float
    cpu: float
    mib: float


def measure(way: str, stub: FastStub, accounts: int, workers: int = 16) -> Run:
    """One run in its own process; every account must be correct."""
    done = measured([sys.executable, __file__, "--child", way, stub.url, stub.ca_bundle, str(accounts), str(workers)])
    assert 0 == done.code, done.errors
    found = json.loads(done.output)
    assert accounts == found["right"], found
    return Run(found["seconds"], found["cpu"], done.mib)


def verdict(found: float, target: float, *, at_least: bool = False) -> str:
    """A figure compared with its target."""
    kept = found >= target if at_least else found <= target
    return f"target {'at least' if at_least else 'at most'} {target:g}: {'kept' if kept else 'MISSED'}"


def against_floor(latency: int, workers: int, accounts: int, rounds: int) -> None:
    """All variants in turn; medians of wall time, CPU per call and their ratios to the floor of the same round."""
    ways = ("urllib3", "plain", *ENGINES)
    with FastStub(options=Options(delay_seconds=latency / 1000)) as stub:
        found = [{way: measure(way, stub, accounts, workers) for way in turn(ways, number)} for number in range(rounds)]
        violations = stub.counts()["violations"]
    say(f"{latency} ms, {workers} workers, load {os.getloadavg()[0]:.1f}, violations {violations}")
    for way in ways:
        wall, cpu = (median(ratio(each, way, "urllib3", kind) for each in found) for kind in ("seconds", "cpu"))
        micros = median(each[way].cpu for each in found) / accounts / CALLS * 1e6
        say(
            f"  {way:10} {median(each[way].seconds for each in found):6.2f} s  {wall:5.2f} x urllib3   "
            f"{micros:5.0f} us of CPU per call  {cpu:5.2f} x   {max(each[way].mib for each in found):4.0f} MiB"
        )
    saved = 1 - median(ratio(each, "threads", "plain", "cpu") for each in found)
    decides = f": {verdict(saved, SAVING, at_least=True)}" if (latency, workers) == (50, 64) else ""
    say(f"  first_attempt saves {saved:.0%} of CPU per call{decides}")


def turn(ways: tuple[str, ...], number: int) -> tuple[str, ...]:
    """Every other round in reverse order, so that no variant always follows the same one."""
    return ways[::-1] if number % 2 else ways


def ratio(found: dict[str, Run], way: str, floor: str, kind: str) -> float:
    """Wall or CPU time of a variant, as a multiple of another's in the same round."""
    return float(getattr(found[way], kind) / getattr(found[floor], kind))


def against_goal(accounts: int) -> None:
    """AssumeRole per second with three calls per account, by each engine."""
    with FastStub(options=Options(delay_seconds=GOAL_LATENCY / 1000)) as stub:
        for way in ENGINES:
            run = measure(way, stub, accounts, GOAL_WORKERS)
            rate = accounts / run.seconds
            say(
                f"{way:10} {GOAL_LATENCY} ms, {GOAL_WORKERS} workers a process, load {os.getloadavg()[0]:.1f}: "
                f"{rate:.0f} AssumeRole a second, {verdict(rate, GOAL_PER_SECOND, at_least=True)}; {run.mib:.0f} MiB, "
                f"{verdict(run.mib, MIB)}; {run.cpu / accounts * 1e3:.1f} ms of CPU per account, which allows "
                f"{accounts / run.cpu:.0f} accounts a second and core"
            )


def against_sessions(stub: FastStub, accounts: int) -> None:
    """A boto3 session per account compared with the engines, for the same number of accounts."""
    found = {way: measure(way, stub, accounts) for way in ("sessions", *ENGINES)}
    say(f"sessions   {found['sessions'].seconds:7.2f} s for {accounts} accounts")
    for way in ENGINES:
        times = ratio(found, "sessions", way, "seconds")
        say(f"sessions for each account take {times:.1f} times as long as {way}: {verdict(times, SESSIONS, at_least=True)}")


def memory_of_many(stub: FastStub, accounts: int) -> None:
    """Peak memory for this many accounts and for ten times as many."""
    for way in ENGINES:
        few, many = measure(way, stub, accounts), measure(way, stub, accounts * 10)
        sizes = f"{few.mib:.0f} MiB for {accounts} accounts, {many.mib:.0f} MiB for {accounts * 10}"
        say(f"{way:10} {sizes}: {verdict(many.mib, MIB)}; {many.seconds:.1f} s for {accounts * 10}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    for name, default in (("accounts", 300), ("rounds", 3), ("session_accounts", 50), ("goal_accounts", 3000)):
        parser.add_argument(name, type=int, nargs="?", default=default)
    parser.add_argument("--only", action="append", metavar="LATENCY_MS/WORKERS")
    options = parser.parse_args()
    pairs = [tuple(map(int, pair.split("/"))) for pair in options.only or ()]
    say(f"{options.accounts} accounts, {CALLS} calls each, {os.cpu_count()} CPUs, {options.rounds} rounds")
    for latency, workers in pairs or [(latency, workers) for latency in LATENCIES for workers in WORKERS]:
        if options.rounds:
            against_floor(latency, workers, options.accounts, options.rounds)
    if options.goal_accounts:
        against_goal(options.goal_accounts)
    if options.session_accounts:
        with FastStub() as stub:
            against_sessions(stub, options.session_accounts)
            memory_of_many(stub, options.accounts)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child()
    else:
        main()
