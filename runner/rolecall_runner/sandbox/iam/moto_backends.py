"""moto's backends: accounts and services, their IAM as `Access`, saving and restoring."""

from __future__ import annotations

import io
import json
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from moto.backends import get_backend, list_of_moto_modules
from moto.core.base_backend import BackendDict
from moto.core.serialize import QuerySerializer, SerializationContext
from moto.core.utils import get_service_model
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.utilities.utils import get_partition

from rolecall_generator.iam import PARTITIONS, Access, Arn, Group, InstanceProfile, ManagedPolicy, PolicyDocument, Role, User
from rolecall_generator.iam.evaluation import Evaluator
from rolecall_runner.private_files import make_private_folder, read_private_file, write_private_file
from rolecall_runner.sandbox.protocol.aws_protocol import HttpReply, SandboxError

# Read by moto from the environment for every new account and Region, to each of which it would copy its AMIs.
_NO_AMIS = "MOTO_EC2_LOAD_DEFAULT_AMIS"

# moto's CloudFormation writes roles and policies without the sandbox's authorization and validation.
_EXCLUDED = {"cloudformation"}

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def _is_served(host: str, patterns: Iterable[tuple[str, Any]]) -> bool:
    """Whether the sandbox supports the service of a host name, or of a module of moto."""
    if host in {"moto_api", "instance_metadata"} or host in list_of_moto_modules():
        return host not in _EXCLUDED
    found = next((name for name, pattern in patterns if pattern.match(f"http://{host}")), None)
    return found is not None and found not in _EXCLUDED and (found != "s3" or host.partition(".")[0] == "s3")


class ServiceMissingError(NotImplementedError):
    """The sandbox does not support the service."""


