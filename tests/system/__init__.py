"""The program as it is used: real processes, real signals, and a reader that trusts none of our code."""
