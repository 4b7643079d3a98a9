"""Where clean layers come from: photographs on disk or embedded, dead leaves, products, noise and relief."""
