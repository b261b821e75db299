"""Parameter groups: which of what is trained has which rate and weight decay."""

import difflib
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, cast

from torch import nn

from mmx.config import GroupTable, OptimizerConfig
from mmx.errors import RecipeError

TOWERS: Final = ("image_encoder", "text_encoder")
_REST: Final = GroupTable(match="*")


def parameter_groups(module: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Return the trainable parameters of an objective in groups for torch's optimizers.

    Parameters of fewer than 2 axes (gains, biases, temperatures) do not decay. Each group has ``params``, ``lr``,
    ``weight_decay``, and for :func:`mmx.learn.optim.set_rate` ``scale``, its rate relative to ``optim.lr``.

    Raises:
        RecipeError: a group of the recipe matches nothing that is trained, or decays by layer what has no layers.
    """
    # All names of each, since tied weights have several.
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name.removeprefix("model."))
    trained = {parameter: known for parameter, known in names.items() if parameter.requires_grad}
    owners = {parameter: _owner(known, config.groups) for parameter, known in trained.items()}
    for group in config.groups:
        _refuse_unused(group, config.groups, set(owners.values()), names)
    places = _places(module)
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for decays in (True, False):
        for parameter in (one for one in trained if (one.ndim >= 2) == decays):
            owner = owners[parameter]
            table = config.groups[owner] if owner else _REST
            scale = (table.lr or config.lr) / config.lr
            if table.layer_decay is not None:
                if parameter not in places:
                    raise RecipeError(
                        f"optim.groups.{owner}.layer_decay: {trained[parameter][0]} is in no block of a tower; match "
                        f"parameters of one alone, such as {TOWERS[0]}.*"
                    )
                scale *= table.layer_decay ** places[parameter]
            decay = config.weight_decay if table.weight_decay is None else table.weight_decay
            found.setdefault((scale, decay if decays else 0.0), []).append(parameter)
    return [
        {"params": members, "lr": config.lr * scale, "weight_decay": decay, "scale": scale, "rate": config.lr}
        for (scale, decay), members in found.items()
    ]


def _owner(names: list[str], groups: Mapping[str, GroupTable]) -> str:
    """Return the last group that matches a name of a parameter, empty if none does."""
    matching = [group for group, table in groups.items() if any(fnmatchcase(name, table.match) for name in names)]
    return matching[-1] if matching else ""


def _places(module: nn.Module) -> dict[nn.Parameter, int]:
    """Return how many blocks come after that of each parameter of a tower."""
    found: dict[nn.Parameter, int] = {}
    for tower in TOWERS:
        part = getattr(getattr(module, "model", None), tower, None)
        blocks = cast("list[nn.Module]", part.blocks()) if part is not None else []
        found |= {p: place for place, block in enumerate(reversed(blocks)) for p in block.parameters()}
    return found


def _refuse_unused(
    group: str, groups: Mapping[str, GroupTable], owners: Collection[str], names: Mapping[nn.Parameter, list[str]]
) -> None:
    if group in owners:
        return
    match = groups[group].match
    matched = [parameter for parameter, known in names.items() if any(fnmatchcase(name, match) for name in known)]
    if any(parameter.requires_grad for parameter in matched):
        later = [other for other in groups if other in owners]
        why = f"all that it matches belongs to groups written after it ({', '.join(later)}): put it behind them"
    elif matched:
        why = f"what it matches is not trained, such as {names[matched[0]][0]}"
    else:
        known = [name for several in names.values() for name in several if not name.startswith("teachers.")]
        parts = [".".join(name.split(".")[:length]) for name in known for length in range(1, name.count(".") + 1)]
        choices = [*dict.fromkeys(f"{part}.*" for part in parts), *known]
        near = difflib.get_close_matches(match, choices, n=1, cutoff=0.0)
        why = f"no parameter has such a name; the nearest: {near[0]!r}" if near else "there are no parameters"
    raise RecipeError(f"optim.groups.{group}.match = {match!r}: {why}")
