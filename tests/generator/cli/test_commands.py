"""`gen init`, `schema`, `terraform`, `check`, `prove`, `diff`: exit codes, output, what is written and what is rejected."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from command_rig import GEN, Ended, gen, process, runner
from output_trees import contents, tree

LIMITED = (
    "import resource, signal\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"  # without the signal, the write fails as on a full disk
    "resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))"
)


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / "accounts.yaml").read_text()
    assert old in text
    (folder / "accounts.yaml").write_text(text.replace(old, new))


def trust_everyone(folder: Path) -> None:
    path = folder / "output/customers/account1/main.tf"
    path.write_text(path.read_text().replace('"arn:aws:iam::111111111111:role/backend_role"', '"*"', 1))


def refused(done: Ended, code: int) -> None:
    """The command has this exit code, prints a hint, and raises no exception."""
    assert code == done.code
    assert "hint: " in done.err
    assert "Traceback" not in done.err


def test_second_run_of_terraform_writes_nothing(notes: Path) -> None:
    first = gen("terraform", cwd=notes)
    before = contents(notes)
    second = gen("terraform", cwd=notes)

    assert (0, 0) == (first.code, second.code)
    assert "24 files written" in first.out
    assert "Nothing to write" in second.out
    assert before == contents(notes)


def test_terraform_prints_one_json_object(notes: Path) -> None:
    done = json.loads(gen("terraform", "--format", "json", cwd=notes).out)

    assert 24 == done["files_written"]
    assert "customers/account1" in done["modules"]["created"]


def test_quiet_prints_nothing(notes: Path) -> None:
    assert Ended(0, "", "") == gen("terraform", "--quiet", cwd=notes)


def test_only_writes_the_named_customer(notes: Path) -> None:
    gen("terraform", "--only", "account2", cwd=notes)

    assert {"customers/account2"} == {name.rpartition("/")[0] for name in tree(notes / "output") if name.endswith(".tf")}


def test_unknown_name_is_usage_error_with_nearest_name(notes: Path) -> None:
    done = gen("terraform", "--only", "acount2", cwd=notes)

    assert 2 == done.code
    assert "did you mean account2?" in done.err


def test_removed_customer_is_pruned_and_foreign_files_are_kept(generated: Path) -> None:
    """With --no-prune all files are kept."""
    state = generated / "output" / "customers" / "account3" / "terraform.tfstate"
    state.write_text("mine")
    lines = (generated / "accounts.yaml").read_text().splitlines(keepends=True)
    (generated / "accounts.yaml").write_text("".join(line for line in lines if "account3" not in line))

    gen("terraform", "--no-prune", cwd=generated)
    assert (state.parent / "main.tf").exists()
    gen("terraform", cwd=generated)

    assert ["terraform.tfstate"] == [path.name for path in state.parent.iterdir()]


def test_foreign_file_is_never_overwritten(notes: Path) -> None:
    foreign = notes / "output" / "customers" / "account1" / "main.tf"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")

    done = gen("terraform", cwd=notes)

    assert 5 == done.code
    assert "account1/main.tf" in done.err
    assert {"customers/account1/main.tf": b"mine"} == contents(notes / "output")


def test_starter_manifest_is_valid_and_not_overwritten(tmp_path: Path) -> None:
    assert [0, 0, 5] == [gen(command, cwd=tmp_path).code for command in ("init", "terraform", "init")]


def test_schema_prints_json_schema(tmp_path: Path) -> None:
    assert "customers" in json.loads(gen("schema", cwd=tmp_path).out)["properties"]


def test_diff_shows_changes_of_access(generated: Path) -> None:
    edit(generated, ', external_id: "c29d7e4183fa4b60b5d87a6e1f20c3d4"', "")
    other = 'external_id: "6b1e0a9f3c7d4e52a8f4d1c2b3a49586"'
    edit(generated, other, f"{other}, permissions: [ec2-read]")

    done = gen("diff", cwd=generated)

    assert 1 == done.code
    assert "c29d7e4183fa4b60b5d87a6e1f20c3d4" in done.out
    assert "AmazonEC2ReadOnlyAccess" in done.out


def test_diff_shows_a_deleted_folder_as_new(generated: Path) -> None:
    shutil.rmtree(generated / "output" / "customers" / "account1")

    done = gen("diff", cwd=generated)

    assert 1 == done.code
    assert "account1/role1 is new" in done.out


def test_diff_without_difference_has_exit_code_0(generated: Path) -> None:
    done = gen("diff", cwd=generated)

    assert 0 == done.code
    assert "No difference" in done.out


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
def test_invalid_manifest_is_error_with_hint_and_changes_nothing(generated: Path, kind: str) -> None:
    before = contents(generated / "output")
    BAD_MANIFESTS[kind](generated / "accounts.yaml")

    done = gen("terraform", cwd=generated)

    refused(done, 3)
    assert "accounts.yaml" in done.err
    assert before == contents(generated / "output")


def test_full_disk_keeps_written_files(generated: Path) -> None:
    before = tree(generated / "output")
    edit(generated, "{managed-by: rolecall}", "{managed-by: another}")

    done = process(GEN, "terraform", cwd=generated, before=LIMITED)

    refused(Ended(done.returncode, "", done.stderr.decode()), 5)
    assert before == {name: body for name, body in tree(generated / "output").items() if not name.startswith(".")}


@pytest.mark.parametrize("out", ["taken", "taken/output"])
def test_output_path_that_is_a_file_is_output_error(notes: Path, out: str) -> None:
    """--out is a file or below a file."""
    (notes / "taken").write_text("mine")

    refused(gen("terraform", "--out", out, cwd=notes), 5)
    assert b"mine" == (notes / "taken").read_bytes()


@pytest.mark.parametrize("arguments", [["terraform", "--format", "xml"], ["nonsense"], ["terraform", "--nonsense"]])
def test_wrong_command_line_is_usage_error(notes: Path, arguments: list[str]) -> None:
    assert 2 == gen(*arguments, cwd=notes).code


def test_terraform_checks_the_written_modules(notes: Path) -> None:
    done = gen("terraform", cwd=notes)
    unchecked = gen("terraform", "--no-check", cwd=notes)

    assert "6 modules checked" in done.out.splitlines()[-3]
    assert "no findings" in done.out.splitlines()[-3]
    assert "checked" not in unchecked.out


def test_next_steps_name_the_manifest_and_the_folder(notes: Path) -> None:
    (notes / "accounts.yaml").rename(notes / "my accounts.yaml")
    done = gen("terraform", "my accounts.yaml", "--out", "modules", cwd=notes)
    quiet = gen("terraform", "my accounts.yaml", "--out", "modules", "--quiet", cwd=notes)

    assert [
        "next, to see it work without AWS: runner onboard account1 --manifest 'my accounts.yaml' --out modules --sandbox",
        "next, to hand it over: gen bundle --manifest 'my accounts.yaml' --out modules",
    ] == done.out.splitlines()[-2:]
    assert "" == quiet.out


def test_terraform_writes_modules_with_errors_and_ends_with_findings(notes: Path) -> None:
    edit(notes, "s3:ListBucket", "s3:ListBuckets")
    done = gen("terraform", cwd=notes)
    machine = json.loads(gen("terraform", "--format", "json", cwd=notes).out)

    assert 1 == done.code
    assert "24 files written" in done.out
    assert "RC206" in done.out
    assert 3 == machine["check"]["summary"]["error"]


def test_check_has_the_same_finding_in_every_format(generated: Path) -> None:
    trust_everyone(generated)
    done = {form: gen("check", "--format", form, cwd=generated) for form in ("table", "json", "sarif", "junit")}
    sarif = json.loads(done["sarif"].out)["runs"][0]["results"]

    assert {1} == {run.code for run in done.values()}
    assert "error   RC101 account1  customers/account1/main.tf:" in done["table"].out
    assert "RC101" in {finding["rule"] for finding in json.loads(done["json"].out)["findings"]}
    assert {"output/customers/account1/main.tf"} == {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in sarif
    }
    assert '<testsuite name="RC101' in done["junit"].out


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--fail-on", "error"], 0), (["--fail-on", "note"], 1)])
def test_fail_on_sets_the_severity_that_fails_check(notes: Path, options: list[str], code: int) -> None:
    """The manifest causes warnings and no errors."""
    text = (notes / "accounts.yaml").read_text()
    (notes / "accounts.yaml").write_text(re.sub('external_id: "[0-9a-f]+"', 'external_id: "short"', text, count=1))
    gen("terraform", "--no-check", cwd=notes)
    done = gen("check", *options, cwd=notes)
    levels = {line.split()[0] for line in done.out.splitlines() if line.startswith(("err", "war", "not"))}

    assert {"warning"} == levels - {"note"}
    assert code == done.code


def test_suppressed_finding_is_shown_with_its_reason(notes: Path) -> None:
    edit(notes, "s3:ListBucket", "s3:ListBuckets")
    with (notes / "accounts.yaml").open("a") as manifest:
        manifest.write("suppress:\n  - {rule: RC206, subject: '*', reason: to be fixed next week}\n")
    done = gen("terraform", cwd=notes)

    assert 0 == done.code
    assert "suppressed: RC206 account1: to be fixed next week" in done.out


def test_check_of_returned_folder(generated: Path) -> None:
    mail = generated / "mail"
    shutil.copytree(generated / "output/customers/account2", mail)
    good = gen("check", "--path", mail, cwd=generated)
    (mail / "x.tf").write_text("junk {")
    bad = gen("check", "--path", mail, cwd=generated)

    assert (0, "1 module checked") == (good.code, good.out.split(",")[0])
    assert 1 == bad.code
    assert f"RC903 account2  {mail / 'x.tf'}:1" in bad.out
    refused(gen("check", "--path", "nowhere", cwd=generated), 6)


@pytest.mark.parametrize("folder", ["nowhere", "accounts.yaml", "nowhere=x", "broken"])
def test_returned_folder_of_a_customer_must_exist(generated: Path, folder: str) -> None:
    """A wrong path is not a finding about the customer's module."""
    (generated / "broken").symlink_to("nowhere")

    refused(gen("check", "--path", f"account1={folder}", cwd=generated), 6)


