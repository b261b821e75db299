"""All that ``mmx doctor`` looks at."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from functools import partial

from mmx.plugin.admission import cause
from mmx.plugin.manager import Plugins
from mmx_doctor import installed, machine
from mmx_doctor.finding import Check, Finding
from mmx_doctor.torch_build import torch_build


def examine() -> list[Finding]:
    """Look at everything. What cannot be told on this system is a note; nothing is raised."""
    plugins = Plugins(say=lambda text: None)
    checks: Sequence[tuple[str, str, Check]] = (
        ("mmx", "installation", installed.installation),
        ("machine", "CPUs", machine.cpus),
        ("machine", "memory", machine.memory),
        ("machine", "disk", machine.disk),
        ("machine", "file locks", machine.locks),
        ("machine", "shared memory", machine.shared),
        ("machine", "open files", machine.files),
        ("torch", "torch", torch_build),
        ("launcher", "this process", installed.launched),
        ("launcher", "programs", installed.programs),
        ("engines", "engines", partial(installed.engines, plugins)),
        ("optional packages", "packages", installed.optional),
        ("plugins", "installed", partial(installed.loadable, plugins)),
    )
    found: list[Finding] = []
    # What a plugin prints must not end up in the middle of --json.
    with contextlib.redirect_stdout(sys.stderr):
        for section, name, check in checks:
            try:
                for finding in check():
                    found.append(finding)
            except (Exception, SystemExit) as error:
                found.append(Finding(section, name, f"cannot be told here: {cause(error)}", "note"))
    return found
