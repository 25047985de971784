"""The simulated services behind the gate: the only module that knows moto from inside.

moto keeps its state in the process, so there is one world at a time. It is loaded at first use: it costs about a second.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rolecall_generator.iam.arn import PARTITIONS, parse_arn
from rolecall_runner.sandbox.errors import SandboxError

# moto reads this from the environment alone, at every new account and Region, into each of which it would copy its AMIs.
_NO_AMIS = "MOTO_EC2_LOAD_DEFAULT_AMIS"

# moto's CloudFormation writes roles and policies without the sandbox's checks of callers and documents.
_LEFT_OUT = {"cloudformation"}

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def _is_served(host: str, patterns: Iterable[tuple[str, Any]]) -> bool:
    """Whether the sandbox offers the service of a host, which is a host name or the name of one of moto's modules."""
    from moto.backends import list_of_moto_modules  # noqa: PLC0415 - heavy, as below

    if host in {"moto_api", "instance_metadata"} or host in list_of_moto_modules():
        return host not in _LEFT_OUT
    found = next((name for name, pattern in patterns if pattern.match(f"http://{host}")), None)
    return found is not None and found not in _LEFT_OUT and (found != "s3" or host.partition(".")[0] == "s3")


class ServiceMissingError(NotImplementedError):
    """The sandbox has no such service."""


