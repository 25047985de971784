"""rolecall beside c7n-org, awsrun, botocove and nornir: assume a role and describe instances, each in its natural way.

Prints, asserts nothing. Each tool gets a virtual environment of its own below .cache/peers, made when first needed;
one that does not install is left out, and said so. All talk to the HTTPS stub on loopback, found by AWS_ENDPOINT_URL and
AWS_CA_BUNDLE. Figures are of whole processes, from start to end. The tools know no identity check: rolecall makes one
call more in each account. awsrun and botocove take one external id for all accounts; the stub lets them.
Run as `bench_peers.py [ACCOUNTS [PEER...]]`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fast_stub import SOURCE_ACCOUNT, SOURCE_KEY, FastStub, Options, secret_of
from measuring import Measured, measured
from stub_fleet import REGION, stub_targets

SHARED_ID = "shared-by-all"
WORKERS = 16
ENVIRONMENTS = Path(__file__).resolve().parents[2] / ".cache" / "peers"

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
    """A policy over all instances, with its own number of processes; its configuration files are YAML, so JSON will do."""
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
    """A program of a few lines, as the tool's documentation writes them; gets the account ids as a JSON file."""

    def command(python: Path, folder: Path, accounts: int) -> list[str]:
        program, ids = folder / "ask.py", folder / "ids.json"
        program.write_text(text)
        ids.write_text(json.dumps([target.account_id for target in stub_targets(accounts)]))
        return [str(python), str(program), str(ids)]

    return command


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: what is installed for it, and the command that asks all accounts."""

    packages: tuple[str, ...]
    command: Callable[[Path, Path, int], list[str]]


PEERS = {
    "c7n-org": Peer(("c7n-org",), c7n_org),
    "awsrun": Peer(("awsrun[aws]",), script(AWSRUN)),
    "botocove": Peer(("botocove",), script(BOTOCOVE)),
    "nornir": Peer(("nornir", "boto3"), script(NORNIR)),
}


def installed(name: str, peer: Peer) -> Path | None:
    """The Python of the tool's own environment, None when it does not install; whatever index uv is set up for is asked."""
    uv = Path(sys.executable).with_name("uv")
    python = ENVIRONMENTS / name / "bin" / "python"
    done = python.with_name("installed")
    if not done.exists():
        for command in (
            ["venv", "-q", "--clear", str(ENVIRONMENTS / name)],
            ["pip", "install", "-q", "--python", str(python), *peer.packages],
        ):
            if subprocess.run([str(uv), *command], capture_output=True, check=False).returncode:
                return None
        done.touch()
    return python


def surroundings(stub: FastStub, folder: Path) -> dict[str, str]:
    """The environment of every tool: the stub as AWS, the backend's keys, nothing of the user's own."""
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


def line(name: str, found: Measured, ours: Measured, asked: int, accounts: int) -> str:
    """A row of the result; says so when not all accounts were asked."""
    ratio = f"{found.seconds / ours.seconds:6.1f} x ours"
    short = "" if asked >= accounts else f"   only {asked} accounts answered: {found.errors.strip()[-300:]}"
    return f"{name:10} {found.seconds:7.2f} s {ratio}  CPU {found.cpu:7.2f} s  {found.mib:6.0f} MiB{short}"


def main(accounts: int, names: list[str]) -> None:
    """Measure ours and each peer, one after the other, on the same stub; print as they come."""
    sys.stdout.write(f"{accounts} accounts, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n")
    with FastStub(options=Options(shared_external_id=SHARED_ID)) as stub:
        ours = [
            sys.executable,
            str(Path(__file__).with_name("bench_runner.py")),
            "--child",
            "threads",
            stub.url,
            stub.ca_bundle,
        ]
        for name in names:
            python = installed(name, PEERS[name])
            if python is None:
                sys.stdout.write(f"{name:10} does not install here: left out\n")
                continue
            own = measured([*ours, str(accounts)])
            before = stub.counts()["DescribeInstances"]
            with tempfile.TemporaryDirectory(prefix="rolecall-peer-") as folder:
                command = PEERS[name].command(python, Path(folder), accounts)
                found = measured(command, surroundings(stub, Path(folder)))
            sys.stdout.write(line("rolecall", own, own, accounts, accounts) + "\n")
            sys.stdout.write(line(name, found, own, stub.counts()["DescribeInstances"] - before, accounts) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["200"])[0]), sys.argv[2:] or list(PEERS))
