"""Run and judge: suites of cells, training, scoring, records and leaderboards."""
