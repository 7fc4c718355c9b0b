"""The documentation: a site that is whole, and figures that say what the code does."""
