"""Kill a sweep, let its disk fail, damage its files, and see what it leaves: `python -m tests.faults`."""

import os


def main() -> int:
    """Run the harness with one thread a process: a pool of threads would not outlive the forks.

    Returns:
        The exit status.
    """
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before torch is imported, which reads them
    from tests.faults.harness import run

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
