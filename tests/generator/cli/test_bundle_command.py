"""`gen bundle` and `gen bundle-check` on the command line."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

import command_rig
from bundle_worlds import world
from command_rig import GEN, Ended, process


def gen(*arguments: str | Path, cwd: Path) -> Ended:
    """Run `gen` in a folder, with no program on PATH."""
    return command_rig.gen(*arguments, cwd=cwd, environ={"PATH": str(cwd)})


def test_bundles_are_written_and_checked(tmp_path: Path) -> None:
    world(tmp_path, 2)
    first, second = gen("bundle", cwd=tmp_path), gen("bundle", cwd=tmp_path)
    checked = gen("bundle-check", "output/bundles/customer0", "output/bundles/customer1.zip", cwd=tmp_path)

    assert (0, 0, 0) == (first.code, second.code, checked.code)
    assert "bundles: 2 created" in first.out
    assert "next: hand over output/bundles/customer0.zip" in first.out
    assert "runner onboard customer0" in first.out
    assert "Nothing to write: 2 bundles are up to date." in second.out
    assert 2 == checked.out.count("files match SHA256SUMS; not signed")


def test_pdf_is_written_only_on_request(tmp_path: Path) -> None:
    world(tmp_path, 1)
    bundle = tmp_path / "output" / "bundles" / "customer0"
    for options, expected in (((), []), (("--pdf",), ["review/review.pdf"]), ((), [])):
        done = gen("bundle", *options, cwd=tmp_path)
        checked = gen("bundle-check", bundle, f"{bundle}.zip", cwd=tmp_path)

        assert (0, 0) == (done.code, checked.code), done.err + checked.out
        assert expected == [path.relative_to(bundle).as_posix() for path in bundle.rglob("*.pdf")]
        assert expected == [line[66:] for line in (bundle / "SHA256SUMS").read_text().splitlines() if line.endswith(".pdf")]


@pytest.mark.parametrize("options", [[], ["--pdf"]], ids=["plain", "pdf"])
def test_reportlab_is_needed_only_for_a_pdf(options: list[str], tmp_path: Path) -> None:
    world(tmp_path, 1)
    done = process(GEN, "bundle", *options, cwd=tmp_path, before="import sys; sys.modules['reportlab'] = None")

    assert (7 if options else 0) == done.returncode, done.stderr
    assert bool(options) == (b" pip install '.[pdf]'" in done.stderr)
    assert bool(options) != (tmp_path / "output").exists()
    assert b"Traceback" not in done.stderr


def test_next_step_has_manifest_and_output_folder(tmp_path: Path) -> None:
    """The command can be copied; without these options it would use another manifest."""
    world(tmp_path, 1)
    (tmp_path / "accounts.yaml").rename(tmp_path / "my fleet.yaml")
    done = gen("bundle", "--manifest", "my fleet.yaml", "--out", "there", cwd=tmp_path)

    assert "run: runner onboard customer0 --manifest 'my fleet.yaml' --out there\n" in done.out


def test_changed_file_is_listed_with_exit_code_1(tmp_path: Path) -> None:
    world(tmp_path, 1)
    gen("bundle", "--quiet", cwd=tmp_path)
    (tmp_path / "output" / "bundles" / "customer0" / "terraform" / "main.tf").write_text("changed")
    told = gen("bundle-check", "output/bundles/customer0", cwd=tmp_path)
    as_json = gen("bundle-check", "output/bundles/customer0", "--format", "json", cwd=tmp_path)

    assert (1, 1) == (told.code, as_json.code)
    assert "output/bundles/customer0: terraform/main.tf: was changed" in told.out
    (bundle,) = json.loads(as_json.out)
    assert (False, ["terraform/main.tf"]) == (bundle["ok"], [problem["file"] for problem in bundle["problems"]])


def test_foreign_file_ends_with_output_error(tmp_path: Path) -> None:
    world(tmp_path, 2)
    (tmp_path / "output" / "bundles").mkdir(parents=True)
    (tmp_path / "output" / "bundles" / "customer1.zip").write_text("mine")
    done = gen("bundle", "--format", "json", cwd=tmp_path)

    assert 5 == done.code
    assert (
        "error: output/bundles/customer1: refusing to overwrite files not created by rolecall: ../customer1.zip" in done.err
    )
    assert "hint: move it out of the folder of bundles, then run again" in done.err
    body = json.loads(done.out)
    assert (["customer0"], ["customer1"]) == (body["bundles"]["created"], list(body["failed"]))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["bundle", "nobody"], 2, "there is no customer or switch role named nobody"),
        (["bundle", "--key", "k"], 2, "--key is only valid for minisign"),
        (["bundle", "--template-url-base", "http://x"], 2, "only from https URLs"),
        (["bundle", "--sign", "minisign"], 7, "minisign is not on PATH"),
        (["bundle", "--manifest", "none.yaml"], 3, "none.yaml"),
        (["bundle-check", "nothing.zip"], 5, "bundle not found"),
    ],
)
def test_invalid_arguments_are_errors_with_hint(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    world(tmp_path, 1)
    done = gen(*arguments, cwd=tmp_path)

    assert code == done.code
    assert said in done.err
    assert "hint: " in done.err
    assert not (tmp_path / "output").exists()


def test_unsafe_bundle_ends_with_findings(tmp_path: Path) -> None:
    world(tmp_path, 2)
    manifest = json.loads((tmp_path / "accounts.yaml").read_text())
    del manifest["customers"][0]["external_id"]
    (tmp_path / "accounts.yaml").write_text(json.dumps(manifest))
    told, alone = gen("bundle", cwd=tmp_path), gen("bundle", "customer0", "--quiet", cwd=tmp_path)
    as_json = gen("bundle", "--format", "json", cwd=tmp_path)

    assert (1, 1, 1) == (told.code, alone.code, as_json.code)
    assert "created, not safe to hand over" in told.out
    assert "next: hand over output/bundles/customer1.zip" in told.out
    assert "" == alone.out
    for done in (told, alone, as_json):
        assert "error: output/bundles/customer0: not safe to hand over" in done.err
        assert "RC103: the trust policy of role/" in done.err
        assert "RC103" in done.err
    assert {"customer0": ["RC103"]} == {
        path: [each["rule"] for each in found] for path, found in json.loads(as_json.out)["unsafe"].items()
    }


def test_next_step_without_safe_bundle_is_to_fix_the_errors(tmp_path: Path) -> None:
    world(tmp_path, 1)
    manifest = json.loads((tmp_path / "accounts.yaml").read_text())
    del manifest["customers"][0]["external_id"]
    (tmp_path / "accounts.yaml").write_text(json.dumps(manifest))

    assert "next: fix the errors, then run gen bundle again" in gen("bundle", cwd=tmp_path).out


def test_unreadable_bundle_does_not_stop_check_of_others(tmp_path: Path) -> None:
    world(tmp_path, 1)
    gen("bundle", "--quiet", cwd=tmp_path)
    (tmp_path / "half.zip").write_bytes((tmp_path / "output" / "bundles" / "customer0.zip").read_bytes()[:999])
    paths = ["half.zip", "output/bundles/customer0.zip", "nothing.zip"]
    told, as_json = gen("bundle-check", *paths, cwd=tmp_path), gen("bundle-check", *paths, "--format", "json", cwd=tmp_path)

    assert (5, 5) == (told.code, as_json.code)
    assert "customer0.zip: 16 files match SHA256SUMS" in told.out
    assert "half.zip: is not a readable zip file" in told.err
    assert "nothing.zip: bundle not found" in told.err
    assert ["output/bundles/customer0.zip"] == [each["bundle"] for each in json.loads(as_json.out)]


def test_control_characters_in_zip_name_are_escaped(tmp_path: Path) -> None:
    world(tmp_path, 1)
    gen("bundle", "--quiet", cwd=tmp_path)
    hostile = tmp_path / "output" / "bundles" / "customer0.zip"
    with zipfile.ZipFile(hostile, "a") as archive:
        archive.writestr("customer0/\x1b[2Jgone", b"")
    done = gen("bundle-check", hostile, cwd=tmp_path)

    assert 1 == done.code
    assert "\x1b" not in done.out
    assert "[2Jgone: " in done.out


def test_manifest_without_customers_has_no_bundles(tmp_path: Path) -> None:
    world(tmp_path, 0)
    done = gen("bundle", cwd=tmp_path)

    assert (0, "No bundles: the manifest has neither customers nor switch roles.") == (
        done.code,
        done.out.strip(),
    )
