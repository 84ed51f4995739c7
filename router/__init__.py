"""Requests reach the apps: what Redis wants is made true in HAProxy."""
