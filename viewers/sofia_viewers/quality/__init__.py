"""The quality viewer: folders, headers, numbers of many products, trends, galleries, raw frames, reports."""
