"""Names of customers out of what sources call accounts: fit for a folder, and each its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from rolecall_generator.manifest.crosscheck import fold

_CHARACTERS = 64
_FIT = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_UNFIT = re.compile(r"[^a-z0-9._]+")


def slug(text: str, account_id: str) -> str:
    """A name for a customer out of any text: as it is where it fits, else small ASCII letters, digits and ._-.

    Where nothing of it fits it is `account-ACCOUNT_ID`. The same text always gives the same name.
    """
    if _FIT.fullmatch(text) and len(text) <= _CHARACTERS:
        return text
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    name = _UNFIT.sub("-", plain).strip("-._")
    if not name:
        return f"account-{account_id}"
    return (name if name[0].isalpha() else f"customer-{name}")[:_CHARACTERS].rstrip("-._")


class Names:
    """Gives each account a name of its own: what differs from a taken one in case or ._- alone gets the account id too."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {fold(name) for name in taken}

    def name(self, text: str, account_id: str) -> str:
        """A free name, which is then taken."""
        wanted = slug(text, account_id)
        found, number = wanted, 1
        while fold(found) in self._taken:
            tail = f"-{account_id}" if number == 1 else f"-{account_id}-{number}"
            found = f"{wanted[: _CHARACTERS - len(tail)].rstrip('-._')}{tail}"
            number += 1
        self._taken.add(fold(found))
        return found
