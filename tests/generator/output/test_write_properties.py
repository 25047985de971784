"""For any sequence of runs and manual edits, foreign files are kept and modules equal the last plan."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from output_trees import KilledError, dies_at, tree, wanted, write

paths = st.sampled_from(["backend", "customers/a", "customers/b", "switch-roles/x/trusted", "switch-roles/x/trusting"])
files = st.dictionaries(
    st.sampled_from(["main.tf", "README.md", "outputs.tf"]), st.sampled_from(["", "1", "2", "ä"]), min_size=1
)
plans = st.dictionaries(paths, files)


class OutputFolder(RuleBasedStateMachine):
    """An output folder that is changed by runs and manual edits in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.out = Path(tempfile.mkdtemp())
        self.foreign: dict[str, bytes] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.out)

    @rule(plan=plans)
    def run(self, plan: dict[str, dict[str, str]]) -> None:
        write(self.out, plan)
        assert {**wanted(plan), **self.foreign} == tree(self.out)
        assert write(self.out, plan).wrote_nothing

    @rule(plan=plans, step=st.integers(0, 25))
    def killed_run(self, plan: dict[str, dict[str, str]], step: int) -> None:
        with suppress(KilledError):
            write(self.out, plan, disk=dies_at(step))

    @rule(plan=plans, only=st.sets(paths))
    def partial_run(self, plan: dict[str, dict[str, str]], only: set[str]) -> None:
        write(self.out, plan, only=only, prune=False)
        chosen = {path: files for path, files in plan.items() if path in only}
        assert {**tree(self.out), **wanted(chosen)} == tree(self.out)

    @rule(path=paths, name=st.sampled_from(["terraform.tfstate", "x_override.tf"]), content=st.binary(max_size=3))
    def somebody_adds_a_file(self, path: str, name: str, content: bytes) -> None:
        (self.out / path).mkdir(parents=True, exist_ok=True)
        (self.out / path / name).write_bytes(content)
        self.foreign[f"{path}/{name}"] = content

    @rule(data=st.data())
    def somebody_deletes_a_file(self, data: st.DataObject) -> None:
        if found := sorted(set(tree(self.out)) - set(self.foreign)):
            (self.out / data.draw(st.sampled_from(found))).unlink()

    @invariant()
    def foreign_files_are_untouched(self) -> None:
        found = tree(self.out)
        assert self.foreign == {name: found.get(name) for name in self.foreign}


OutputFolder.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestOutputFolder = OutputFolder.TestCase
