"""The command `gen` as a person runs it: exit codes, messages, what is written."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from manifests import NOTES


def gen(*arguments: str | Path, cwd: Path, limit_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run `gen` in a folder, as an ordinary process."""

    def lower_limits() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    # A process that passes its size limit gets a signal; ignored, the write fails as on a full disk.
    program = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    program += "from rolecall_generator.cli import app; app(prog_name='gen')"
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lower_limits,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with the notes' manifest."""
    (tmp_path / "accounts.yaml").write_bytes(NOTES.read_bytes())
    return tmp_path


def test_terraform_writes_the_modules_and_a_second_run_nothing(notes: Path) -> None:
    """The first run writes every module, the second says that there is nothing to write and changes no byte."""
    first = gen("terraform", cwd=notes)
    before = contents(notes)
    second = gen("terraform", cwd=notes)

    assert (0, 0) == (first.returncode, second.returncode)
    assert "24 files written" in first.stdout
    assert "Nothing to write" in second.stdout
    assert before == contents(notes)


def test_json_is_for_machines(notes: Path) -> None:
    """--format json prints one object and nothing else."""
    done = json.loads(gen("terraform", "--format", "json", cwd=notes).stdout)

    assert 24 == done["files_written"]
    assert "customers/account1" in done["modules"]["created"]


def test_quiet_prints_nothing(notes: Path) -> None:
    """--quiet leaves both streams empty when all went well."""
    done = gen("terraform", "--quiet", cwd=notes)

    assert ("", "") == (done.stdout, done.stderr)


def test_only_writes_the_named_customer(notes: Path) -> None:
    """--only touches the modules of the named customer alone."""
    gen("terraform", "--only", "account2", cwd=notes)

    written = {name.rpartition("/")[0] for name in contents(notes / "output") if name.endswith(".tf")}
    assert {"customers/account2"} == written


def test_an_unknown_name_names_the_nearest(notes: Path) -> None:
    """--only with a typing mistake is a usage error with a suggestion."""
    done = gen("terraform", "--only", "acount2", cwd=notes)

    assert 2 == done.returncode
    assert "did you mean account2?" in done.stderr


def test_a_removed_customer_is_pruned_and_foreign_files_stay(notes: Path) -> None:
    """Stale generated files go, a file of someone else's stays; with --no-prune all stay."""
    gen("terraform", cwd=notes)
    state = notes / "output" / "customers" / "account3" / "terraform.tfstate"
    state.write_text("mine")
    lines = (notes / "accounts.yaml").read_text().splitlines(keepends=True)
    (notes / "accounts.yaml").write_text("".join(line for line in lines if "account3" not in line))

    gen("terraform", "--no-prune", cwd=notes)
    assert (state.parent / "main.tf").exists()
    gen("terraform", cwd=notes)

    assert ["terraform.tfstate"] == [path.name for path in state.parent.iterdir()]


def test_a_file_of_somebody_elses_is_never_overwritten(notes: Path) -> None:
    """A main.tf that the lock does not know stops the run before anything is written."""
    foreign = notes / "output" / "customers" / "account1" / "main.tf"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")

    done = gen("terraform", cwd=notes)

    assert 5 == done.returncode
    assert "account1/main.tf" in done.stderr
    assert {"customers/account1/main.tf": b"mine"} == contents(notes / "output")


def test_init_gives_a_manifest_that_generates(tmp_path: Path) -> None:
    """The starter manifest renders as it stands, and a second init does not overwrite it."""
    assert 0 == gen("init", cwd=tmp_path).returncode
    assert 0 == gen("terraform", cwd=tmp_path).returncode
    assert 5 == gen("init", cwd=tmp_path).returncode


def test_schema_is_a_json_schema(tmp_path: Path) -> None:
    """gen schema prints a schema that editors can use."""
    assert "customers" in json.loads(gen("schema", cwd=tmp_path).stdout)["properties"]


def test_diff_speaks_of_access(notes: Path) -> None:
    """A dropped external id and an added permission are said as such, and the exit code says that something changes."""
    gen("terraform", cwd=notes)
    text = (notes / "accounts.yaml").read_text()
    text = text.replace(', external_id: "c29d7e4183fa4b60b5d87a6e1f20c3d4"', "").replace(
        'external_id: "6b1e0a9f3c7d4e52a8f4d1c2b3a49586"',
        'external_id: "6b1e0a9f3c7d4e52a8f4d1c2b3a49586", permissions: [ec2-read]',
    )
    (notes / "accounts.yaml").write_text(text)

    done = gen("diff", cwd=notes)

    assert 1 == done.returncode
    assert "c29d7e4183fa4b60b5d87a6e1f20c3d4" in done.stdout
    assert "AmazonEC2ReadOnlyAccess" in done.stdout


