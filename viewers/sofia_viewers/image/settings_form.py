"""Side panel: forms of the settings, made from their declarations."""

from __future__ import annotations

from typing import Any

from sofia_engine.errors import ParameterError
from sofia_engine.pipeline.parameters import ParameterInfo, Parameters
from sofia_viewers.image.settings import SECTIONS, SettingsStore
from sofia_viewers.qt import QtWidgets, Signal

__all__ = ["SettingsPanel"]

_TITLES = {"display": "Display Settings", "photometry": "Photometry Settings", "plot": "Plot Settings"}


class SettingsPanel(QtWidgets.QWidget):
    """One form per section; changes apply at once, and are kept when saved.

    Parameters
    ----------
    store : SettingsStore
        Where they are kept.
    """

    applied = Signal(str, object)

    def __init__(self, store: SettingsStore, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.forms = {section: _Form(section, model, store.load(section)) for section, model in SECTIONS.items()}
        layout = QtWidgets.QVBoxLayout(self)
        box = QtWidgets.QToolBox()
        for section, form in self.forms.items():
            box.addItem(form, _TITLES[section])
            form.changed.connect(self.applied)
            form.reset.clicked.connect(lambda _=False, s=section: self.reset(s))
        layout.addWidget(box, 1)
        save = QtWidgets.QPushButton("Save Current Settings")
        save.clicked.connect(self.save)
        layout.addWidget(save)

    def reset(self, section: str) -> None:
        """Return to the last saved values of a section."""
        self.forms[section].take(self._store.load(section))

    def save(self) -> None:
        """Keep all settings for the next start."""
        try:
            for section, form in self.forms.items():
                self._store.save(section, form.settings)
        except OSError as error:
            QtWidgets.QMessageBox.warning(self, "Save settings", f"The settings cannot be saved: {error}.")


class _Form(QtWidgets.QWidget):
    changed = Signal(str, object)

    def __init__(self, section: str, model: type[Parameters], settings: Parameters) -> None:
        super().__init__()
        self.section, self.model, self.settings = section, model, settings
        self.fields: dict[str, QtWidgets.QWidget] = {}
        self.problem = QtWidgets.QLabel()
        self.problem.setWordWrap(True)
        self.problem.setProperty("role", "error")
        self.reset = QtWidgets.QPushButton("Reset")
        self.reset.setToolTip("Return to the saved values")
        defaults = QtWidgets.QPushButton("Defaults")
        defaults.setToolTip("Return to the built-in values")
        defaults.clicked.connect(lambda: self.take(self.model()))
        form = QtWidgets.QFormLayout(self)
        form.setRowWrapPolicy(QtWidgets.QFormLayout.RowWrapPolicy.WrapLongRows)
        for info in model.infos():
            self.fields[info.name] = field = self._make_field(info)
            field.setToolTip(info.help)
            form.addRow(*((field,) if info.kind == "bool" else (info.label, field)))
        form.addRow(self.problem)
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.reset)
        buttons.addWidget(defaults)
        form.addRow(buttons)
        self._show()

    def take(self, settings: Parameters) -> None:
        """Use other values."""
        self.settings = settings
        self._show()
        self.changed.emit(self.section, settings)

    def _make_field(self, info: ParameterInfo) -> QtWidgets.QWidget:
        if info.kind == "bool":
            box = QtWidgets.QCheckBox(info.label)
            box.clicked.connect(lambda on: self._set(info.name, on))
            return box
        if info.kind == "choice":
            combo = QtWidgets.QComboBox()
            combo.addItems([str(choice) for choice in info.choices])
            combo.textActivated.connect(lambda text: self._set(info.name, text))
            return combo
        line = QtWidgets.QLineEdit()
        line.editingFinished.connect(lambda: self._set_text(info, line))
        return line

    def _set_text(self, info: ParameterInfo, line: QtWidgets.QLineEdit) -> None:
        text = line.text().strip()
        if text != _to_text(getattr(self.settings, info.name)):
            self._set(info.name, None if not text and info.default is not None and info.kind == "float" else text)

    def _set(self, name: str, value: Any) -> None:
        try:
            settings = self.settings.with_values(**{name: value})
        except ParameterError as error:
            self.problem.setText(str(error))
            return
        self.problem.setText("")
        if settings != self.settings:
            self.settings = settings
            self.changed.emit(self.section, settings)

    def _show(self) -> None:
        self.problem.setText("")
        for info in self.model.infos():
            value, field = getattr(self.settings, info.name), self.fields[info.name]
            if isinstance(field, QtWidgets.QCheckBox):
                field.setChecked(value)
            elif isinstance(field, QtWidgets.QComboBox):
                field.setCurrentText(str(value))
            elif isinstance(field, QtWidgets.QLineEdit):
                field.setText(_to_text(value))


def _to_text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
