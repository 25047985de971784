"""boto3 clients and resources of one account, made from templates that all accounts of a process share.

A client per account would load and keep a service model per account (35 MiB for EC2). A client is therefore a copy of its
template that keeps the template's connections and model, and signs each call with the account's credentials. It is a
subclass of the template's class, so that boto3's paginators, waiters, resources and transfers, which call the client's
methods, sign as the account in whatever thread they run. The template's credentials refuse to sign: a call that does not
go through such a copy raises OutsideAccountError and is never sent.

botocore 1.44.5 sends every operation from `BaseClient._make_api_call`, and its `generate_...` methods sign without a call.
boto3 1.44.5 uses awscrt's own S3 client on some instance types, with credentials of its own, unless the client has none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, cast
from weakref import WeakKeyDictionary, proxy

import boto3
from botocore.client import BaseClient

from rolecall_generator.iam import PARTITIONS
from rolecall_generator.workers import collection_paused
from rolecall_runner.aws import Clients, SigningCredentials, account
from rolecall_runner.inventory import Target

_SIGNING_METHODS = "generate_"


class _SignedAsAccount:
    """Mixin of the copies: overrides the methods of a client that sign."""

    _rolecall_credentials: SigningCredentials

    def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
        with account(self._rolecall_credentials):
            return super()._make_api_call(operation_name, api_params)  # type: ignore[misc]

    def _get_credentials(self) -> None:
        """Only boto3's choice of an S3 client calls this; without credentials it uses this client."""

    def close(self) -> None:
        """Does nothing: the connections are shared, and closed with the `Clients`."""


def _signed_as_account(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def sign(self: Any, *args: Any, **kwargs: Any) -> Any:
        with account(self._rolecall_credentials):
            return method(self, *args, **kwargs)

    return sign


def _account_class(template: type) -> type:
    """The subclass of a template's class for copies; one per template."""
    found = template.__dict__.get("_rolecall_account_class")
    if found is None:
        signing = {
            name: _signed_as_account(getattr(template, name))
            for name in dir(template)
            if name.startswith(_SIGNING_METHODS) and callable(getattr(template, name))
        }
        body = {"__module__": template.__module__, "__doc__": template.__doc__, **signing}
        found = type(template.__name__, (_SignedAsAccount, template), body)
        template._rolecall_account_class = found  # type: ignore[attr-defined]
    return cast("type", found)


def client_of_account(template: BaseClient, credentials: SigningCredentials) -> Any:
    """A copy of a client of `Clients` that signs with these credentials, usable in any thread."""
    copied: Any = object.__new__(_account_class(type(template)))
    copied.__dict__.update(template.__dict__, _rolecall_credentials=credentials)
    return copied


class SharedSession(boto3.Session):  # type: ignore[misc]
    """The boto3 session of a `Clients`. Thread-safe.

    Its clients are not those of `Clients`, which have no methods of boto3 such as `download_file`. Resources have templates
    of their own, because boto3's resource of DynamoDB changes how its client converts values.
    """

    def __init__(self, clients: Clients) -> None:
        super().__init__(botocore_session=clients.botocore_session)
        paths = self._loader.search_paths  # one list per process, to which each session adds boto3's folder
        paths[:] = dict.fromkeys(paths)
        self._clients = proxy(clients)  # a reference would keep the entry of `_sessions`
        self._lock = threading.RLock()
        self._templates: dict[tuple[str, str, str], Any] = {}
        self._credentials: SigningCredentials | None = None

    def client_of(self, credentials: SigningCredentials, service: str, region: str) -> Any:
        """A client of an account. Raises botocore's UnknownServiceError."""
        return client_of_account(self._template("client", service, region), credentials)

    def resource_of(self, credentials: SigningCredentials, service: str, region: str) -> Any:
        """A resource of an account. Raises boto3's ResourceNotExistsError."""
        with self._lock:  # a new resource may register handlers of its template
            self._credentials = credentials
            return self.resource(service, region_name=region)

    def client(self, service_name: str, region_name: str | None = None, **_options: Any) -> Any:
        """Called by `boto3.Session.resource`: the client of the resource of `resource_of`."""
        template = self._template("resource", service_name, region_name or "")
        return client_of_account(template, cast("SigningCredentials", self._credentials))

    def _template(self, kind: str, service: str, region: str) -> Any:
        with self._lock:
            key = (kind, service, region)
            if key not in self._templates:
                with collection_paused():  # as for the clients of `Clients`
                    self._templates[key] = self._clients.make_client(service, region)
            return self._templates[key]


_sessions: WeakKeyDictionary[Clients, SharedSession] = WeakKeyDictionary()
_sessions_lock = threading.Lock()


def shared_session(clients: Clients) -> SharedSession:
    """The boto3 session of a `Clients`, made at the first call."""
    with _sessions_lock:
        found = _sessions.get(clients)
        if found is None:
            found = _sessions[clients] = SharedSession(clients)
        return found


@dataclass(frozen=True, slots=True)
class AccountClients:
    """The `session` argument of functions: clients and resources of one account, with the names of a boto3 session.

    They are boto3's own classes and can be used in any thread while the fleet is open. Connections and event handlers are
    shared with other accounts of the process.
    """

    clients: Clients = field(repr=False)
    credentials: SigningCredentials = field(repr=False)
    account: Target

    @property
    def region_name(self) -> str:
        """The default Region: the account's first one in the manifest, else that of its partition."""
        return next(iter(self.account.regions), PARTITIONS[self.account.partition].default_region)

    def client(self, service_name: str, region_name: str | None = None) -> Any:
        """A boto3 client for a service (boto3 name). Raises botocore's UnknownServiceError."""
        return shared_session(self.clients).client_of(self.credentials, service_name, region_name or self.region_name)

    def resource(self, service_name: str, region_name: str | None = None) -> Any:
        """A boto3 resource for a service. Raises boto3's ResourceNotExistsError if boto3 has no resource for it."""
        return shared_session(self.clients).resource_of(self.credentials, service_name, region_name or self.region_name)
