"""REST handlers of the Jupyter server's extension, one aggregate per file."""
