"""Sequences of what stands below: publish, ship, reproduce, join, regression, acceptance."""
