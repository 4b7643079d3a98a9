"""How a configuration becomes a trained method: Lightning's command line, callbacks, loggers and checkpoints."""
