"""How a suite's cells are run: the sweep, claims among runners, attempts, workers; this machine or Slurm."""
