"""Parts of ``bench/api.py``: an installation with many apps, and what is asked of it."""