def test_prove_prints_the_matrix_in_every_format(generated: Path) -> None:
    table = gen("prove", cwd=generated)
    forms = {form: gen("prove", "--format", form, cwd=generated).out for form in ("json", "html", "svg", "mermaid")}

    assert 0 == table.code
    assert "account1" in table.out
    assert "access checks of the written modules passed" in table.out
    assert json.loads(forms["json"])["ok"]
    assert forms["html"].lower().startswith("<!doctype html>")
    assert forms["svg"].lstrip().startswith("<svg")
    assert forms["mermaid"].startswith(("flowchart", "graph", "%%"))


def test_prove_of_open_role_has_counterexample(generated: Path) -> None:
    trust_everyone(generated)
    done = gen("prove", cwd=generated)

    assert 1 == done.code
    assert "can assume arn:aws:iam::222222222222:role/role1" in done.out


def test_prove_adds_certificates_to_json(generated: Path) -> None:
    plain, certified = (
        json.loads(gen("prove", "--format", "json", *options, cwd=generated).out)["roles"]
        for options in ([], ["--certificates"])
    )

    assert not any("certificate" in role for role in plain)
    assert [role["role"] for role in plain] == [role["certificate"]["role"] for role in certified]
    assert 2 == gen("prove", "--certificates", cwd=generated).code


