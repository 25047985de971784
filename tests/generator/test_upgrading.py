"""What another version does to modules that are there: what docs/upgrading.md promises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from output_trees import times, tree
from rolecall_generator.errors import OutputError
from rolecall_generator.generate import compare, generate
from rolecall_generator.output.atomic_write import sha256
from rolecall_generator.output.lock import LOCK_NAME, LOCK_VERSION, read_lock

CUSTOMER = "customers/account1"


@pytest.fixture
def written(generated: Path) -> tuple[Path, Path]:
    """The example accounts' manifest and its modules, as written by a version with other fingerprints."""
    manifest, out = generated / "accounts.yaml", generated / "output"
    lock = json.loads((out / LOCK_NAME).read_text("utf-8"))
    for module in lock["modules"].values():
        module["fingerprint"] = "of another version"
    lock["generator"] = "rolecall 0.0.1"
    (out / LOCK_NAME).write_text(json.dumps(lock), encoding="utf-8")
    return manifest, out


def stamps(out: Path) -> dict[str, tuple[bytes, int]]:
    """The modules' files, each with its bytes and when it was written."""
    return {name: (content, (out / name).stat().st_mtime_ns) for name, content in tree(out).items()}


def reword(out: Path) -> None:
    """Give a customer's module the other wording that the former version had."""
    main = out / CUSTOMER / "main.tf"
    main.write_text(main.read_text("utf-8").replace("# Trust policy", "# Who may assume it"), encoding="utf-8")
    lock = json.loads((out / LOCK_NAME).read_text("utf-8"))
    lock["modules"][CUSTOMER]["files"]["main.tf"] = sha256(main.read_bytes())
    (out / LOCK_NAME).write_text(json.dumps(lock), encoding="utf-8")


def test_a_version_that_writes_the_same_is_no_difference(written: tuple[Path, Path]) -> None:
    """Other fingerprints alone are no findings in `gen diff`."""
    assert () == compare(*written).modules


def test_an_upgrade_touches_no_file_that_comes_out_the_same(written: tuple[Path, Path]) -> None:
    """Every module is rendered and compared; files keep their bytes and times, and the lock alone notes the version."""
    manifest, out = written
    before = stamps(out)

    report = generate(manifest, out).report

    assert before == stamps(out)
    assert 0 == report.files_written
    assert "rolecall 0.0.1" != read_lock(out).generator


def test_another_wording_is_told_from_another_access(written: tuple[Path, Path]) -> None:
    """`gen diff` names the one module whose text would change, and says that its access would not."""
    manifest, out = written
    reword(out)

    assert [(CUSTOMER, "text", ())] == [
        (module.path, module.state, module.changes) for module in compare(manifest, out).modules
    ]


def test_a_reworded_module_is_taken_over(written: tuple[Path, Path]) -> None:
    """The former version's wording is not somebody's edit: it is replaced, and then there is no difference."""
    manifest, out = written
    reword(out)

    generate(manifest, out)

    assert () == compare(manifest, out).modules
    assert "# Trust policy" in (out / CUSTOMER / "main.tf").read_text("utf-8")


def test_a_lock_of_a_newer_form_is_refused(written: tuple[Path, Path]) -> None:
    """Who goes back to an older version hears what to do, and nothing is written."""
    manifest, out = written
    lock = json.loads((out / LOCK_NAME).read_text("utf-8"))
    (out / LOCK_NAME).write_text(json.dumps(lock | {"version": LOCK_VERSION + 1}), encoding="utf-8")
    before = times(out)

    with pytest.raises(OutputError) as raised:
        generate(manifest, out)

    assert "install a newer rolecall" == raised.value.hint
    assert before == times(out)
