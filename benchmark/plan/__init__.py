"""What is to be run, and what it is known by: identities of code, and digests of configurations and data.

Nothing here imports torch or Lightning: listing, checking and reusing finished cells must not take seconds.
"""
