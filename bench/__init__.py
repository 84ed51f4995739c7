"""Measurements, each side by side with a reference in one run. ``scripts/bench NAME`` runs one."""
