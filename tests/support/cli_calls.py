"""A recorder in place of the AWS CLI: the calls of a script, as a real shell passes them, converted to an access.

The recorder is a shell function, so the shell itself interprets every quote. It does not implement IAM: every resource is
missing, except for those declared as existing or created by the script.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rolecall_generator.iam.arn import iam_arn
from rolecall_generator.iam.model import Access, ConsolePassword, Group, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_generator.records import OWNER_TAG

RECORDER = r"""
aws() {
  {
    printf '%s\0' "$#" "$@"
    case $3 in
      --cli-input-json=file://*) printf '%s\0' 1 "$(cat "${3#--cli-input-json=file://}")" ;;
    esac
  } >>"$RECORD"
  case "$1 $2" in
    'iam create-'*) EXISTING="$EXISTING
get-${2#create-} $3 made" ;;
    'sts get-caller-identity') printf '%s\n' "$ACCOUNT" ;;
    'iam get-'*)
      while IFS= read -r line; do
        case $line in
          "$2 $3 "*)
            printf '%s\n' "${line#"$2 $3 "}"
            return 0
            ;;
        esac
      done <<END
$EXISTING
END
      echo 'An error occurred (NoSuchEntity)' >&2
      return 254
      ;;
  esac
}
"""


@dataclass(frozen=True)
class Call:
    """One call of the CLI: service, operation, options by name; `file` is the content of a file passed to it."""

    service: str
    operation: str
    options: Mapping[str, str]
    file: str = ""


@dataclass(frozen=True)
class Recording:
    """Calls and output of a script."""

    calls: tuple[Call, ...]
    done: subprocess.CompletedProcess[str] = field(repr=False)


def record(
    script: str,
    folder: Path,
    *,
    account_id: str,
    existing: Iterable[str] = (),
    answers: str = "",
    arguments: Iterable[str] = (),
    shell: str = "sh",
) -> Recording:
    """Run a script with the recorder; `existing` are ARNs, `answers` its standard input, `shell` the interpreter."""
    kinds = {arn: arn.rsplit(":", 1)[1].partition("/")[0] for arn in existing}
    lines = [f"get-{kind} --{kind}-name={arn.rpartition('/')[2]} {arn}" for arn, kind in kinds.items()]
    path = folder / "record"
    path.write_bytes(b"")
    environment = {
        "PATH": "/usr/bin:/bin",
        "TMPDIR": str(folder),
        "RECORD": str(path),
        "ACCOUNT": account_id,
        "EXISTING": "\n".join(lines),
    }
    done = subprocess.run(
        [shell, "-c", RECORDER + script, "script", *arguments],
        env=environment,
        cwd=folder,
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Recording(tuple(_calls(path.read_bytes().decode().split("\0")[:-1])), done)


def _calls(words: list[str]) -> list[Call]:
    found: list[Call] = []
    while words:
        count = int(words[0])
        taken, words = words[1 : count + 1], words[count + 1 :]
        if count == 1:
            found[-1] = replace(found[-1], file=taken[0])
        else:
            found.append(Call(taken[0], taken[1], _options(taken[2:])))
    return found


def _options(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    while words:
        name, equals, value = words.pop(0).partition("=")
        assert name.startswith("--"), name
        found[name[2:]] = value if equals or not words or words[0].startswith("--") else words.pop(0)
    return found


def access_made(calls: Iterable[Call], *, partition: str, account_id: str, existing: Iterable[str] = ()) -> Access:
    """The access that the calls create in an empty account. Raises AssertionError for an unknown call."""
    made = _Made(partition, account_id)
    for arn in existing:
        part = {"role": Role(arn, None, existing=True), "group": Group(arn, existing=True), "user": User(arn, existing=True)}
        kind, name = arn.rsplit(":", 1)[1].partition("/")[0], arn.rpartition("/")[2]
        made.parts[kind, name] = part[kind]
    for call in calls:
        made.take(call)
    assert len(made.marks) <= 1  # everything that one script creates has the same tag
    return Access.of(*made.parts.values())


@dataclass
class _Made:
    partition: str
    account_id: str
    parts: dict[tuple[str, str], Any] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)

    def take(self, call: Call) -> None:
        if (call.service, call.operation) == ("sts", "get-caller-identity") or call.operation.startswith(("get-", "list-")):
            return
        assert "iam" == call.service
        options = dict(call.options)
        given = call.file or options.pop("cli-input-json", "{}")
        verb, _, rest = call.operation.partition("-")
        kind = rest.partition("-")[0]
        if verb == "create" and kind in {"role", "policy", "group", "user"}:
            self._create(kind, options, json.loads(given))
        elif call.operation == "create-login-profile":
            profile = json.loads(given)
            self._change("user", profile["UserName"], console_password=ConsolePassword(profile["PasswordResetRequired"]))
        elif verb == "put":
            document = PolicyDocument.from_json(json.loads(options["policy-document"]))
            inline = self.parts[kind, options[f"{kind}-name"]].inline
            self._change(kind, options[f"{kind}-name"], inline={**inline, options["policy-name"]: document})
        elif verb == "attach":
            attached = self.parts[kind, options[f"{kind}-name"]].attached
            self._change(kind, options[f"{kind}-name"], attached=attached | {options["policy-arn"]})
        elif call.operation == "add-user-to-group":
            user = self.parts["user", options["user-name"]]
            group = self.parts["group", options["group-name"]]
            self._change("user", options["user-name"], groups=user.groups | {group.arn})
        else:
            raise AssertionError(call.operation)

    def _create(self, kind: str, options: dict[str, str], given: Mapping[str, Any]) -> None:
        name = options[f"{kind}-name"]
        arn = iam_arn(self.partition, self.account_id, kind, options["path"], name)
        tags = {tag["Key"]: tag["Value"] for tag in given.get("Tags", ())}
        if kind != "group":
            self.marks.add(tags.pop(OWNER_TAG))
        assert given.keys() <= {"Description", "Tags", "PermissionsBoundary", "MaxSessionDuration"}
        assert (kind, name) not in self.parts
        boundary, description = given.get("PermissionsBoundary"), given.get("Description", "")
        if kind == "role":
            trust = self._document(options["assume-role-policy-document"])
            seconds = given["MaxSessionDuration"]
            part: Any = Role(arn, trust, {}, frozenset(), boundary, seconds, description, tags)
        elif kind == "policy":
            part = ManagedPolicy(arn, self._document(options["policy-document"]), description, tags)
        else:
            part = Group(arn) if kind == "group" else User(arn, boundary=boundary, tags=tags)
        self.parts[kind, name] = part

    def _document(self, text: str) -> PolicyDocument:
        return PolicyDocument.from_json(json.loads(text))

    def _change(self, kind: str, name: str, **changes: Any) -> None:
        self.parts[kind, name] = replace(self.parts[kind, name], **changes)
