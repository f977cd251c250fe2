"""JupyterLab as the front end: how it is opened on the notebooks."""
