"""One customer's session, for daily work: found by name, assumed as the roll call does."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from rolecall_generator.errors import CallerError, SelectionError
from rolecall_runner.clients import Clients, ClientSettings
from rolecall_runner.credentials import Assumer, Credentials, Sessions, utc_now
from rolecall_runner.inventory import Inventory, read_inventory
from rolecall_runner.results.journal import new_run_id
from rolecall_runner.session_cache import DiskSessionCache
from rolecall_runner.source import find_caller
from rolecall_runner.targets import Target, TargetKind


@dataclass(frozen=True, slots=True)
class OpenSession:
    """An assumed session of one target and the Region that its work is in."""

    target: Target
    region: str
    credentials: Credentials = field(repr=False)


def find_target(inventory: Inventory, name: str, kind: TargetKind | None = None) -> Target:
    """The target of a name. Raises SelectionError for none, and for two of one name (a customer and a switch role)."""
    found = [target for target in inventory.targets if target.name == name and kind in (None, target.kind)]
    if len(found) == 1:
        return found[0]
    names = [target.name for target in inventory.targets if kind in (None, target.kind)]
    near = get_close_matches(name, names, n=1)
    what = f"{name} is a customer and a switch role" if found else f"there is no {kind or 'customer or switch role'} {name}"
    raise SelectionError(what, mend=f"did you mean {near[0]}?" if near and not found else "name one of the manifest")


def open_session(
    manifest: Path,
    out: Path,
    name: str,
    *,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    session_cache: Path | None = None,
) -> OpenSession:
    """Assume a customer's role by the usual chain of credentials, for an hour where role and chaining allow as much.

    `session_cache`: a folder, for its owner's eyes alone, that keeps the session for the next command.

    Raises ManifestError, PlanError, OutputError, SelectionError and CallerError (also when the role refuses),
    SessionCacheError for a folder that others may read.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - `runner --help` must not pay for botocore

    target = find_target(read_inventory(manifest, out=out), name, TargetKind.CUSTOMER)
    clients = Clients(ClientSettings(endpoint_url=endpoint_url, connections=2))
    caller = find_caller(clients, profile=profile, region=region)
    run_id = new_run_id(datetime.now(UTC), secrets.token_hex).rpartition("-")[2]
    try:
        cache = DiskSessionCache(session_cache, utc_now) if session_cache is not None else None
        credentials = Sessions(Assumer(clients, caller, run_id), cache=cache).of(target).get_frozen_credentials()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise CallerError(
            f"{caller.arn} cannot assume it: {code}", where=target.role_arn, mend=f"runner verify --limit {name} says why"
        ) from error
    except BotoCoreError as error:
        raise CallerError(f"STS cannot be asked: {error}", where=target.role_arn, mend="see to the network") from error
    return OpenSession(target, region or (target.regions[0] if target.regions else caller.region), credentials)
