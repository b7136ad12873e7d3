"""What talks with a terminal."""
