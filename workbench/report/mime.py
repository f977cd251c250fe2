"""The MIME types of cell outputs that have a meaning here beyond what a front end shows."""

PLOTLY = "application/vnd.plotly.v1+json"
# A named value that a notebook hands to its pipeline.
RECORD = "application/vnd.workbench.record+json"
