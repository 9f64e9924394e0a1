"""Drawing of quick-look pictures with Pillow and numpy.

Importing a plotting library takes longer than many a reduction, and it would be used for one picture. What quick-look
pictures need, lines, areas, texts, ticks and colour tables, is here; it is ready in some hundredths of a second.
"""
