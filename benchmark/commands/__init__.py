"""The command line ``unblend``; nobody imports it."""
