"""`runner query` next to c7n-org, awsrun, botocove, nornir and plain boto3 sessions: assume a role, describe instances.

Prints results, asserts nothing. Each tool has its own virtual environment below .cache/peers, created on first use;
a tool that cannot be installed is skipped and reported. All connect to the HTTPS stub on loopback through AWS_ENDPOINT_URL
and AWS_CA_BUNDLE. Figures are for whole processes, from start to end, each tool used as documented; `runner query` is
measured again before each of them. awsrun and botocove use one external ID for all accounts; the stub accepts it.
Run as `bench_peers.py [ACCOUNTS [PEER...]]`; the figures and their plot (matplotlib, in its own environment) are
written to .cache/peers/peers.json and peers.svg.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from fast_stub import SOURCE_ACCOUNT, SOURCE_KEY, FastStub, Options, secret_of
from measuring import Measured, measured
from rolecall_generator.generate import generate
from stub_fleet import REGION, stub_targets

SHARED_ID = "shared-by-all"
WORKERS = 16
ENVIRONMENTS = Path(__file__).resolve().parents[1] / ".cache" / "peers"

PLAIN = f"""
import boto3, json, sys
from concurrent.futures import ThreadPoolExecutor

def ask(account):
    keys = boto3.Session().client("sts").assume_role(RoleArn=f"arn:aws:iam::{{account}}:role/VendorAccess",
        RoleSessionName="plain", ExternalId=f"external-id-{{account}}")["Credentials"]
    own = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    return own.client("ec2").describe_instances()

with ThreadPoolExecutor({WORKERS}) as threads:
    list(threads.map(ask, json.load(open(sys.argv[1]))))
"""

# Seconds for all accounts; the axis is linear, since readers compare the lengths of the bars.
PLOT = """
import json, sys
import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "rolecall"
import matplotlib.pyplot as plt

found = json.load(open(sys.argv[1]))
rows = sorted(found["tools"], key=lambda row: row["seconds"])
figure, axes = plt.subplots(figsize=(8, 0.6 * len(rows) + 1.2), layout="constrained")
colours = ["#1b6e53" if row["name"] == "runner query" else "#8a94a6" for row in rows]
bars = axes.barh([row["name"] for row in rows], [row["seconds"] for row in rows], color=colours)
axes.bar_label(bars, [f"{row['seconds']:.1f} s, {row['mib']:.0f} MiB" for row in rows], padding=4)
axes.set_xlim(right=max(row["seconds"] for row in rows) * 1.3)
axes.set_xlabel("seconds")
axes.set_title(f"Assume a role and describe instances in {found['accounts']} accounts")
axes.invert_yaxis()
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(sys.argv[2], metadata={"Date": None})
"""

AWSRUN = f"""
import boto3, json, sys
from awsrun.runner import AccountRunner, RegionalCommand
from awsrun.session import SessionProvider
from awsrun.session.aws import CredsViaCrossAccount

class Here(SessionProvider):
    def session(self, acct_id):
        return boto3.Session()

class Ask(RegionalCommand):
    def regional_execute(self, session, acct, region):
        session.resource("ec2", region_name=region).meta.client.describe_instances()

sessions = CredsViaCrossAccount(Here(), {SOURCE_ACCOUNT!r}, "VendorAccess", {SHARED_ID!r})
AccountRunner(sessions, max_workers={WORKERS}).run(Ask([{REGION!r}]), json.load(open(sys.argv[1])))
"""

BOTOCOVE = f"""
import boto3, json, sys
from botocove import cove

@cove(target_ids=json.load(open(sys.argv[1])), rolename="VendorAccess", external_id={SHARED_ID!r},
      thread_workers={WORKERS}, regions=[{REGION!r}])
def ask(session):
    session.client("ec2").describe_instances()

