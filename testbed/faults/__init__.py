"""The fault matrix: one victim is killed at one step of a deploy, and everything is looked at.

``cells`` says what must come of each, ``trial`` does one, ``matrix`` does many, ``chaos`` kills at
random. Run by ``scripts/faults`` and ``scripts/chaos``, in short by ``tests/faults``.
"""
