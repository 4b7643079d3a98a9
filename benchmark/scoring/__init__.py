"""From a trained method, or one that needs no training, to layers, scores, cost and pictures."""
