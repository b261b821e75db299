"""Which process this is under each launcher, and where the processes meet. The environments are what they really set."""

import pytest

from mmx.errors import RecipeError
from mmx.launch.rank import ALONE, Rank, find, rendezvous

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29400",
}
MPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_MCA_ess_base_jobid": "1675689985",
    "PMIX_NAMESPACE": "1675689985",
}
JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_NTASKS": "2", "SLURM_NPROCS": "2"}
BATCH = JOB | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_GTIDS": "0"}
STEP = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "node[1-2]"}
SRUN = JOB | STEP | {"SLURM_PROCID": "1", "SLURM_LOCALID": "0"}
SHELL = BATCH | STEP | {"SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1"}

PLACES = {
    "nothing": ({}, ALONE),
    "torchrun": (TORCHRUN, Rank(3, 4, 1, "torchrun")),
    "torchrun, one process": (TORCHRUN | {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, ALONE),
    "torchrun under srun": (SRUN | TORCHRUN, Rank(3, 4, 1, "torchrun")),
    "torchrun for one under srun": (SRUN | {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, ALONE),
    "mmx": (TORCHRUN | {"MMX_LAUNCHER": "mmx"}, Rank(3, 4, 1, "mmx")),
    "mpirun": (MPI, Rank(1, 2, 1, "Open MPI")),
    "mpirun -n 1": (
        MPI | {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"},
        ALONE,
    ),
    "mpirun in a batch script": (BATCH | MPI, Rank(1, 2, 1, "Open MPI")),
    "mpirun whose daemons srun started": (SRUN | {"SLURM_PROCID": "0"} | MPI, Rank(1, 2, 1, "Open MPI")),
    "srun": (SRUN, Rank(1, 2, 0, "Slurm")),
    "srun, and a script that exports the size": (SRUN | {"WORLD_SIZE": "2"}, Rank(1, 2, 0, "Slurm")),
    "srun -n 1": (SRUN | {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, ALONE),
    "a batch script of two tasks": (BATCH, ALONE),
    "an allocation of two tasks": (JOB, ALONE),
    "an interactive shell": (SHELL, ALONE),
    "an interactive shell in a step of two": (SHELL | {"SLURM_STEP_NUM_TASKS": "2"}, ALONE),
}


@pytest.mark.parametrize(("env", "place"), PLACES.values(), ids=PLACES)
def test_the_place(env: dict[str, str], place: Rank) -> None:
    assert find(env) == place


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (TORCHRUN | {"RANK": "one"}, "RANK is 'one'; it should be a whole number"),
        (TORCHRUN | {"RANK": "-1"}, "RANK is '-1'"),
        (TORCHRUN | {"RANK": ""}, "RANK is ''"),
        (TORCHRUN | {"RANK": "\u0663"}, "RANK is '\u0663'"),
        (TORCHRUN | {"RANK": "4"}, "RANK is 4, but WORLD_SIZE is 4: it should be 0 to 3"),
        (TORCHRUN | {"LOCAL_RANK": "4"}, "LOCAL_RANK is 4, but"),
        (TORCHRUN | {"WORLD_SIZE": "0"}, "WORLD_SIZE is 0"),
        (TORCHRUN | {"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE is '9999"),
        ({"RANK": "0"}, "RANK is set, but WORLD_SIZE is not"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is set, but RANK is not"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "LOCAL_RANK is not"),
        (MPI | {"OMPI_COMM_WORLD_SIZE": "1"}, "OMPI_COMM_WORLD_RANK is 1, but OMPI_COMM_WORLD_SIZE is 1"),
        (SRUN | {"SLURM_PROCID": "2"}, "SLURM_PROCID is 2, but SLURM_STEP_NUM_TASKS is 2"),
        (SRUN | {"SLURM_STEP_ID": "x"}, "SLURM_STEP_ID is 'x'"),
    ],
)
def test_what_cannot_be_a_place(env: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find(env)
    assert message in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("env", "address"),
    [
        (MPI, "127.0.0.1"),
        (MPI | {"MASTER_ADDR": "a"}, "a"),
        (SRUN, "node1"),
        (SRUN | {"SLURM_STEP_NODELIST": "x,node[3-5]"}, "x"),
        (SRUN | {"SLURM_STEP_NODELIST": "node[003-005,9],x"}, "node003"),
        (SRUN | {"SLURM_STEP_NODELIST": "node[9,11-12]"}, "node9"),
        (SRUN | {"SLURM_STEP_NODELIST": "rack[1-2]node[07-09].local,x"}, "rack1node07.local"),
        (SRUN | {"SLURM_STEP_NODELIST": "gpu-a1.x.org"}, "gpu-a1.x.org"),
        (JOB | {"SLURM_STEP_ID": "0"}, "node1"),
        (SRUN | {"MASTER_ADDR": "a"}, "a"),
    ],
)
def test_the_address_and_a_derived_port(env: dict[str, str], address: str) -> None:
    place = Rank(1, 2, 0, "Open MPI" if "PMIX_NAMESPACE" in env else "Slurm")
    found, port = rendezvous(place, env)
    assert found == address and 20_000 <= port < 40_000
    assert rendezvous(Rank(0, 2, 0, place.launcher), env) == (address, port)
    assert rendezvous(place, env | {"MASTER_PORT": "29500"}) == (address, 29500)


@pytest.mark.parametrize(
    ("env", "other"),
    [
        (MPI, {"PMIX_NAMESPACE": "prterun-host-17@1"}),
        (MPI | {"PMIX_NAMESPACE": ""}, {"OMPI_MCA_ess_base_jobid": "1675689986"}),
        (SRUN, {"SLURM_JOB_ID": "8"}),
        (SRUN, {"SLURM_STEP_ID": "1"}),
    ],
)
def test_two_jobs_have_two_ports(env: dict[str, str], other: dict[str, str]) -> None:
    assert rendezvous(find(env), env)[1] != rendezvous(find(env), env | other)[1]


@pytest.mark.parametrize("env", [TORCHRUN, TORCHRUN | {"MMX_LAUNCHER": "mmx"}, SRUN | TORCHRUN])
def test_a_launcher_that_says_where_to_meet(env: dict[str, str]) -> None:
    assert rendezvous(find(env), env) == ("10.0.0.1", 29400)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, "mpirun -x MASTER_ADDR=<first host> -x MASTER_PORT=29500"),
        (MPI | {"PMIX_NAMESPACE": "", "OMPI_MCA_ess_base_jobid": ""}, "neither is OMPI_MCA_ess_base_jobid"),
        (MPI | {"MASTER_PORT": "0"}, "MASTER_PORT is 0"),
        (MPI | {"MASTER_PORT": "65536"}, "MASTER_PORT is 65536"),
        (MPI | {"MASTER_PORT": "http"}, "MASTER_PORT is 'http'"),
        (TORCHRUN | {"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
        (TORCHRUN | {"MASTER_PORT": ""}, "MASTER_PORT is not set; set it"),
        (SRUN | {"SLURM_JOB_ID": ""}, "neither is SLURM_JOB_ID"),
        (SRUN | {"SLURM_STEP_NODELIST": "", "SLURM_JOB_NODELIST": ""}, "SLURM_JOB_NODELIST is ''"),
        (SRUN | {"SLURM_STEP_NODELIST": "node[1-2"}, "SLURM_STEP_NODELIST is 'node[1-2'"),
        (SRUN | {"SLURM_STEP_NODELIST": "node[a]"}, "SLURM_STEP_NODELIST is 'node[a]'"),
    ],
)
def test_where_to_meet_cannot_be_told(env: dict[str, str], message: str) -> None:
    place = find(env)
    with pytest.raises(RecipeError) as caught:
        rendezvous(place, env)
    assert message in str(caught.value)
