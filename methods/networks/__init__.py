"""Torch modules that more than one method builds on."""
