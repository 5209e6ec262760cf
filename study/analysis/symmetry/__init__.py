"""Symmetries of a network: other points of weight space at which it computes the same function.

Hidden units may be permuted (`permutation`), and with ReLU rescaled (`rescaling`; Dinh et al. 2017). Both are
found by running the network once and following its units from the weights to the outputs (`following`), under
the rules of what each operation does to them (`equivariance`, `homogeneity`).
"""

from study.analysis.symmetry.following import Group, Member
from study.analysis.symmetry.permutation import (
    Permutations,
    inverse,
    permutation_groups,
    permute,
    random_permutations,
)
from study.analysis.symmetry.rescaling import Factors, alike_factors, rescale, rescaling_groups
from study.analysis.symmetry.tensors import parameters_of

__all__ = [
    "Factors",
    "Group",
    "Member",
    "Permutations",
    "alike_factors",
    "inverse",
    "parameters_of",
    "permutation_groups",
    "permute",
    "random_permutations",
    "rescale",
    "rescaling_groups",
]
