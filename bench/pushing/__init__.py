"""What the measurements share: what is pushed, who pushes, two servers, the figures, the page."""
