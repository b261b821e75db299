"""All checks, in the order in which they are run: what is quick and explains most comes first."""

from typing import Final

from mmx.testing.check import Check
from mmx.testing.configs import CONFIG_CHECKS
from mmx.testing.datasets import DATASET_CHECKS
from mmx.testing.encoders import ENCODER_CHECKS
from mmx.testing.engines import ENGINE_CHECKS
from mmx.testing.evaluators import EVALUATOR_CHECKS
from mmx.testing.fusions import FUSION_CHECKS
from mmx.testing.globals_kept import GLOBAL_CHECKS
from mmx.testing.imports import IMPORT_CHECKS
from mmx.testing.listed import LISTED_CHECKS
from mmx.testing.losses import LOSS_CHECKS
from mmx.testing.modules import MODULE_CHECKS
from mmx.testing.precision import PRECISION_CHECKS
from mmx.testing.steps import STEP_CHECKS
from mmx.testing.tokenizers import TOKENIZER_CHECKS
from mmx.testing.trackers import TRACKER_CHECKS
from mmx.testing.transforms import TRANSFORM_CHECKS
from mmx.testing.workers import WORKER_CHECKS

CHECKS: Final[tuple[Check, ...]] = (
    *CONFIG_CHECKS,
    *LISTED_CHECKS,
    *IMPORT_CHECKS,
    *MODULE_CHECKS,
    *ENCODER_CHECKS,
    *FUSION_CHECKS,
    *LOSS_CHECKS,
    *PRECISION_CHECKS,
    *STEP_CHECKS,
    *DATASET_CHECKS,
    *TRANSFORM_CHECKS,
    *TOKENIZER_CHECKS,
    *EVALUATOR_CHECKS,
    *TRACKER_CHECKS,
    *ENGINE_CHECKS,
    *GLOBAL_CHECKS,
    *WORKER_CHECKS,
)
