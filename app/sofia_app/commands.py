"""What each action does: one method an action of `sofia_app.actions`, of the same name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sofia_app.models.export import as_command_line, as_python_script
from sofia_app.views.batch_dialog import BatchDialog
from sofia_app.views.dialogs import (
    CommandPalette,
    PreferencesDialog,
    SessionsDialog,
    ShortcutsDialog,
    SweepDialog,
    TextDialog,
)
from sofia_engine.errors import SofiaDeskError
from sofia_engine.pipeline.session import list_sessions, sessions_folder
from sofia_viewers.qt import QtWidgets

if TYPE_CHECKING:
    from sofia_app.window import MainWindow

__all__ = ["Commands"]

_FITS = "FITS files (*.fits *.fits.gz *.fit *.fts *.FITS);;Lists of files (*.txt);;All files (*)"
_PARAMETERS = "Parameter files (*.toml *.cfg *.ini);;All files (*)"


class Commands:
    """The actions of one window.

    Parameters
    ----------
    window : MainWindow
        The window.
    """

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._desk = window.desk

    # --- files ---

    def open_files(self) -> None:
        """Choose files and start a reduction of them."""
        chosen, _ = QtWidgets.QFileDialog.getOpenFileNames(self._window, "Open files", self._last_folder(), _FITS)
        if chosen:
            self._desk.open_paths(chosen)

    def open_folder(self) -> None:
        """Choose a folder and list its files."""
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self._window, "Open folder", self._last_folder())
        if chosen:
            self._desk.list_files([chosen])

    def add_files(self) -> None:
        """Choose files and list them."""
        chosen, _ = QtWidgets.QFileDialog.getOpenFileNames(self._window, "Add files", self._last_folder(), _FITS)
        if chosen:
            self._desk.list_files(chosen)

    def remove_files(self) -> None:
        """Take the selected files off the list."""
        self._desk.files.remove(self._desk.selection["files"])

    def clear_files(self) -> None:
        """Take all files off the list."""
        self._desk.files.clear()

    def start_reduction(self) -> None:
        """Reduce the selected files."""
        output = None
        if self._desk.preferences.output_rule == "ask":
            output = QtWidgets.QFileDialog.getExistingDirectory(
                self._window, "Folder for products", self._last_folder()
            )
        self._desk.start_reduction(self._desk.selection["files"], output)

    def compare_files(self) -> None:
        """Compare the two files that are selected."""
        left, right = self._desk.selection["files"]
        self._window.compare_files(left, right)

    def open_session(self) -> None:
        """Choose an earlier reduction and go on with it."""
        dialog = SessionsDialog(self._window, list_sessions())
        if dialog.exec() and dialog.chosen:
            self._desk.resume(dialog.chosen)

    def close_reduction(self) -> None:
        """Close the reduction."""
        self._desk.close_reduction()

    def set_output(self) -> None:
        """Choose the folder for products."""
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self._window, "Folder for products", self._last_folder())
        if chosen:
            self._desk.set_output(chosen)

    def save_products(self) -> None:
        """Write the products shown to a folder."""
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self._window, "Save products to", self._last_folder())
        if chosen:
            self._window.save_shown(Path(chosen))

    def export_commands(self) -> None:
        """Show a command and a script that do the same."""
        reduction = self._desk.reduction
        if reduction.snapshot is None or reduction.recipe is None:
            return
        last = reduction.next_index - 1
        texts = {
            "Command line": as_command_line(reduction.snapshot, reduction.recipe, last),
            "Python script": as_python_script(reduction.snapshot, reduction.recipe, last),
        }
        TextDialog(self._window, "Export", texts).open()

    def show_preferences(self) -> None:
        """Edit the preferences."""
        dialog = PreferencesDialog(self._window, self._desk.preferences)
        if dialog.exec():
            self._window.apply_preferences()
            self._desk.apply_memory()
            self._desk.save_preferences()

    def quit_program(self) -> None:
        """End the program."""
        self._window.close()

    def _last_folder(self) -> str:
        recent = self._desk.preferences.recent
        return str(Path(recent[0][0]).parent) if recent and recent[0] else str(Path.cwd())

    # --- reduction ---

    def do_step(self) -> None:
        """Do the next step."""
        self._desk.step()

    def run_to_selected(self) -> None:
        """Do all steps up to the selected one."""
        self._desk.run_to(self._desk.selection["step"])

    def reduce_all(self) -> None:
        """Do all remaining steps."""
        self._desk.reduce()

    def stop_running(self) -> None:
        """Stop what is running."""
        self._desk.stop()

    def undo_step(self) -> None:
        """Go back to the state before."""
        self._desk.move("undo")

    def redo_step(self) -> None:
        """Go forward again."""
        self._desk.move("redo")

    def reset_reduction(self) -> None:
        """Go back to the inputs."""
        self._desk.move("reset")

    def go_to_state(self) -> None:
        """Make the selected state the current one."""
        self._desk.go(self._desk.selection["states"][0])

    def compare_states(self) -> None:
        """Compare two states."""
        pair = self._desk.reduction.choose_pair(self._desk.selection["states"])
        if pair is not None:
            self._window.compare(*pair)

    def sweep_parameter(self) -> None:
        """Run with one value after the other."""
        index = self._desk.selection["step"]
        dialog = SweepDialog(self._window, self._desk.reduction.steps, index)
        if dialog.exec():
            self._desk.sweep(index, dialog.info.name, dialog.read_values(), dialog.last.currentData())

    def check_references(self) -> None:
        """Show the reference files."""
        self._window.bring_up("references")
        self._desk.list_references()

    # --- parameters ---

    def apply_parameters(self) -> None:
        """Apply all edits."""
        self._desk.apply_edits()

    def revert_parameters(self) -> None:
        """Forget all edits."""
        for form in self._desk.forms:
            form.revert()

    def restore_defaults(self) -> None:
        """Put the defaults into the form of the step."""
        self._desk.forms[self._desk.selection["step"]].reset_to_default()

    def restore_all_defaults(self) -> None:
        """Take back all values set by user or file."""
        self.revert_parameters()
        self._desk.unset()

    def preview_step(self) -> None:
        """Try the edited values."""
        self._window.previewer.preview()

    def toggle_live_preview(self) -> None:
        """Renew the preview at every edit, or not: the previewer hears of the switch itself."""

    def toggle_expert(self) -> None:
        """Show expert parameters, or not."""
        self._desk.preferences.show_expert = self._window.qactions["toggle_expert"].isChecked()

    def edit_everywhere(self, key: str = "") -> None:
        """Give a parameter that several steps have the same value in all of them."""
        dialog = BatchDialog(self._window, self._desk.forms, key)
        dialog.edit_asked.connect(self._desk.edit_everywhere)
        dialog.open()

    def undo_edit(self) -> None:
        """Take back the last edit of several steps."""
        self._desk.undo_edit()

    def toggle_hide_idle(self) -> None:
        """Hide parameters without effect, or show them grey."""
        self._desk.preferences.hide_idle = self._window.qactions["toggle_hide_idle"].isChecked()

    def load_parameters(self) -> None:
        """Choose a parameter file and take its values."""
        chosen, _ = QtWidgets.QFileDialog.getOpenFileName(
            self._window, "Load parameters", self._last_folder(), _PARAMETERS
        )
        if chosen:
            self._desk.load_parameters(chosen)

    def save_parameters(self) -> None:
        """Choose a file and write all parameters to it."""
        chosen, _ = QtWidgets.QFileDialog.getSaveFileName(
            self._window, "Save parameters", str(Path(self._last_folder()) / "parameters.toml"), _PARAMETERS
        )
        if chosen:
            self.write_parameters(Path(chosen))

    def write_parameters(self, path: Path) -> None:
        """Write all parameters to a file."""
        from sofia_app.models.parameter_export import write_snapshot_parameters

        reduction = self._desk.reduction
        if reduction.snapshot is None or reduction.recipe is None:
            return
        try:
            write_snapshot_parameters(path, reduction.snapshot, reduction.recipe)
        except SofiaDeskError as error:
            self._window.report_problem("The parameters cannot be saved", str(error))
        else:
            self._desk.status.emit(f"Wrote {path}.")

    def search_parameters(self) -> None:
        """Go to the search line of the parameters."""
        self._window.bring_up("parameters")
        self._window.parameters.search.setFocus()

    # --- view and help ---

    def show_data(self) -> None:
        """Go to the list of files."""
        self._window.bring_up("data")

    def show_pipeline(self) -> None:
        """Go to the list of steps."""
        self._window.bring_up("pipeline")

    def show_parameters(self) -> None:
        """Go to the parameters."""
        self._window.bring_up("parameters")

    def show_image(self) -> None:
        """Go to the image."""
        self._window.bring_up("image")

    def show_header(self) -> None:
        """Go to header and tables."""
        self._window.bring_up("header")

    def show_log(self) -> None:
        """Go to the log."""
        self._window.bring_up("log")

    def show_problems(self) -> None:
        """Go to the problems."""
        self._window.bring_up("problems")

    def show_quality(self) -> None:
        """Go to the quality numbers."""
        self._window.bring_up("quality")

    def show_provenance(self) -> None:
        """Go to the provenance."""
        self._window.bring_up("provenance")

    def show_spectrum(self) -> None:
        """Go to the spectra."""
        self._window.bring_up("spectrum")

    def show_slit(self) -> None:
        """Go to the spectra along the slit."""
        self._window.bring_up("slit")

    def show_pictures(self) -> None:
        """Go to the pictures of the step."""
        self._window.bring_up("pictures")

    def show_quality_viewer(self) -> None:
        """Go to the quality viewer."""
        self._window.bring_up("quality viewer")

    def pin_view(self) -> None:
        """Keep what the view in front shows, or let it follow again."""
        page = self._window.page_in_front
        if page is not None:
            page.set_pinned(self._window.qactions["pin_view"].isChecked())

    def clone_view(self) -> None:
        """Make another view with the same products."""
        page = self._window.page_in_front
        if page is not None:
            self._window.clone_page(page)

    def move_view(self) -> None:
        """Show the view in front beside the others, or with them again."""
        tabs = self._window.tabs
        view = tabs.currentWidget()
        if view is not None:
            tabs.move(view, "left" if tabs.place_of(view) == "right" else "right")

    def float_view(self) -> None:
        """Put the view in front in a window of its own."""
        view = self._window.tabs.currentWidget()
        if view is not None:
            self._window.tabs.move(view, "window")

    def toggle_panels(self) -> None:
        """Give the view the whole window, or put the panels back."""
        self._window.show_view_alone(self._window.qactions["toggle_panels"].isChecked())

    def find_in_log(self) -> None:
        """Go to the search line of the log."""
        self._window.bring_up("log")
        self._window.log.search.setFocus()

    def reset_layout(self) -> None:
        """Put all panels back."""
        self._window.reset_layout()

    def show_help(self) -> None:
        """Show the help on the selected step."""
        self._window.bring_up("help")

    def show_palette(self) -> None:
        """Find and do anything."""
        window = self._window
        palette = CommandPalette(window, [action for action in window.qactions.values() if action.isVisible()])
        palette.move(window.mapToGlobal(window.rect().center()) - palette.rect().center())
        palette.show()

    def show_shortcuts(self) -> None:
        """List all keys."""
        ShortcutsDialog(self._window).open()

    def check_updates(self) -> None:
        """Ask whether a newer version is published, and say it."""
        from sofia_app.models.updates import describe_update, find_latest

        self._desk.tasks.submit(
            "updates",
            find_latest,
            lambda latest: TextDialog(self._window, "New version", {"Version": describe_update(latest)}).open(),
            lambda reason: self._window.report_problem("No answer about new versions", reason),
        )

    def show_about(self) -> None:
        """Say what this program is."""
        from sofia_app.models.preferences import config_folder
        from sofia_engine import __version__

        text = (
            f"SOFIA Desk {__version__}\n\nCalibrated images, spectra and cubes from the raw data of the airborne "
            f"observatory SOFIA.\n\nSessions: {sessions_folder()}\nPreferences: {config_folder()}"
        )
        TextDialog(self._window, "About SOFIA Desk", {"About": text}).open()

    def reduce_groups(self) -> None:
        """Reduce every group of the list."""
        self._window.reduce_groups()
