"""The actions of the program: each is declared here once; menus, tool bars, palette and manual are made of it."""

# ruff: noqa: E501 - a table reads best with one action a line

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ACTIONS", "MENUS", "Action", "find_action", "format_shortcuts"]

MENUS = ("File", "Reduction", "Parameters", "View", "Help")


@dataclass(frozen=True)
class Action:
    """One thing the user can do.

    Parameters
    ----------
    id : str
        Name of the method of `sofia_app.commands.Commands` that does it.
    title : str
        As in menus.
    menu : str
        One of `MENUS`.
    shortcut : str
        Keys.
    needs : tuple of str
        Conditions that must all hold; see `Desk.conditions`.
    icon : str
        Name of the icon.
    tip : str
        What it does.
    checkable : bool
        Whether it is a switch.
    separated : bool
        Whether a line stands above it in the menu.
    """

    id: str
    title: str
    menu: str
    shortcut: str = ""
    needs: tuple[str, ...] = ()
    icon: str = ""
    tip: str = ""
    checkable: bool = False
    separated: bool = False


_IDLE = ("reduction", "idle")

ACTIONS = (
    Action("open_files", "Open files…", "File", "Ctrl+O", ("idle",), "open", "Choose raw files; if they belong together, a reduction of them starts"),
    Action("open_folder", "Open folder…", "File", "Ctrl+Shift+O", ("idle",), "folder", "List all files of a folder and of the folders in it"),
    Action("add_files", "Add files to the list…", "File", "Ctrl+Shift+A", (), "add", "Add files to the list without starting a reduction"),
    Action("remove_files", "Remove from the list", "File", "Ctrl+Backspace", ("selected files",), "remove", "Take the selected files off the list; nothing is deleted"),
    Action("clear_files", "Clear the list", "File", "", ("files",), "", "Take all files off the list; nothing is deleted"),
    Action("start_reduction", "Start reduction of the selection", "File", "Ctrl+Return", ("selected files", "idle"), "run", "Reduce the selected files or group"),
    Action("compare_files", "Compare two files", "File", "Ctrl+Shift+Y", ("two files",), "compare", "Show the two files selected in the list together: side by side, blinking, their difference, spectra overlaid, headers"),
    Action("open_session", "Open session…", "File", "Ctrl+Shift+S", ("idle",), "history", "Go on with an earlier reduction", separated=True),
    Action("close_reduction", "Close reduction", "File", "Ctrl+W", _IDLE, "", "Close it; the session is kept and can be opened again"),
    Action("set_output", "Output folder…", "File", "Ctrl+Shift+D", _IDLE, "folder", "Choose where products are written", separated=True),
    Action("save_products", "Save shown products…", "File", "Ctrl+S", ("reduction",), "save", "Write the products of the state shown to a folder"),
    Action("export_commands", "Export as command line or script…", "File", "Ctrl+E", ("reduction",), "export", "Show a command and a script that do the same again"),
    Action("reduce_groups", "Reduce all groups…", "File", "Ctrl+Shift+G", ("files",), "tile", "Reduce every group of the list, as many at a time as there are processors, each into a folder of its own"),
    Action("show_preferences", "Preferences…", "File", "Ctrl+,", (), "settings", "Theme, text size, folders, processors", separated=True),
    Action("quit_program", "Quit", "File", "Ctrl+Q", (), "", "End the program; the session is kept", separated=True),
    Action("do_step", "Step", "Reduction", "F8", ("can step", "idle"), "step", "Do the next step"),
    Action("run_to_selected", "Run to here", "Reduction", "F9", ("selected step", "idle"), "run-to", "Do all steps up to the selected one; it is done anew if it is done already"),
    Action("reduce_all", "Reduce", "Reduction", "F10", ("can step", "idle"), "run", "Do all remaining steps"),
    Action("stop_running", "Stop", "Reduction", "Shift+F5", ("busy",), "stop", "Stop what is running, within a second"),
    Action("undo_step", "Undo", "Reduction", "Ctrl+Z", ("can undo", "idle"), "undo", "Go back to the state before; nothing is lost", separated=True),
    Action("redo_step", "Redo", "Reduction", "Ctrl+Shift+Z", ("can redo", "idle"), "redo", "Go forward again"),
    Action("reset_reduction", "Reset", "Reduction", "Ctrl+Shift+R", ("can undo", "idle"), "reset", "Go back to the inputs; the states stay in the history"),
    Action("go_to_state", "Go to the selected state", "Reduction", "Ctrl+G", ("selected state", "idle"), "history", "Make the state selected in the history the current one"),
    Action("compare_states", "Compare two states", "Reduction", "Ctrl+D", ("can compare",), "compare", "Show two states side by side, blinking, or their difference: the two selected in the history, or the current one and the selected one, its twin on another branch, or the one before"),
    Action("sweep_parameter", "Sweep a parameter…", "Reduction", "Ctrl+Shift+W", ("selected step", "idle"), "tile", "Run with one value of a parameter after the other; each makes a branch", separated=True),
    Action("check_references", "Reference files…", "Reduction", "Ctrl+Shift+F", _IDLE, "catalog", "Which calibration files the steps need, which are missing; fetch them", separated=True),
    Action("apply_parameters", "Apply", "Parameters", "Ctrl+Shift+Return", ("edited", "valid", "idle"), "done", "Use the edited values from the next run on"),
    Action("revert_parameters", "Revert edits", "Parameters", "Ctrl+Shift+Backspace", ("edited",), "undo", "Forget the edits that are not applied"),
    Action("restore_defaults", "Restore defaults of the step", "Parameters", "Ctrl+Shift+B", ("selected step", "idle"), "reset", "Put the defaults for these data into all fields of the step"),
    Action("restore_all_defaults", "Restore defaults of all steps", "Parameters", "", _IDLE, "", "Take back all values set by you or by a file"),
    Action("preview_step", "Preview", "Parameters", "F7", ("selected step", "idle"), "image", "Try the edited values on one file or a part of the image; nothing is kept"),
    Action("toggle_live_preview", "Preview while editing", "Parameters", "Shift+F7", (), "", "Renew the preview whenever a value is edited", checkable=True),
    Action("toggle_expert", "Show expert parameters", "Parameters", "Ctrl+Shift+E", (), "", "Show also what is seldom changed", checkable=True),
    Action("toggle_hide_idle", "Hide what has no effect", "Parameters", "Ctrl+Shift+I", (), "", "Leave out parameters that have no effect, with the values of others or on these data; otherwise they are grey", checkable=True),
    Action("edit_everywhere", "Set in all steps…", "Parameters", "Ctrl+Shift+V", _IDLE, "tile", "Give a parameter that several steps have the same value in all of them, or in some"),
    Action("undo_edit", "Undo the last edit of several steps", "Parameters", "Ctrl+Alt+Z", ("several edited", "idle"), "undo", "Take back what the last edit of several steps at once has changed"),
    Action("load_parameters", "Load parameter file…", "Parameters", "Ctrl+L", _IDLE, "open", "Take values from a parameter file (TOML, or the old INI form)", separated=True),
    Action("save_parameters", "Save parameter file…", "Parameters", "Ctrl+Shift+L", ("reduction",), "save", "Write all parameters to a file (TOML, or .cfg for the old form)"),
    Action("search_parameters", "Search parameters", "Parameters", "Ctrl+F", ("reduction",), "search", "Find a parameter of the selected step by any word of its help"),
    Action("show_data", "Data", "View", "Alt+1", (), "file", "Go to the list of files"),
    Action("show_pipeline", "Pipeline", "View", "Alt+2", (), "step", "Go to the list of steps"),
    Action("show_parameters", "Parameters", "View", "Alt+3", (), "settings", "Go to the parameters"),
    Action("show_image", "Image", "View", "Alt+4", (), "image", "Go to the image"),
    Action("show_header", "Header", "View", "Alt+5", (), "header", "Go to header and tables"),
    Action("show_log", "Log", "View", "Alt+6", (), "", "Go to the log"),
    Action("show_problems", "Problems", "View", "Alt+7", (), "warning", "Go to warnings and errors"),
    Action("show_quality", "Quality", "View", "Alt+8", (), "table", "Go to the quality numbers"),
    Action("show_provenance", "Provenance", "View", "Alt+9", ("reduction",), "history", "Show how the state came to be: inputs, steps, calibration files"),
    Action("show_spectrum", "Spectrum", "View", "Alt+S", (), "spectrum", "Go to the spectra"),
    Action("show_slit", "Slit", "View", "Alt+L", (), "profile", "Go to the spectra along the slit, with apertures to drag"),
    Action("show_pictures", "Pictures", "View", "Alt+I", (), "image", "Go to the pictures that the step has made: quick-look maps, residuals of fits"),
    Action("show_quality_viewer", "Quality viewer", "View", "Alt+Q", (), "table", "Go to the quality viewer: numbers of all steps and products, trends, galleries, reports"),
    Action("pin_view", "Pin the view", "View", "Ctrl+Shift+K", ("viewer in front",), "pin", "Keep what the view in front shows, whatever the reduction does", checkable=True, separated=True),
    Action("clone_view", "Clone the view", "View", "Ctrl+Shift+N", ("viewer in front",), "add", "Make another view with the same products; pin one of them to compare"),
    Action("move_view", "View to the other side", "View", "Ctrl+Shift+M", (), "tile", "Show the view in front beside the others, or with them again"),
    Action("float_view", "View in its own window", "View", "Ctrl+Shift+U", (), "single", "Put the view in front in a window of its own; closing that puts it back"),
    Action("toggle_panels", "View alone", "View", "F11", (), "", "Hide all panels, so that the view has the whole window; again, to have them back", checkable=True),
    Action("find_in_log", "Find in the log", "View", "Ctrl+Shift+H", (), "search", "Search the log", separated=True),
    Action("reset_layout", "Reset layout", "View", "Ctrl+Shift+0", (), "", "Put all panels back where they were at first", separated=True),
    Action("show_help", "Help on the step", "Help", "F1", (), "help", "What the selected step does and what its parameters mean"),
    Action("show_palette", "Command palette…", "Help", "Ctrl+Shift+P", (), "search", "Find and do anything by typing a part of its name"),
    Action("show_shortcuts", "Shortcuts", "Help", "Ctrl+/", (), "", "List all keys"),
    Action("check_updates", "Look for a new version…", "Help", "", (), "", "Ask the package index whether a newer version is published; nothing else is sent", separated=True),
    Action("show_about", "About SOFIA Desk", "Help", "", (), "", "Version, and where sessions and preferences lie"),
)  # fmt: skip
"""All actions, in the order of the menus."""


def find_action(name: str) -> Action:
    """Return the action of that id.

    Raises
    ------
    KeyError
        If there is none.
    """
    for action in ACTIONS:
        if action.id == name:
            return action
    raise KeyError(name)


def format_shortcuts() -> str:
    """Return the table of all actions as Markdown."""
    lines = []
    for menu in MENUS:
        lines += [f"## {menu}", "", "| Action | Keys | What it does |", "|---|---|---|"]
        lines += [
            f"| {action.title} | {f'`{action.shortcut}`' if action.shortcut else ''} | {action.tip}. |"
            for action in ACTIONS
            if action.menu == menu
        ]
        lines.append("")
    return "\n".join(lines)
