"""Role chaining within an account: which further roles can be assumed from a role.

A caller in a chain is any session of a role, or the session with a name that a trust policy lists as a principal
(`arn:aws:sts::222222222222:assumed-role/ROLE/NAME`). Who assumes a role chooses the name of the session, as far as the trust
policy of the role accepts it (IAM User Guide, condition key sts:RoleSessionName, November 2026).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from rolecall_generator.audit.account import AccountData
from rolecall_generator.audit.outsider_reader import OutsiderReader
from rolecall_generator.audit.outsiders import OutsiderKind, is_exposed
from rolecall_generator.audit.permissions import PermissionReader, Scope
from rolecall_generator.iam import Arn, Condition, Principal, Role, Statement
from rolecall_generator.iam.evaluation import PrincipalKind, identity_of

_SESSION_NAME = "sts:RoleSessionName"
_OTHER_NAME = "rolecall-audit"
"""A session name that no trust policy lists."""


@dataclass(slots=True)
class RoleChains:
    """The roles of one account that can be assumed from its other roles."""

    account: AccountData
    outsiders: OutsiderReader
    permissions: PermissionReader
    _named: dict[str, list[str]] = field(init=False, default_factory=lambda: defaultdict(list))
    """Roles by the ARNs of roles and sessions of the account that their trust policies name."""
    _by_account: list[str] = field(init=False, default_factory=list)
    _by_anyone: list[str] = field(init=False, default_factory=list)
    _sessions: dict[str, dict[str, None]] = field(init=False, default_factory=lambda: defaultdict(dict))
    """ARNs of sessions that trust policies name, by the ARN of the role."""
    _edges: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict)
    _names: dict[str, list[dict[str, str]]] = field(init=False, default_factory=dict)
    _starts: dict[tuple[str, str, str], bool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        roles = self.account.access.roles
        by_name = {arn.rpartition("/")[2]: arn for arn in roles}
        for arn, role in roles.items():
            for statement in role.trust.statements if role.trust is not None else ():
                for principal in statement.principals if statement.effect == "Allow" else ():
                    self._index(arn, principal.identifier, by_name)

    def _index(self, arn: str, principal: str, by_name: dict[str, str]) -> None:
        """Record that the role's trust policy names the principal, if it can be a role of the account or its session."""
        parsed = Arn.parse(principal)
        if principal == "*":
            self._by_anyone.append(arn)
        elif self.account.account_id in {principal, parsed.account_id if parsed else ""}:
            who = identity_of(principal)
            if who.kind is PrincipalKind.ROLE:
                self._named[principal].append(arn)
            elif who.kind is PrincipalKind.SESSION:
                # The ARN of a session does not have the path of its role.
                role = by_name.get((who.role or "").rpartition("/")[2])
                if role is not None:
                    self._named[principal].append(arn)
                    self._sessions[role][principal] = None
            else:
                self._by_account.append(arn)

    def reachable(self, start: str) -> dict[str, tuple[str, ...]]:
        """ARNs of roles that an outsider can assume from the role, directly or through others; without itself, sorted.

        The values are the ARNs of the roles between, on a shortest chain.
        """
        sessions = (session for session in self._sessions.get(start, ()) if self._is_outsider_session(start, session))
        pending: deque[tuple[str, tuple[str, ...]]] = deque((caller, ()) for caller in (start, *sessions))
        seen = {caller for caller, _ in pending}
        reached: dict[str, tuple[str, ...]] = {}
        while pending:
            caller, between = pending.popleft()
            for target in self._targets(caller):
                reached.setdefault(target, between)
                named = self._sessions.get(target, ())
                new = (target, *(each for each in named if self._may_start_session(caller, target, each)))
                pending.extend((each, (*between, target)) for each in new if each not in seen)
                seen.update(new)
        return {arn: reached[arn] for arn in sorted(reached.keys() - {start})}

    def _is_outsider_session(self, arn: str, session: str) -> bool:
        """Whether an outsider can assume the role with the name of the session. Counts as yes if it is not known."""
        role = self.account.access.roles[arn]
        if role.trust is None:
            return True
        others = (Condition("StringNotEquals", _SESSION_NAME, (identity_of(session).name,)),)
        denial = Statement("Deny", ("sts:*",), principals=(Principal("*", "*"),), conditions=others)
        trust = replace(role.trust, statements=(*role.trust.statements, denial))
        return is_exposed(self.outsiders.read(replace(role, trust=trust)))

    def _may_start_session(self, caller: str, target: str, session: str) -> bool:
        key = caller, target, session
        if key not in self._starts:
            self._starts[key] = self.permissions.may_assume(caller, target, {_SESSION_NAME: identity_of(session).name})
        return self._starts[key]

    def _targets(self, caller: str) -> tuple[str, ...]:
        """Roles of the account that a role or session can assume directly."""
        if caller not in self._edges:
            self._edges[caller] = tuple(self._find_targets(caller))
        return self._edges[caller]

    def _find_targets(self, caller: str) -> Iterator[str]:
        # Within one account, a role or session that the trust policy names, or everyone, needs no permission of its own.
        candidates = list(self._named.get(caller, ()))
        role = self.account.access.roles.get(caller)
        if role is not None:
            candidates += self._by_anyone
            if self.permissions.read(role).assume is not Scope.NONE:
                candidates += self._by_account
        for target in dict.fromkeys(candidates):
            names = self._session_names(target)
            if any(self.permissions.may_assume(caller, target, name) for name in names) and not self._is_open(
                self.account.access.roles[target]
            ):
                yield target

    def _session_names(self, arn: str) -> list[dict[str, str]]:
        """Session names that the role's trust policy tells apart, as keys of a request; no key if it does not test the name,
        or tests it with a policy variable.
        """
        if arn not in self._names:
            trust = self.account.access.roles[arn].trust
            conditions = (c for statement in (trust.statements if trust else ()) for c in statement.conditions)
            values = [value for c in conditions if c.key.lower() == _SESSION_NAME.lower() for value in c.values]
            if not values or any("${" in value for value in values):
                self._names[arn] = [{}]
            else:
                filled = (value.replace("*", _OTHER_NAME).replace("?", "x") for value in values)
                names = dict.fromkeys((*values, *filled, _OTHER_NAME))
                self._names[arn] = [{_SESSION_NAME: name} for name in names]
        return self._names[arn]

    def _is_open(self, role: Role) -> bool:
        """Whether anyone can assume the role, so that it gives an outsider nothing further."""
        return any(each.kind is OutsiderKind.ANYONE and each.is_unguarded for each in self.outsiders.read(role))
