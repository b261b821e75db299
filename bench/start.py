"""CPU time of a command that answers at once, such as ``mmx --help``: the least of ten starts, with its children.

    python bench/start.py mmx --help

CPU time, since what else the machine does would be measured otherwise.
"""

from __future__ import annotations

import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage

STARTS = 10


def spent() -> float:
    """Return the seconds that children of this process have computed."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Start it and print the least."""
    times: list[float] = []
    for _ in range(STARTS):
        before = spent()
        subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
        times.append(spent() - before)
    print(f"{min(times):.3f} s of CPU, at most {max(times):.3f} s, of {STARTS} starts of: {' '.join(sys.argv[1:])}")


if __name__ == "__main__":
    main()
