"""Weight-space geometry and the evaluation of a loss on it: torch, numpy and scipy, nothing else."""
