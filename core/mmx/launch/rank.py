"""Which process of which job this is, and where the processes of the job meet. Never imports torch."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mmx.errors import RecipeError

LAUNCHER: Final = "MMX_LAUNCHER"
"""The variable by which processes that mmx started differ from those of torchrun."""
LATER: Final = 2.0
"""Seconds that other processes than the first of a job wait before they tell an error: the first may have the same one."""
_VARIABLES: Final = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # the first, as torchrun may itself run under one of the others
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "Slurm": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}
_SPECIAL_STEPS: Final = 0xFFFF_FFF0
"""Slurm gives steps from here on to batch scripts and interactive shells: one process, however many tasks follow."""
_PORTS: Final = range(20_000, 32_768)
"""Below the ports that Linux gives to outgoing connections, so that none of them takes the one that was derived."""
_FIRST_HOST: Final = re.compile(r"((?:[^,\[\]\s]|\[[^\[\]]*\])+)(?:,|$)")
_FIRST_NUMBER: Final = re.compile(r"\[(\d+)[\d,-]*\]")


@dataclass(frozen=True)
class Rank:
    """One process among those of a job."""

    rank: int
    size: int
    local_rank: int
    """Its number among those on the same machine."""
    launcher: str
    """Who started them: "torchrun", "Open MPI", "Slurm" or "mmx"; empty if nobody started several."""


ALONE: Final = Rank(0, 1, 0, "")


def find(env: Mapping[str, str]) -> Rank:
    """Return the place that a launcher gave to the process with these environment variables.

    Raises:
        RecipeError: the variables are malformed or contradict each other; the message names one.
    """
    for launcher, (rank, size, local_rank) in _VARIABLES.items():
        if rank in env and size in env and (launcher != "Slurm" or _is_step(env)):
            return _place(env, launcher, rank, size, local_rank)
    for name, other in (("RANK", "WORLD_SIZE"), ("WORLD_SIZE", "RANK")):
        if name in env and other not in env:
            raise RecipeError(f"{name} is set, but {other} is not; start the processes with torchrun, or unset {name}")
    return ALONE


def rendezvous(place: Rank, env: Mapping[str, str]) -> tuple[str, int]:
    """Return the address and the port where the processes of a job meet: the same in each of them.

    Raises:
        RecipeError: they cannot be told, or are malformed; the message says how to give them.
    """
    address = env.get("MASTER_ADDR") or _address(place, env)
    if not env.get("MASTER_PORT"):
        return address, _port(place, env)
    port = _number(env, "MASTER_PORT")
    if not 0 < port < 65_536:
        raise RecipeError(f"MASTER_PORT is {port}; a port is a number from 1 to 65535")
    return address, port


def _place(env: Mapping[str, str], launcher: str, rank: str, size: str, local_rank: str) -> Rank:
    if local_rank not in env:
        raise RecipeError(f"{rank} and {size} are set, but {local_rank} is not; set it to the number on the machine")
    count = _number(env, size)
    if count == 0:
        raise RecipeError(f"{size} is 0; it should be the number of processes")
    for name in (rank, local_rank):
        if _number(env, name) >= count:
            raise RecipeError(f"{name} is {env[name]}, but {size} is {count}: it should be 0 to {count - 1}")
    if count == 1:
        return ALONE
    ours = launcher == "torchrun" and env.get(LAUNCHER) == "mmx"
    return Rank(_number(env, rank), count, _number(env, local_rank), "mmx" if ours else launcher)


def _is_step(env: Mapping[str, str]) -> bool:
    # A batch script has SLURM_PROCID and SLURM_NTASKS too, but no step.
    return "SLURM_STEP_ID" in env and _number(env, "SLURM_STEP_ID") < _SPECIAL_STEPS


def _number(env: Mapping[str, str], name: str) -> int:
    text = env[name].strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise RecipeError(f"{name} is {text[:100]!r}; it should be a whole number, or not be set")
    return int(text)


def _address(place: Rank, env: Mapping[str, str]) -> str:
    if place.launcher == "Slurm":
        return _first_host(env)
    if place.launcher != "Open MPI":
        raise RecipeError("MASTER_ADDR is not set; torchrun sets it to the address of the first process")
    if env.get("OMPI_COMM_WORLD_LOCAL_SIZE") != env.get("OMPI_COMM_WORLD_SIZE"):
        raise RecipeError(
            "MASTER_ADDR is not set, and Open MPI does not say which machine is the first of several; "
            "start with mpirun -x MASTER_ADDR=<first host> -x MASTER_PORT=29500"
        )
    return "127.0.0.1"


def _first_host(env: Mapping[str, str]) -> str:
    name = "SLURM_STEP_NODELIST" if env.get("SLURM_STEP_NODELIST") else "SLURM_JOB_NODELIST"
    found = _FIRST_HOST.match(env.get(name, ""))
    host = _FIRST_NUMBER.sub(r"\1", found[1]) if found else ""
    if not host or "[" in host:
        raise RecipeError(
            f"{name} is {env.get(name, '')[:100]!r}, which names no first machine; "
            "set MASTER_ADDR to the machine of process 0"
        )
    return host


def _port(place: Rank, env: Mapping[str, str]) -> int:
    """Derive a port from what the processes of one job share, and two jobs on one machine do not."""
    shared = {
        "Open MPI": ("PMIX_NAMESPACE",) if env.get("PMIX_NAMESPACE") else ("OMPI_MCA_ess_base_jobid",),
        "Slurm": ("SLURM_JOB_ID", "SLURM_STEP_ID"),
    }
    for name in shared.get(place.launcher, ("MASTER_PORT",)):
        if not env.get(name):
            also = "" if name == "MASTER_PORT" else f", and neither is {name}, from which it would be derived"
            raise RecipeError(f"MASTER_PORT is not set{also}; set it to a free port, the same in all processes")
    key = " ".join(env[name] for name in shared[place.launcher])
    return _PORTS[zlib.crc32(key.encode("utf-8", "replace")) % len(_PORTS)]
