"""The frozen program: one executable with all the commands of ``sofia-desk``."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import platform
import shutil
import sys
import uuid
from pathlib import Path

SEED = "seed"
"""Folder of the bundle with what programs usually make at their first start: compiled kernels, the list of fonts."""

COMMON_PROCESSOR = ("haswell", "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2,+xsave")
"""Processor and features for which kernels are compiled at bundling: those of 2013 (x86-64-v3)."""
CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # openSUSE
)
NEEDED = {"avx2", "bmi2", "f16c", "fma", "movbe"}


def main() -> int:
    """Prepare the surroundings of the bundle, then do what ``sofia-desk`` does."""
    multiprocessing.freeze_support()
    give_streams()
    find_certificates()
    os.environ.setdefault("QT_API", "pyside6")
    os.environ.setdefault("SOFIA_DESK_FROZEN", "1")
    choose_processor()
    with contextlib.suppress(OSError):  # without them the first start takes longer, that is all
        use_prepared_files(Path(sys._MEIPASS), find_cache_folder())
    from sofia_engine.cli import main as run

    return run()


def give_streams() -> None:
    """Let what is said go nowhere where there is no console, as in the start menu of Windows; else it would fail."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - until the end


def find_certificates() -> None:
    """Say where this Linux keeps its certificates: OpenSSL looks where they were on the machine of the build."""
    if sys.platform == "linux" and "SSL_CERT_FILE" not in os.environ:
        found = next((path for path in CERTIFICATES if Path(path).exists()), None)
        if found is not None:
            os.environ["SSL_CERT_FILE"] = found


def choose_processor() -> None:
    """Let kernels be compiled for the processor they were prepared for, where this one can run them."""
    if has_common_processor():
        name, features = COMMON_PROCESSOR
        os.environ.setdefault("NUMBA_CPU_NAME", name)
        os.environ.setdefault("NUMBA_CPU_FEATURES", features)


def has_common_processor() -> bool:
    """Tell whether this processor knows the instructions of the prepared kernels."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    if sys.platform == "win32":
        import ctypes

        avx2 = 40  # PF_AVX2_INSTRUCTIONS_AVAILABLE
        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(avx2))
    if sys.platform == "darwin":
        return True  # all that run a supported macOS
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.split()) >= NEEDED


def find_cache_folder() -> Path:
    """Folder of the user for files that can be made again, one for each build of the program."""
    import platformdirs

    state = Path(sys.executable).stat()
    build = hashlib.sha1(f"{sys.executable} {state.st_mtime_ns} {state.st_size}".encode()).hexdigest()[:12]
    return Path(platformdirs.user_cache_path("sofia-desk", appauthor=False)) / "prepared" / build


def use_prepared_files(bundle: Path, folder: Path) -> None:
    """Copy what was prepared into a folder of the user, once, and let the libraries find it there."""
    kernels, fonts = folder / "kernels", folder / "matplotlib"
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kernels))
    os.environ.setdefault("MPLCONFIGDIR", str(fonts))
    if folder.is_dir() or not (bundle / SEED).is_dir():
        return
    draft = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    try:
        for place in sorted((bundle / SEED / "kernels").iterdir()):
            shutil.copytree(place, draft / "kernels" / name_kernel_folder(bundle, place.name))
        shutil.copytree(bundle / SEED / "matplotlib", draft / "matplotlib")
        draft.rename(folder)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def name_kernel_folder(bundle: Path, package: str) -> str:
    """Name that numba gives the folder of the kernels of a package that lies in the bundle."""
    place = bundle.joinpath(*package.split("."))
    return f"{place.name}_{hashlib.sha1(str(place).encode()).hexdigest()}"


if __name__ == "__main__":
    sys.exit(main())
