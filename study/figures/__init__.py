"""Figures of landscapes: matplotlib pictures for papers and reports, plotly pages to turn about."""