def test_prove_requires_written_modules_unless_planned(notes: Path) -> None:
    done = gen("prove", cwd=notes)

    assert 1 == done.code
    assert "customers/account1 is not written" in done.out
    assert "hint: run gen terraform" in done.out
    assert 0 == gen("prove", "--planned", cwd=notes).code


@pytest.mark.parametrize("command", ["terraform", "check", "prove", "diff"])
def test_empty_output_folder_is_usage_error(notes: Path, command: str) -> None:
    """An empty shell variable never means the current folder, neither for writing nor for reading."""
    done = gen(command, "--out", "", cwd=notes)

    assert 2 == done.code
    assert "--out: the folder name is empty" in done.err
    assert ["accounts.yaml"] == list(contents(notes))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "names no folder"),
        ("account1=", "names no folder"),
        ("=", "names no folder"),
        ("nobody=.", "there is no customer or switch role named nobody"),
    ],
)
def test_returned_folder_requires_name_and_path(notes: Path, given: str, message: str) -> None:
    """An empty path never means the current folder; the error names the option."""
    done = gen("check", "--path", given, cwd=notes)

    assert 2 == done.code
    assert "error: --path: " in done.err
    assert message in done.err


@pytest.mark.parametrize(
    ("option", "text"),
    [("--prefix", "a]"), ("--prefix", "a b"), ("--prefix", "a\n"), ("--source-profile", "me\nrole_arn = x")],
)
def test_option_cannot_inject_profile_lines(notes: Path, option: str, text: str) -> None:
    done = gen("profiles", option, text, cwd=notes)

    assert (2, "") == (done.code, done.out)
    assert f"error: {option}: " in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_manifest_without_read_permission_is_manifest_error(notes: Path) -> None:
    (notes / "accounts.yaml").chmod(0)
    done = gen("terraform", cwd=notes)

    assert 3 == done.code
    assert "permission denied\n  hint: " in done.err


@pytest.mark.parametrize("program", [gen, runner])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_short_and_long_help_are_the_same(tmp_path: Path, program: Callable[..., Ended], flag: str) -> None:
    """In groups and commands; flags have no type."""
    for words in ((), ("customer",) if program is gen else ("sandbox",), ("check",) if program is gen else ("query",)):
        done = program(*words, flag, cwd=tmp_path)

        assert (0, False) == (done.code, "<bool>" in done.out)


@pytest.mark.parametrize("flag", ["-m", "--manifest"])
@pytest.mark.parametrize("command", [("terraform",), ("diff",), ("check",), ("prove", "--planned"), ("bundle",)])
def test_every_command_accepts_the_manifest_as_an_option(notes: Path, command: tuple[str, ...], flag: str) -> None:
    """Also those that take it as an argument."""
    (notes / "accounts.yaml").rename(notes / "other.yaml")
    gen("terraform", "other.yaml", cwd=notes)
    done = gen(*command, flag, "other.yaml", cwd=notes)

    assert 0 == done.code, done.err
    assert 3 == gen(*command, flag, "missing.yaml", cwd=notes).code
