"""Pairs in: layers, the image-formation models that blend them, and the roles they play."""