def test_diff_of_a_folder_that_was_taken_away_shows_what_comes_back(notes: Path) -> None:
    """A generated folder that someone deleted is a difference, not an error."""
    gen("terraform", cwd=notes)
    shutil.rmtree(notes / "output" / "customers" / "account1")

    done = gen("diff", cwd=notes)

    assert 1 == done.returncode
    assert "account1/role1 is new" in done.stdout


def test_diff_of_nothing_is_nothing(notes: Path) -> None:
    """Right after gen terraform there is no difference."""
    gen("terraform", cwd=notes)
    done = gen("diff", cwd=notes)

    assert 0 == done.returncode
    assert "No difference" in done.stdout


BOMB = "version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BAD_MANIFESTS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 20),
    "100 MB large": _sparse,
    "a YAML bomb": lambda path: path.write_text(BOMB),
    "an include that leaves the folder": lambda path: path.write_text("version: 1\ninclude: ['../*.yaml']\n"),
    "a folder": _folder,
    "nested deeply": lambda path: path.write_text("[" * 100_000),
    "a list": lambda path: path.write_text("- 1\n"),
    "cut off": lambda path: path.write_text('version: 1\nbackend: {account_id: "1111'),
}


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_a_bad_manifest_is_explained_and_costs_nothing(notes: Path, kind: str) -> None:
    """Whatever is wrong with the manifest: exit code 3, a hint, no traceback, and what was written stays."""
    gen("terraform", cwd=notes)
    before = contents(notes / "output")
    BAD_MANIFESTS[kind](notes / "accounts.yaml")

    done = gen("terraform", cwd=notes)

    assert 3 == done.returncode
    assert "accounts.yaml" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert before == contents(notes / "output")


def test_a_full_disk_keeps_what_was_written(notes: Path) -> None:
    """When no file can grow, the run ends with exit code 5 and the files of the run before are whole."""
    gen("terraform", cwd=notes)
    before = {name: body for name, body in contents(notes / "output").items() if not name.startswith(".")}
    manifest = notes / "accounts.yaml"
    manifest.write_text(manifest.read_text().replace("{managed-by: rolecall}", "{managed-by: somebody-else}"))

    done = gen("terraform", cwd=notes, limit_bytes=512)

    assert 5 == done.returncode
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert before == {name: body for name, body in contents(notes / "output").items() if not name.startswith(".")}


@pytest.mark.parametrize("what", ["a file", "below a file"])
def test_an_output_that_cannot_be_a_folder_is_explained(notes: Path, what: str) -> None:
    """--out that is a file, or below one, is exit code 5 with a hint."""
    (notes / "taken").write_text("mine")

    done = gen("terraform", "--out", "taken" if what == "a file" else "taken/output", cwd=notes)

    assert 5 == done.returncode
    assert "hint:" in done.stderr
    assert b"mine" == (notes / "taken").read_bytes()


@pytest.mark.parametrize("arguments", [["terraform", "--format", "xml"], ["nonsense"], ["terraform", "--nonsense"]])
def test_a_wrong_command_line_is_a_usage_error(notes: Path, arguments: list[str]) -> None:
    """What Typer refuses ends with exit code 2."""
    assert 2 == gen(*arguments, cwd=notes).returncode


def wound(folder: Path) -> None:
    """Let the written module of account1 trust everybody."""
    path = folder / "output/customers/account1/main.tf"
    path.write_text(path.read_text().replace('"arn:aws:iam::111111111111:role/backend_role"', '"*"', 1))


def test_terraform_checks_what_it_wrote(notes: Path) -> None:
    """After writing the modules are read back and proven, which is said before what to do next; --no-check leaves it out."""
    done = gen("terraform", cwd=notes)
    silent = gen("terraform", "--no-check", cwd=notes)

    assert "6 modules checked" in done.stdout.splitlines()[-3]
    assert "no findings" in done.stdout.splitlines()[-3]
    assert "checked" not in silent.stdout


def test_terraform_says_what_to_do_next(notes: Path) -> None:
    """The last lines are commands for this manifest and this folder; with --quiet there are none."""
    (notes / "accounts.yaml").rename(notes / "my accounts.yaml")
    done = gen("terraform", "my accounts.yaml", "--out", "modules", cwd=notes)
    quiet = gen("terraform", "my accounts.yaml", "--out", "modules", "--quiet", cwd=notes)

    assert [
        "next, to see it work without AWS: runner onboard account1 --manifest 'my accounts.yaml' --out modules --sandbox",
        "next, to hand it over: gen bundle --manifest 'my accounts.yaml' --out modules",
    ] == done.stdout.splitlines()[-2:]
    assert "" == quiet.stdout


def test_terraform_with_errors_in_the_check_writes_and_says_so(notes: Path) -> None:
    """A manifest whose access is an error is written, reported and ends with exit code 1."""
    text = (notes / "accounts.yaml").read_text()
    (notes / "accounts.yaml").write_text(text.replace("s3:ListBucket", "s3:ListBuckets"))
    done = gen("terraform", cwd=notes)
    machine = json.loads(gen("terraform", "--format", "json", cwd=notes).stdout)

    assert 1 == done.returncode
    assert "24 files written" in done.stdout
    assert "RC206" in done.stdout
    assert 3 == machine["check"]["summary"]["error"]


