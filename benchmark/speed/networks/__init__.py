"""What networks take and learn: training steps, inference, precision, quality against time."""
