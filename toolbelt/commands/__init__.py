"""The words and options of the commands, a module for each noun; ``COMMANDS`` names them.

Modules that are slow to import are imported when a command runs (``toolbelt/command.py``).
"""
