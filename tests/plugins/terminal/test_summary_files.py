"""The commands after a run that was made with a plugin file name its copy."""

import shlex
from dataclasses import replace

from mmx.parts.events import Run
from mmx_terminal.summary import next_commands


def test_the_next_commands_can_be_typed_as_they_are(run: Run) -> None:
    made = replace(run, plugin_files=("my_loss.py",), recipe={"evaluators": {"a": {}}})
    evaluate, again = next_commands(made, finished=True, report=False)
    for command, verb in ((evaluate, "eval"), (again, "run")):
        words = shlex.split(command)
        assert words[:2] == ["mmx", verb]
        assert words[words.index("--plugin") + 1].endswith("/plugins/my_loss.py")
