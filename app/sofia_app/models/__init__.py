"""What the windows show, without the windows: plain Python that tests exercise without a screen."""
