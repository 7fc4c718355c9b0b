"""Speed as ratios: each case runs interleaved with its baseline in one process, and medians are quoted."""
