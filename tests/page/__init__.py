"""The page: what it holds, and how it behaves in a real browser."""
