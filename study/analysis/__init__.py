"""Numbers read off landscapes and minima."""
