"""python-hcl2's parser, with Lark's parse tables cached between processes.

Lark takes about 1.5 s to build the tables from python-hcl2's grammar, and 0.1 s to load them. python-hcl2 caches them in its
own folder in site-packages, which an ordinary user often cannot write. Lark rebuilds the file if its version, Python's, the
grammar or an option differs, or if the file is damaged.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from rolecall_generator.disk import alone
from rolecall_generator.user_cache import is_own_file, user_cache_folder

if TYPE_CHECKING:
    from lark import Lark

CACHE_NAME = "hcl2.lark"


@lru_cache(maxsize=1)
def parser() -> Lark:
    """python-hcl2's parser, from the tables in the user's cache folder if that folder is safe: the file is a pickle."""
    folder = user_cache_folder()
    if folder is not None and is_own_file(folder / CACHE_NAME):
        # Lark writes the file in place: without the lock, two processes could each write a part of it.
        with suppress(OSError), alone(folder):
            return build(str(folder / CACHE_NAME))
    return build()


def build(cache: str | None = None) -> Lark:
    """The parser that `hcl2.parser.parser` builds, with the tables cached in the file `cache`."""
    # Imported here: a quarter of a second that a run without a module to parse must not pay.
    import hcl2.parser  # noqa: PLC0415
    from hcl2.postlexer import PostLexer  # noqa: PLC0415
    from lark import Lark  # noqa: PLC0415

    return Lark.open(
        "hcl2.lark",
        parser="lalr",
        rel_to=hcl2.parser.__file__,
        propagate_positions=True,
        postlex=PostLexer(),
        cache=cache or False,
    )
