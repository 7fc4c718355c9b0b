"""What the documentation is made with: figures that follow the code, and help for the generator of the reference."""