def raised_in_moto(error: BaseException) -> bool:
    """Whether moto, or a library that it called, raised the error."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("moto."):
            return True
        trace = trace.tb_next
    return False


class World:
    """All accounts of one sandbox. Raises SandboxError when another one lives in this process."""

    _lock = threading.Lock()
    _alive: World | None = None

    def __init__(self) -> None:
        with World._lock:
            if World._alive is not None:
                raise SandboxError(
                    "a sandbox is running in this process already",
                    mend="leave its `with` block first, or start the second one in a process of its own",
                )
            World._alive = self
        self._environment: str | None = None
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        self._environment = os.environ.get(_NO_AMIS)
        os.environ.setdefault(_NO_AMIS, "false")
        try:
            from moto.core.base_backend import BackendDict  # noqa: PLC0415 - heavy, and an extra that may be missing
            from moto.iam.models import iam_backends  # noqa: PLC0415
            from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
                DomainDispatcherApplication,
                create_backend_app,
            )
        except ImportError as error:
            raise SandboxError(
                f"the sandbox needs a package that is not installed: {error.name}", mend="pip install 'rolecall[sandbox]'"
            ) from error
        self._reset = BackendDict.reset
        self._reset()
        self._iam = iam_backends

        class Dispatcher(DomainDispatcherApplication):
            """moto's dispatcher, which raises ServiceMissingError for a service that the sandbox does not have.

            moto prints a line instead and then fails, or lets S3 answer: its pattern matches every name that starts with s3.
            """

            def get_backend_for_host(self, host: str | None) -> Any:
                if host is not None and not _is_served(host, self.backend_url_patterns):
                    raise ServiceMissingError(f"the sandbox has no service for {host}")
                return super().get_backend_for_host(host)

        self.app: WsgiApp = Dispatcher(create_backend_app)

    def close(self) -> None:
        """Forget everything; another world may begin."""
        with World._lock:
            if World._alive is self:
                World._alive = None
                if hasattr(self, "_reset"):
                    self._reset()
                if self._environment is None:
                    os.environ.pop(_NO_AMIS, None)

    def iam(self, account_id: str, partition: str) -> Any:
        """moto's IAM of an account, made at first use."""
        return self._iam[account_id][partition]

    def iam_everywhere(self) -> Iterator[tuple[str, str, Any]]:
        """Account id, partition and IAM of all accounts that have any."""
        for account_id, partitions in list(self._iam.items()):
            for partition, backend in list(partitions.items()):
                yield account_id, "aws" if partition == "global" else partition, backend

    def backends(self, service: str) -> dict[str, dict[str, Any]]:
        """What a service keeps: account id -> Region or partition -> moto's object."""
        return {account_id: dict(regions) for account_id, regions in self._service(service).items()}

    def put_backends(self, service: str, found: dict[str, dict[str, Any]]) -> None:
        """Put what `backends` gave in the place of all that the service keeps."""
        kept = self._service(service)
        kept.clear()
        for account_id, regions in found.items():
            for region, backend in regions.items():
                kept[account_id][region] = backend
                if service == "s3":
                    # In which account a bucket is, whoever asks for it.
                    kept.bucket_accounts.update(dict.fromkeys(backend.buckets, (region, account_id)))

    def _service(self, service: str) -> Any:
        from moto.backends import get_backend  # noqa: PLC0415 - heavy, and an extra

        name: Any = service
        return get_backend(name)

    def role(self, arn: str) -> Any | None:
        """A stored role by its ARN, None when there is none."""
        parsed = parse_arn(arn)
        if parsed is None or parsed.service != "iam" or parsed.kind != "role" or not self.has_account(parsed):
            return None
        return next((role for role in list(self.iam_of(parsed).roles.values()) if role.arn == arn), None)

    def user(self, arn: str) -> Any | None:
        """A stored user by its ARN, None when there is none."""
        parsed = parse_arn(arn)
        if parsed is None or parsed.service != "iam" or parsed.kind != "user" or not self.has_account(parsed):
            return None
        user = self.iam_of(parsed).users.get(parsed.name)
        return user if user is not None and user.arn == arn else None

    def iam_of(self, arn: Any) -> Any:
        """moto's IAM of the account that an ARN names."""
        return self.iam(arn.account_id, arn.partition)

    def has_account(self, arn: Any) -> bool:
        """Whether anything was ever stored in the account that an ARN names."""
        return arn.account_id in self._iam and arn.partition in PARTITIONS

    def know_aws_policy(self, account_id: str, partition: str, arn: str) -> str | None:
        """Let an account know one of AWS's managed policies; its text, or None when AWS has no such policy.

        moto's own way parses all 1,400 for each account, which costs a thousand accounts gigabytes.
        """
        backend = self.iam(account_id, partition)
        known = backend.managed_policies.get(arn)
        if known is None:
            found = aws_policies().get(arn.rpartition(":iam::aws:policy/")[2])
            if found is None:
                return None
            known = _managed(backend, *found)
            backend.aws_managed_policies.append(known)
            backend.managed_policies[known.arn] = known
        text: str = known.versions[-1].document
        return text

    def know_all_aws_policies(self, account_id: str, partition: str) -> None:
        """Let an account know all of AWS's managed policies, for those who list them."""
        for name in aws_policies():
            self.know_aws_policy(account_id, partition, f"arn:{partition}:iam::aws:policy/{name}")


_policies: dict[str, tuple[str, Any]] = {}
_policies_lock = threading.Lock()


def aws_policies() -> dict[str, tuple[str, Any]]:
    """AWS's managed policies as moto 5.2.5 carries them: path and name -> (name, data), read once in a process."""
    import json  # noqa: PLC0415 - with the module below

    from moto.iam.aws_managed_policies import aws_managed_policies_data  # noqa: PLC0415 - 4 MB of text

    with _policies_lock:
        if not _policies:
            for name, data in json.loads(aws_managed_policies_data).items():
                _policies[f"{data.get('Path', '/')}{name}".lstrip("/")] = (name, data)
    return _policies


def _managed(backend: Any, name: str, data: Any) -> Any:
    from moto.iam.models import AWSManagedPolicy  # noqa: PLC0415 - loaded already

    return AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)


def partition_of(region: str) -> str:
    """The partition of a Region, `aws` for names that look like none."""
    from moto.utilities.utils import get_partition  # noqa: PLC0415 - heavy, and an extra

    partition: str = get_partition(region)
    return partition
