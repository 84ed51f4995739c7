"""The parts of ``bench/push.py``: what is pushed, who pushes, two servers, and the figures."""
