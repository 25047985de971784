"""The sandbox's accounts in a file, so that they outlive it: IAM, S3, EC2, DynamoDB and RDS. Sessions do not.

moto's objects are pickled as they are. Reading admits the classes of moto and a few plain ones alone, so that a file can
make nothing else run; it is for the sandbox of the same moto version, and for its owner's eyes, since access keys are in it.
"""

from __future__ import annotations

import io
import json
import pickle
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rolecall_runner.private_files import make_private_folder, read_private_file, write_private_file
from rolecall_runner.sandbox.backends import World
from rolecall_runner.sandbox.errors import SandboxError

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


def save(world: World, accounts: set[str], path: Path) -> None:
    """Write all accounts to a file that its owner alone can read. Raises SandboxError when it cannot be written."""
    head = {"mark": _MARK, "form": _FORM, "moto": version("moto"), "accounts": sorted(accounts)}
    body = pickle.dumps({name: world.backends(name) for name in SERVICES}, protocol=5)
    try:
        make_private_folder(path.parent)
        write_private_file(path, json.dumps(head).encode() + b"\n" + body)
    except OSError as error:
        raise SandboxError(
            f"the sandbox's state cannot be written: {error.strerror}", where=str(path), mend="choose another file"
        ) from error


def restore(world: World, path: Path) -> set[str]:
    """Read the accounts of a file into a new world; the ids of the accounts. Raises SandboxError for any other file."""
    try:
        head_line, _, body = read_private_file(path).partition(b"\n")
    except OSError as error:
        raise SandboxError(
            f"the sandbox's state cannot be read: {error.strerror}", where=str(path), mend="choose another file"
        ) from error
    head = _head(head_line, path)
    try:
        found = _Reader(io.BytesIO(body)).load()
    except Exception as error:
        raise _foreign(path, f"its content is damaged ({type(error).__name__})") from error
    for name in SERVICES:
        world.put_backends(name, found.get(name, {}))
    return set(head["accounts"])


def _head(line: bytes, path: Path) -> Any:
    try:
        head = json.loads(line)
    except ValueError as error:
        raise _foreign(path, "it is no state of a sandbox") from error
    if not isinstance(head, dict) or head.get("mark") != _MARK or head.get("form") != _FORM:
        raise _foreign(path, "it is no state of a sandbox of this version")
    if head.get("moto") != version("moto"):
        raise _foreign(path, f"it was written with moto {head.get('moto')}, and {version('moto')} is installed")
    return head


def _foreign(path: Path, why: str) -> SandboxError:
    return SandboxError(
        f"the file cannot be taken up: {why}", where=str(path), mend="remove the file and provision the accounts again"
    )


class _Reader(pickle.Unpickler):
    """Reads moto's classes and plain ones, nothing that could do anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("builtins", "getattr"):
            return _member
        if module.startswith("moto.") and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        elif (module, name) in _PLAIN:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a sandbox's state")


def _member(owner: Any, name: str) -> Any:
    """What Python 3.11 pickles with getattr and moto needs: members of enumerations, and the filters of security groups."""
    if isinstance(owner, type) and issubclass(owner, Enum):
        return owner[name]
    if type(owner).__module__.startswith("moto.ec2.models.") and name.startswith("filter_"):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f"{name} has no place in a sandbox's state")
