"""Reference (calibration) files: which one applies to an observation, and where to get it."""

from sofia_engine.reference.catalogue import Catalogue, ReferenceFile, ReferenceRequest, Rule
from sofia_engine.reference.store import FileStatus, ReferenceStore

__all__ = ["Catalogue", "FileStatus", "ReferenceFile", "ReferenceRequest", "ReferenceStore", "Rule"]
