"""Pushes that no honest git would send, each with the verdict it deserves (``corpus``).

Everything is built by hand, byte by byte; nothing here sends it anywhere.
"""