def raised_in_moto(error: BaseException) -> bool:
    """Whether the error was raised in moto or in a library called by it."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("moto."):
            return True
        trace = trace.tb_next
    return False


class _Dispatcher(DomainDispatcherApplication):
    """moto's dispatcher, raising ServiceMissingError for a service that the sandbox does not support.

    moto would print a line and fail, or use S3, whose pattern matches every host name that starts with s3.
    """

    def get_backend_for_host(self, host: str | None) -> Any:
        if host is not None and not _is_served(host, self.backend_url_patterns):
            raise ServiceMissingError(f"the sandbox does not support {host}")
        return super().get_backend_for_host(host)


class MotoBackends:
    """moto's backends for all accounts of one sandbox. They are global in the process, so there is one sandbox at a time.

    Raises SandboxError when another sandbox is running.
    """

    _lock = threading.Lock()
    _open: MotoBackends | None = None

    def __init__(self) -> None:
        with MotoBackends._lock:
            if MotoBackends._open is not None:
                raise SandboxError(
                    "a sandbox is already running in this process",
                    hint="close it first, or start the second one in another process",
                )
            MotoBackends._open = self
        self._environment = os.environ.get(_NO_AMIS)
        os.environ.setdefault(_NO_AMIS, "false")
        BackendDict.reset()
        self._iam = iam_backends
        self.app: WsgiApp = _Dispatcher(create_backend_app)

    def close(self) -> None:
        """Discard all accounts and allow another sandbox in this process."""
        with MotoBackends._lock:
            if MotoBackends._open is self:
                MotoBackends._open = None
                # A reset would load the 1,300 AWS managed policies again for each account, only to discard them.
                self._iam.clear()
                BackendDict.reset()
                if self._environment is None:
                    os.environ.pop(_NO_AMIS, None)

    def iam(self, account_id: str, partition: str) -> Any:
        """moto's IAM backend of an account, created at first use."""
        return self._iam[account_id][partition]

    def all_iam_backends(self) -> Iterator[tuple[str, str, Any]]:
        """Account id, partition and IAM backend of all accounts."""
        for account_id, partitions in list(self._iam.items()):
            for partition, backend in list(partitions.items()):
                yield account_id, "aws" if partition == "global" else partition, backend

    def backends(self, service: str) -> dict[str, dict[str, Any]]:
        """A service's backends by account ID and Region, or partition."""
        return {account_id: dict(regions) for account_id, regions in self._service(service).items()}

    def put_backends(self, service: str, found: dict[str, dict[str, Any]]) -> None:
        """Replace all backends of a service by those returned by `backends`."""
        kept = self._service(service)
        kept.clear()
        for account_id, regions in found.items():
            for region, backend in regions.items():
                kept[account_id][region] = backend
                if service == "s3":
                    # moto's index of buckets over all accounts.
                    kept.bucket_accounts.update(dict.fromkeys(backend.buckets, (region, account_id)))

    def _service(self, service: str) -> Any:
        name: Any = service
        return get_backend(name)

    def role(self, arn: str) -> Any | None:
        """A role by ARN, None when it does not exist."""
        parsed = self._parsed(arn, "role")
        if parsed is None:
            return None
        return next((role for role in list(self.iam_backend(parsed).roles.values()) if role.arn == arn), None)

    def user(self, arn: str) -> Any | None:
        """A user by ARN, None when it does not exist."""
        parsed = self._parsed(arn, "user")
        user = self.iam_backend(parsed).users.get(parsed.name) if parsed else None
        return user if user is not None and user.arn == arn else None

    def _parsed(self, arn: str, kind: str) -> Arn | None:
        """The ARN of a role or user in an account with an IAM backend."""
        parsed = Arn.parse(arn)
        matches = parsed is not None and (parsed.service, parsed.kind) == ("iam", kind) and self.has_account(parsed)
        return parsed if matches else None

    def iam_backend(self, arn: Any) -> Any:
        """moto's IAM backend of the account in an ARN."""
        return self.iam(arn.account_id, arn.partition)

    def has_account(self, arn: Any) -> bool:
        """Whether the account in an ARN has an IAM backend."""
        return arn.account_id in self._iam and arn.partition in PARTITIONS

    def load_aws_policy(self, account_id: str, partition: str, arn: str) -> str | None:
        """Load an AWS managed policy into an account and return its document; None when AWS has no such policy.

        moto would load all 1,400 for each account, which takes gigabytes for a thousand accounts.
        """
        backend = self.iam(account_id, partition)
        known = backend.managed_policies.get(arn)
        if known is None:
            found = aws_policies().get(arn.rpartition(":iam::aws:policy/")[2])
            if found is None:
                return None
            name, data = found
            known = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
            backend.aws_managed_policies.append(known)
            backend.managed_policies[known.arn] = known
        text: str = known.versions[-1].document
        return text

    def load_all_aws_policies(self, account_id: str, partition: str) -> None:
        """Load all AWS managed policies into an account."""
        for name in aws_policies():
            self.load_aws_policy(account_id, partition, f"arn:{partition}:iam::aws:policy/{name}")


@cache
def aws_policies() -> dict[str, tuple[str, Any]]:
    """The AWS managed policies of moto 5.2.5, as (name, data) by path and name."""
    found = json.loads(aws_managed_policies_data).items()
    return {f"{data.get('Path', '/')}{name}".lstrip("/"): (name, data) for name, data in found}


def partition_of(region: str) -> str:
    """The partition of a Region, `aws` for an unknown Region."""
    partition: str = get_partition(region)
    return partition


def serialize_reply(service: str, operation: str, fields: Mapping[str, Any], request_id: str) -> HttpReply:
    """A successful reply of a service with the query protocol; None omits a field."""
    model = get_service_model(service).operation_model(operation)
    reply = QuerySerializer(model, SerializationContext(request_id)).serialize(fields)
    headers = (*reply["headers"].items(), ("x-amzn-RequestId", request_id))
    return HttpReply(reply["status_code"], headers, str(reply["body"]).encode())


_Account = tuple[str, str]


