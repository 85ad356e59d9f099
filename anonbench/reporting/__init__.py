"""Tables, plots, galleries and the report: made from records and images, nothing else.

Nothing here runs a model or opens a dataset, so a report can be made again anywhere the records are.
Plotting libraries load only when a plot is drawn.
"""
