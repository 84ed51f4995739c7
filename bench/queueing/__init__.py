"""What is queued and how long each step of it takes, beside a bare RQ job and a short queue."""
