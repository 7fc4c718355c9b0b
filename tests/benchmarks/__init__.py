"""Tests of the benchmarks: that each case runs and says what it came to; never how fast."""
