"""The rehearsal: a manifest's modules applied in the sandbox, compared with what was intended, and destroyed again."""

from rolecall_runner.rehearse.report import AccountRehearsal, How, ModuleRehearsal, Outcome, Rehearsal, rehearsal_json
from rolecall_runner.rehearse.run import Selection, Tool, rehearse
from rolecall_runner.rehearse.stages import Applied, Progress, Stage

__all__ = [
    "AccountRehearsal",
    "Applied",
    "How",
    "ModuleRehearsal",
    "Outcome",
    "Progress",
    "Rehearsal",
    "Selection",
    "Stage",
    "Tool",
    "rehearsal_json",
    "rehearse",
]
