"""The engine in a process of its own: commands go in, small messages come out. Nothing here but `bridge` knows Qt."""