class StoredAccess:
    """The stored IAM of all accounts as `Access`, cached per account until it changes. Thread-safe."""

    def __init__(self, world: MotoBackends) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._accounts: dict[_Account, Access] = {}
        self._all: tuple[Access, Evaluator] | None = None

    def changed(self, account_id: str) -> None:
        """Invalidate an account after a write to its IAM."""
        with self._lock:
            for partition in PARTITIONS:
                self._accounts.pop((account_id, partition), None)
            self._all = None

    def forget(self) -> None:
        """Invalidate all accounts."""
        with self._lock:
            self._accounts.clear()
            self._all = None

    def account(self, account_id: str, partition: str) -> Access:
        """The IAM of one account."""
        with self._lock:
            key = (account_id, partition)
            if key not in self._accounts:
                self._accounts[key] = read_backend(self._world.iam(account_id, partition))
            return self._accounts[key]

    def all_accounts(self) -> tuple[Access, Evaluator]:
        """The IAM of all accounts, and an evaluator for it."""
        with self._lock:
            if self._all is None:
                access = Access({}, {}, {}, {}, {})
                for account_id, partition, _ in self._world.all_iam_backends():
                    _add(access, self.account(account_id, partition))
                self._all = access, Evaluator(access)
            return self._all


def _add(total: Any, part: Access) -> None:
    """Add the entries of one account. ARNs contain the account, so only AWS managed policies overlap."""
    for name in ("roles", "policies", "groups", "users", "instance_profiles"):
        getattr(total, name).update(getattr(part, name))


def read_backend(backend: Any) -> Access:
    """The IAM of one account, read from moto's objects without API calls."""
    roles = {role.arn: _role(role) for role in list(backend.roles.values())}
    groups = {
        group.arn: Group(group.arn, _inline(group.policies), frozenset(group.managed_policies))
        for group in list(backend.groups.values())
    }
    users = {user.arn: _user(user, backend) for user in list(backend.users.values())}
    profiles = {
        profile.arn: InstanceProfile(profile.arn, profile.roles[0].arn, _tags(profile.tags))
        for profile in list(backend.instance_profiles.values())
        if profile.roles
    }
    # Only the attached AWS managed policies: after a listing the account has all 1,400.
    holders: list[Role | User] = [*roles.values(), *users.values()]
    named = {arn for holder in holders for arn in (*holder.attached, holder.boundary or "")}
    named |= {arn for group in groups.values() for arn in group.attached}
    policies = {
        policy.arn: _policy(policy)
        for policy in list(backend.managed_policies.values())
        if ":iam::aws:" not in policy.arn or policy.arn in named
    }
    return Access(roles, policies, groups, users, profiles)


def _role(role: Any) -> Role:
    return Role(
        role.arn,
        document_of(role.assume_role_policy_document),
        _inline(role.policies),
        frozenset(role.managed_policies),
        role.permissions_boundary_arn,
        int(role.max_session_duration or 3_600),
        role.description or "",
        _tags(role.tags),
    )


def _user(user: Any, backend: Any) -> User:
    groups = frozenset(group.arn for group in list(backend.groups.values()) if user in group.users)
    boundary = getattr(user, "permissions_boundary", None)
    return User(
        user.arn,
        groups,
        _inline(user.policies),
        frozenset(user.managed_policies),
        boundary=boundary["PermissionsBoundaryArn"] if boundary else None,
        tags=_tags(user.tags),
    )


def _policy(policy: Any) -> ManagedPolicy:
    current = next(v for v in policy.versions if v.version_id == policy.default_version_id)
    return ManagedPolicy(policy.arn, document_of(current.document), policy.description or "", _tags(policy.get_tags()))


def _inline(policies: Mapping[str, str]) -> dict[str, PolicyDocument]:
    return {name: document_of(text) for name, text in list(policies.items())}


def _tags(tags: Any) -> dict[str, str]:
    items = tags.values() if isinstance(tags, dict) else tags or ()
    if isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values()):
        return dict(tags)
    return {tag["Key"]: tag["Value"] for tag in items}


@lru_cache(maxsize=16_384)
def document_of(text: str) -> PolicyDocument:
    """Parse a stored policy document. Raises ValueError for an invalid one, which validation at saving excludes."""
    return PolicyDocument.from_json(json.loads(text))


