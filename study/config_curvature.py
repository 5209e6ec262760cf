"""The configuration of the curvature of the solution."""

from dataclasses import dataclass

from study.errors import ConfigError, need_curvlinops
from study.keys import LARGEST_SEED, key

HESSIAN, GAUSS_NEWTON = "hessian", "gauss_newton"


@dataclass
class CurvatureConfig:
    """No curvature."""

    name: str = key("how much of the curvature; set by the choice in the group `curvature`")


@dataclass
class TopConfig(CurvatureConfig):
    """The ends of the spectrum, and the trace."""

    matrices: list[str] = key(
        "second derivatives of the mean loss, or without the network's own", choices=(HESSIAN, GAUSS_NEWTON)
    )
    examples: int | None = key(
        "size of the fixed random subset of the train split that is read; null reads all", at_least=2
    )
    subset_seed: int = key("seed of that subset", at_least=0, at_most=LARGEST_SEED)
    eigenvalues: int = key("how many of the largest eigenvalues", at_least=1)
    tolerance: float = key(
        "largest residual of an eigenvalue, relative to the largest magnitude of all", above=0, below=1
    )
    trace_repeats: int = key(
        "independent repetitions of the estimate of the trace, which give its standard error", at_least=2
    )
    trace_probes: int = key("random vectors in each repetition, of three products each", at_least=1)
    probe_seed: int = key("seed of all random vectors", at_least=0, at_most=LARGEST_SEED)

    def check(self, name: str) -> None:
        """Refuse what leaves nothing to do, and what is not installed.

        Raises:
            ConfigError: if no matrix is named, or one twice, or the extra is missing.
        """
        if not self.matrices or len(set(self.matrices)) < len(self.matrices):
            raise ConfigError(f"{name}.matrices", "must name at least one matrix, each once", self.matrices)
        need_curvlinops(name, self.name)


@dataclass
class SpectrumConfig(TopConfig):
    """The whole spectrum."""

    density_probes: int = key("random vectors of the spectral density", at_least=2)
    lanczos_steps: int = key("products from each of these vectors", at_least=1)
    smoothing: float = key("width of the density's Gaussians, as a share of the spectrum's extent", above=0)
