"""Real parts to try the platform on: an Engine, a registry, images. For tests, demo and bench.

No server imports this package, and it is not part of the installed distribution.
"""