_MARK = "rolecall sandbox state"
_FORM = 1
SERVICES = ("iam", "s3", "ec2", "dynamodb", "rds")
_PLAIN = {
    ("builtins", "bytearray"), ("builtins", "complex"), ("builtins", "dict"), ("builtins", "frozenset"),
    ("builtins", "list"),
    ("builtins", "object"), ("builtins", "set"), ("collections", "OrderedDict"), ("collections", "defaultdict"),
    ("collections", "deque"), ("copyreg", "_reconstructor"), ("datetime", "date"), ("datetime", "datetime"),
    ("datetime", "timedelta"), ("datetime", "timezone"), ("decimal", "Decimal"), ("ipaddress", "IPv4Address"),
    ("ipaddress", "IPv4Network"), ("ipaddress", "IPv6Address"), ("ipaddress", "IPv6Network"), ("re", "_compile"),
    ("uuid", "UUID"), ("_codecs", "encode"),
}  # fmt: skip


def save(world: MotoBackends, accounts: set[str], path: Path) -> None:
    """Save all accounts (IAM, S3, EC2, DynamoDB, RDS) to a file with mode 0600: it contains access keys.

    Sessions are not saved. Raises SandboxError when the file cannot be written.
    """
    head = {"mark": _MARK, "form": _FORM, "moto": version("moto"), "accounts": sorted(accounts)}
    body = pickle.dumps({name: world.backends(name) for name in SERVICES}, protocol=5)
    try:
        make_private_folder(path.parent)
        write_private_file(path, json.dumps(head).encode() + b"\n" + body)
    except OSError as error:
        raise SandboxError(
            f"cannot write the sandbox state: {error.strerror}", where=str(path), hint="choose another file"
        ) from error


def restore(world: MotoBackends, path: Path) -> set[str]:
    """Load the accounts of a saved file and return their ids.

    The file contains pickled objects of moto; only classes of moto and a few standard classes are unpickled. Raises
    SandboxError for any other file and for one of another moto version.
    """
    try:
        head_line, _, body = read_private_file(path).partition(b"\n")
    except OSError as error:
        raise SandboxError(
            f"cannot read the sandbox state: {error.strerror}", where=str(path), hint="choose another file"
        ) from error
    head = _head(head_line, path)
    try:
        found = _Reader(io.BytesIO(body)).load()
    except Exception as error:
        raise _invalid_state(path, f"the content is damaged ({type(error).__name__})") from error
    for name in SERVICES:
        world.put_backends(name, found.get(name, {}))
    return set(head["accounts"])


def _head(line: bytes, path: Path) -> Any:
    try:
        head = json.loads(line)
    except ValueError as error:
        raise _invalid_state(path, "not a sandbox state") from error
    if not isinstance(head, dict) or head.get("mark") != _MARK or head.get("form") != _FORM:
        raise _invalid_state(path, "not a sandbox state of this version")
    if head.get("moto") != version("moto"):
        raise _invalid_state(path, f"saved with moto {head.get('moto')}, but {version('moto')} is installed")
    return head


def _invalid_state(path: Path, why: str) -> SandboxError:
    return SandboxError(
        f"cannot restore the sandbox state: {why}", where=str(path), hint="remove the file and provision the accounts again"
    )


class _Reader(pickle.Unpickler):
    """Unpickles only classes of moto and the standard classes of `_PLAIN`."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("builtins", "getattr"):
            return _member
        if module.startswith("moto.") and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        elif (module, name) in _PLAIN:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a sandbox state")


def _member(owner: Any, name: str) -> Any:
    """The getattr calls that Python 3.11 pickles for moto: members of enums, and the filters of security groups."""
    if isinstance(owner, type) and issubclass(owner, Enum):
        return owner[name]
    if type(owner).__module__.startswith("moto.ec2.models.") and name.startswith("filter_"):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f"{name} is not allowed in a sandbox state")
