"""The image viewer: models without Qt (frame, display, regions, analysis, overlays) and thin views over them."""
