"""The parts of the window: thin, without science; what they show comes from `sofia_app.models`."""
