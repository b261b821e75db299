"""All checks, in the order in which they are run: what is quick and explains most comes first."""

from typing import Final

from mmx_kit.check import Check
from mmx_kit.commands import COMMAND_CHECKS
from mmx_kit.configs import CONFIG_CHECKS
from mmx_kit.datasets import DATASET_CHECKS
from mmx_kit.encoders import ENCODER_CHECKS
from mmx_kit.engines import ENGINE_CHECKS
from mmx_kit.evaluators import EVALUATOR_CHECKS
from mmx_kit.filters import FILTER_CHECKS
from mmx_kit.fusions import FUSION_CHECKS
from mmx_kit.globals_kept import GLOBAL_CHECKS
from mmx_kit.imports import IMPORT_CHECKS
from mmx_kit.listed import LISTED_CHECKS
from mmx_kit.losses import LOSS_CHECKS
from mmx_kit.modules import MODULE_CHECKS
from mmx_kit.optimizers import OPTIMIZER_CHECKS
from mmx_kit.precision import PRECISION_CHECKS
from mmx_kit.reading import READING_CHECKS
from mmx_kit.schedules import SCHEDULE_CHECKS
from mmx_kit.steps import STEP_CHECKS
from mmx_kit.tokenizers import TOKENIZER_CHECKS
from mmx_kit.trackers import TRACKER_CHECKS
from mmx_kit.transforms import TRANSFORM_CHECKS
from mmx_kit.weights import WEIGHTS_CHECKS
from mmx_kit.workers import WORKER_CHECKS

CHECKS: Final[tuple[Check, ...]] = (
    *CONFIG_CHECKS,
    *COMMAND_CHECKS,
    *LISTED_CHECKS,
    *IMPORT_CHECKS,
    *MODULE_CHECKS,
    *ENCODER_CHECKS,
    *READING_CHECKS,
    *FUSION_CHECKS,
    *LOSS_CHECKS,
    *PRECISION_CHECKS,
    *STEP_CHECKS,
    *DATASET_CHECKS,
    *FILTER_CHECKS,
    *TRANSFORM_CHECKS,
    *TOKENIZER_CHECKS,
    *OPTIMIZER_CHECKS,
    *SCHEDULE_CHECKS,
    *EVALUATOR_CHECKS,
    *TRACKER_CHECKS,
    *WEIGHTS_CHECKS,
    *ENGINE_CHECKS,
    *GLOBAL_CHECKS,
    *WORKER_CHECKS,
)