answer = ask()
print(answer["Exceptions"][:1], answer["FailedAssumeRole"][:1], file=sys.stderr)
"""

NORNIR = f"""
import boto3, json, sys
from nornir import InitNornir
from nornir.core.inventory import ConnectionOptions, Defaults, Groups, Host, Hosts, Inventory
from nornir.core.plugins.inventory import InventoryPluginRegister

class Accounts:
    def load(self):
        accounts = json.load(open(sys.argv[1]))
        return Inventory(Hosts({{each: Host(each) for each in accounts}}), Groups(), Defaults())

def ask(task):
    account = task.host.name
    keys = boto3.Session().client("sts").assume_role(RoleArn=f"arn:aws:iam::{{account}}:role/VendorAccess",
        RoleSessionName="nornir", ExternalId=f"external-id-{{account}}")["Credentials"]
    own = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    own.client("ec2").describe_instances()

InventoryPluginRegister.register("accounts", Accounts)
runner = InitNornir(runner={{"plugin": "threaded", "options": {{"num_workers": {WORKERS}}}}},
                    inventory={{"plugin": "accounts"}}, logging={{"enabled": False}})
runner.run(ask)
"""


def c7n_org(python: Path, folder: Path, accounts: int) -> list[str]:
    """A policy over all instances, with its own number of processes; its configuration files are YAML, so JSON is valid."""
    known = [
        {
            "name": target.name,
            "account_id": target.account_id,
            "role": target.role_arn,
            "external_id": target.external_id,
            "regions": [REGION],
        }
        for target in stub_targets(accounts)
    ]
    configuration, policies = folder / "accounts.yml", folder / "policies.yml"
    configuration.write_text(json.dumps({"accounts": known}))
    policies.write_text(json.dumps({"policies": [{"name": "instances", "resource": "aws.ec2"}]}))
    (folder / "cache").mkdir()
    files = ["-c", str(configuration), "-u", str(policies), "-s", str(folder / "c7n"), "--cache-period", "0"]
    return [str(python.with_name("c7n-org")), "run", *files, "--cache-path", str(folder / "cache")]


def script(text: str) -> Callable[[Path, Path, int], list[str]]:
    """A short program as in the tool's documentation; gets the account IDs as a JSON file."""

    def command(python: Path, folder: Path, accounts: int) -> list[str]:
        program, ids = folder / "ask.py", folder / "ids.json"
        program.write_text(text)
        ids.write_text(json.dumps([target.account_id for target in stub_targets(accounts)]))
        return [str(python), str(program), str(ids)]

    return command


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: its requirements, and the command that queries all accounts."""

    packages: tuple[str, ...]
    command: Callable[[Path, Path, int], list[str]]


PEERS = {
    "c7n-org": Peer(("c7n-org",), c7n_org),
    "awsrun": Peer(("awsrun[aws]",), script(AWSRUN)),
    "botocove": Peer(("botocove",), script(BOTOCOVE)),
    "nornir": Peer(("nornir", "boto3"), script(NORNIR)),
    "plain": Peer(("boto3",), script(PLAIN)),
}


def environment(name: str, packages: tuple[str, ...]) -> Path | None:
    """The Python of a separate environment, None if it cannot be installed; uses the index configured for uv."""
    uv = Path(sys.executable).with_name("uv")
    python = ENVIRONMENTS / name / "bin" / "python"
    done = python.with_name("installed")
    if not done.exists():
        for command in (
            ["venv", "-q", "--clear", str(ENVIRONMENTS / name)],
            ["pip", "install", "-q", "--python", str(python), *packages],
        ):
            if subprocess.run([str(uv), *command], capture_output=True, check=False).returncode:
                return None
        done.touch()
    return python


def surroundings(stub: FastStub, folder: Path) -> dict[str, str]:
    """The environment variables of every tool: the stub as AWS, the backend's keys, no user settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_ENDPOINT_URL": stub.url,
        "AWS_CA_BUNDLE": stub.ca_bundle,
        "AWS_ACCESS_KEY_ID": SOURCE_KEY,
        "AWS_SECRET_ACCESS_KEY": secret_of(SOURCE_KEY),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def our_command(folder: Path, accounts: int) -> list[str]:
    """`runner query` over a manifest of the stub's accounts, with modules generated in advance."""
    known = [
        {"name": target.name, "account_id": target.account_id, "external_id": target.external_id}
        for target in stub_targets(accounts)
    ]
    body = {
        "version": 1,
        "backend": {"account_id": SOURCE_ACCOUNT},
        "permission_sets": {"ec2-read": {"managed_policies": ["AmazonEC2ReadOnlyAccess"]}},
        "defaults": {"regions": [REGION], "permissions": ["ec2-read"]},
        "customers": known,
    }
    manifest, out = folder / "accounts.yaml", folder / "output"
    manifest.write_text(json.dumps(body))
    generate(manifest, out)
    runner = str(Path(sys.executable).with_name("runner"))
    places = ["--manifest", str(manifest), "--out", str(out)]
    return [runner, "query", "ec2", "describe_instances", *places, "--forks", str(WORKERS), "--format", "jsonl"]