def test_check_has_forms_for_people_and_programs(notes: Path) -> None:
    """The same finding comes out as text, JSON, SARIF and JUnit, each with exit code 1."""
    gen("terraform", cwd=notes)
    wound(notes)
    done = {form: gen("check", "--format", form, cwd=notes) for form in ("table", "json", "sarif", "junit")}
    sarif = json.loads(done["sarif"].stdout)["runs"][0]["results"]

    assert {1} == {run.returncode for run in done.values()}
    assert "error   RC101 account1  customers/account1/main.tf:" in done["table"].stdout
    assert "RC101" in {finding["rule"] for finding in json.loads(done["json"].stdout)["findings"]}
    assert {"output/customers/account1/main.tf"} == {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in sarif
    }
    assert '<testsuite name="RC101' in done["junit"].stdout


def test_check_fails_from_the_severity_that_is_asked_for(notes: Path) -> None:
    """A warning makes exit code 1 unless only errors shall; a note makes it when asked."""
    text = (notes / "accounts.yaml").read_text()
    (notes / "accounts.yaml").write_text(re.sub('external_id: "[0-9a-f]+"', 'external_id: "short"', text, count=1))
    gen("terraform", cwd=notes)
    levels = {
        line.split()[0] for line in gen("check", cwd=notes).stdout.splitlines() if line.startswith(("err", "war", "not"))
    }

    assert {"warning"} == levels - {"note"}
    assert [1, 0, 1] == [
        gen("check", *flag, cwd=notes).returncode for flag in ([], ["--fail-on", "error"], ["--fail-on", "note"])
    ]


def test_a_suppression_hides_with_its_reason(notes: Path) -> None:
    """A suppressed finding is no reason to fail, and its reason is shown."""
    gen("terraform", cwd=notes)
    text = (notes / "accounts.yaml").read_text().replace("s3:ListBucket", "s3:ListBuckets")
    (notes / "accounts.yaml").write_text(
        text + "suppress:\n  - {rule: RC206, subject: '*', reason: to be fixed next week}\n"
    )
    done = gen("terraform", cwd=notes)

    assert 0 == done.returncode
    assert "suppressed: RC206 account1: to be fixed next week" in done.stdout


def test_check_of_a_folder_sent_back(notes: Path, tmp_path: Path) -> None:
    """--path checks the folder in the place of the written module, and an unknown path is an error of its own."""
    gen("terraform", cwd=notes)
    shutil.copytree(notes / "output/customers/account2", tmp_path / "mail")
    good = gen("check", "--path", tmp_path / "mail", cwd=notes)
    (tmp_path / "mail/x.tf").write_text("junk {")
    bad = gen("check", "--path", tmp_path / "mail", cwd=notes)
    missing = gen("check", "--path", "nowhere", cwd=notes)

    assert (0, "1 module checked") == (good.returncode, good.stdout.split(",")[0])
    assert 1 == bad.returncode
    assert f"RC903 account2  {tmp_path / 'mail/x.tf'}:1" in bad.stdout
    assert 6 == missing.returncode
    assert "hint: name a folder that holds a Terraform module" in missing.stderr


def test_prove_prints_the_matrix_and_its_forms(notes: Path) -> None:
    """The matrix of written modules, and JSON, a page and pictures of it; --planned needs nothing written."""
    planned = gen("prove", "--planned", cwd=notes)
    gen("terraform", cwd=notes)
    table = gen("prove", cwd=notes)
    forms = {form: gen("prove", "--format", form, cwd=notes).stdout for form in ("json", "html", "svg", "mermaid")}

    assert (0, 0) == (planned.returncode, table.returncode)
    assert "account1" in table.stdout
    assert "access checks passed, as written" in table.stdout
    assert json.loads(forms["json"])["ok"]
    assert forms["html"].startswith("<!doctype html>") or forms["html"].startswith("<!DOCTYPE html>")
    assert forms["svg"].lstrip().startswith("<svg")
    assert forms["mermaid"].startswith(("flowchart", "graph", "%%"))


def test_prove_of_an_open_role_carries_its_counterexample(notes: Path) -> None:
    """A failed cell ends with exit code 1 and says who gets in."""
    gen("terraform", cwd=notes)
    wound(notes)
    done = gen("prove", cwd=notes)

    assert 1 == done.returncode
    assert "can assume arn:aws:iam::222222222222:role/role1" in done.stdout


def test_prove_without_written_modules_says_what_is_missing(notes: Path) -> None:
    """Nothing written is nothing proven: each missing module is named, with the hint."""
    done = gen("prove", cwd=notes)

    assert 1 == done.returncode
    assert "customers/account1 is not written" in done.stdout
    assert "hint: run gen terraform" in done.stdout
