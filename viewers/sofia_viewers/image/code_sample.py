"""The Python that draws what a frame shows."""

from __future__ import annotations

from sofia_viewers.image.frames import FrameEntry

__all__ = ["write_code"]


def write_code(entry: FrameEntry) -> str:
    """Return a script that draws the image of a frame with its limits, stretch and colours.

    Parameters
    ----------
    entry : FrameEntry
        The frame; if its product was never a file, the script names the file it would be saved as.
    """
    frame, display = entry.frame, entry.display
    low, high = (float(value) for value in display.limits)
    path = str(frame.file.path) if frame.file.path is not None else frame.file.name
    return f'''"""Draw {frame.plane.name} of {frame.file.name}."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from sofia_viewers.colormaps import bend_table, make_color_table
from sofia_viewers.image.display import index_colors, make_stretch_table, sample_image
from sofia_viewers.image.frame import open_image

LIMITS = ({low!r}, {high!r})

plane = open_image({path!r}).find_plane({frame.plane.name!r})
image = np.ascontiguousarray(plane.image({frame.slice_number}), dtype=np.float32)
stretch = make_stretch_table({display.stretch!r}, sample_image(image), LIMITS)
levels = np.ma.masked_equal(index_colors(image, LIMITS, stretch), 0)  # 0 stands for a missing value
colors = make_color_table({display.color_map!r}, invert={display.invert})
colors = bend_table(colors, {display.contrast}, {display.bias})
figure = plt.figure()
axes = figure.add_subplot(projection=plane.celestial_wcs)
drawn = axes.imshow(levels, origin="lower", cmap=ListedColormap(colors / 255.0), vmin=1, vmax=255)
axes.set_title({frame.title!r})
figure.savefig("image.png", dpi=200)
'''