@dataclass(frozen=True, slots=True)
class Row:
    """One tool's figures: whole processes; `asked` is the number of accounts queried at the stub."""

    name: str
    seconds: float
    cpu: float
    mib: float
    asked: int


def measure(name: str, command: list[str], stub: FastStub, folder: Path, accounts: int) -> Row:
    """Run a tool to its end; a tool that skipped accounts is shown with its output."""
    before = stub.counts()["DescribeInstances"]
    found: Measured = measured(command, surroundings(stub, folder))
    asked = stub.counts()["DescribeInstances"] - before
    if asked < accounts:
        sys.stdout.write(f"{name}: only {asked} accounts were asked: {found.errors.strip()[-300:]}\n")
    return Row(name, found.seconds, found.cpu, found.mib, asked)


def show(row: Row, own: Row) -> None:
    """Print a row of the result."""
    ratio = f"{row.seconds / own.seconds:6.1f} x ours"
    sys.stdout.write(f"{row.name:13} {row.seconds:7.2f} s {ratio}  CPU {row.cpu:7.2f} s  {row.mib:6.0f} MiB\n")
    sys.stdout.flush()


def plot(rows: list[Row], accounts: int) -> None:
    """Write figures and plot to the cache; without matplotlib only the figures."""
    figures = ENVIRONMENTS / "peers.json"
    figures.write_text(json.dumps({"accounts": accounts, "tools": [asdict(row) for row in rows]}, indent=2))
    python = environment("plot", ("matplotlib",))
    if python is None:
        sys.stdout.write("matplotlib does not install here: no plot\n")
        return
    subprocess.run([str(python), "-c", PLOT, str(figures), str(figures.with_suffix(".svg"))], check=True)


def main(accounts: int, names: list[str]) -> None:
    """Measure rolecall and each peer, one after the other, on the same stub; print each result immediately."""
    sys.stdout.write(f"{accounts} accounts, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n")
    ours: list[Row] = []
    peers: list[Row] = []
    with FastStub(options=Options(shared_external_id=SHARED_ID)) as stub:
        for name in names:
            python = environment(name, PEERS[name].packages)
            if python is None:
                sys.stdout.write(f"{name:13} does not install here: left out\n")
                continue
            with tempfile.TemporaryDirectory(prefix="rolecall-peer-") as temporary:
                folder = Path(temporary)
                ours.append(measure("runner query", our_command(folder, accounts), stub, folder, accounts))
                command = PEERS[name].command(python, folder, accounts)
                peers.append(measure(name, command, stub, folder, accounts))
            show(ours[-1], ours[-1])
            show(peers[-1], ours[-1])
    if peers:
        plot([sorted(ours, key=lambda row: row.seconds)[len(ours) // 2], *peers], accounts)


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["200"])[0]), sys.argv[2:] or list(PEERS))
