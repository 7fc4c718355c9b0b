"""The simulator itself: that it replays, that it finds, and that what it finds can be read."""
