"""The columns that the tables of a sweep will have: what a claim may name before anything is run."""

from study.analysis.connectivity import BARRIERS
from study.analysis.curvature import MEASURED
from study.analysis.over_directions import summary_names
from study.between import SPLITS
from study.config import StudyConfig
from study.config_curvature import HESSIAN, TopConfig
from study.config_measures import FlatnessConfig
from study.curvature import STEM as CURVATURE
from study.flatness import STEM as MEASURES
from study.flatness import measured
from study.kinds import KINDS
from study.members import BY_TRAINING, SCORES
from study.replicates import BETWEEN
from study.rescaled import CHANGE, NORM
from study.self_checks import TOLERANCE as SELF_CHECKS
from study.span import PATH_SHARE

ERRORS = ("", "_standard_error")
STATED = ("batch_statistics_gap", "interpolation_error", "precision_error")
"""What a landscape says of itself where it has running statistics, a tolerance, bfloat16."""


def columns(config: StudyConfig) -> set[str]:
    """What a run with this configuration, and its pairs with others, may have in their tables.

    Some depend on more than the configuration: only a classification has an accuracy, not every network a
    path norm or running statistics. These are among them all the same.
    """
    found = {*BY_TRAINING, "gap/loss", *(f"gap/{score}" for score in SCORES)}
    for name, own in config.landscape.items():
        kind = KINDS[own.kind]
        measures = {*kind.measured, *SELF_CHECKS, *STATED, *((PATH_SHARE,) if kind.straight else ())}
        if len(own.draws) > 1:
            measures = {each for measure in measures for each in summary_names(measure)}
        found |= {f"{name}/{split}/{measure}" for split in own.splits for measure in measures}
    if isinstance(config.curvature, TopConfig):
        for matrix in config.curvature.matrices:
            prefix = CURVATURE if matrix == HESSIAN else f"{CURVATURE}/{matrix}"
            found |= {f"{prefix}/{measure}" for measure in MEASURED}
    if isinstance(config.measures, FlatnessConfig):
        found |= {f"{MEASURES}/{name}{error}" for name in measured(config.measures) for error in ERRORS}
    if config.rescale != 1:
        found |= {CHANGE, NORM}
    if config.comparison.pairs:
        found |= {f"{BETWEEN}{split}/{measure}" for split in SPLITS for measure in BARRIERS}
    return found
