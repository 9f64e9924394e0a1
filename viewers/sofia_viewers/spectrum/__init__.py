"""The spectrum viewer: spectra of all instruments and of text files, in linked panes, with fits and line lists."""
