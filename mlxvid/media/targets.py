"""Where a clip is saved: the format that a name asks for, and files that appear whole or not."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlxvid import in_use
from mlxvid.errors import MediaError

from .formats import FOLDER, FRAME_NAME, VIDEO
from .tag import SIDECAR, folder_tag

_TEMPORARY = ".mlxvid-"
"""How the names of files that are being written begin."""

FILES = (*VIDEO, ".gif", ".webp", ".png")
"""The endings of clips in one file."""

_FINDERS = ".DS_Store"
"""What Finder leaves in every folder."""


def expand(path: str | os.PathLike) -> Path:
    """`path` with "~" replaced by the user's home."""
    return Path(os.path.expanduser(os.fspath(path)))


def kind_of(path: str | os.PathLike) -> str:
    """The format that a name asks for: an ending of :data:`FILES`, or FOLDER.

    Raises :class:`MediaError` for another ending, and for a name that no file can have.
    """
    name = os.fspath(path)
    target = expand(path)
    _check_name(name)
    ending = target.suffix.lower()
    try:
        is_folder = name.endswith(("/", os.sep)) or not ending or target.is_dir()
    except (OSError, ValueError) as error:
        raise unwritable(target, error) from error
    if is_folder:
        if ending in FILES and not target.exists():
            raise MediaError(
                f"{name} names a folder by its last character and a file by its ending {ending}: "
                "leave one of them out."
            )
        return FOLDER
    if ending not in FILES:
        raise MediaError(
            f"{target} ends in {ending}, which has no format: "
            "end it in .mp4, .mov, .mkv, .webm, .gif, .webp, .png, or / for a folder."
        )
    return ending


def check_writable(
    path: str | os.PathLike, frames: int | None = None, overwrite: bool = True
) -> Path:
    """The path that :meth:`Clip.save` would write to; to call before a long run.

    `frames` is the number of the clip's frames, where it is known. A temporary file is made and
    removed, since permission bits don't tell the truth on every file system. Nothing else changes.
    Raises :class:`MediaError` for an ending that has no format, a folder that is missing, not
    writable, or holds other files, for several frames in a ``.png``, and without `overwrite` for
    what is there already.
    """
    target = expand(path)
    kind = kind_of(path)
    if kind == ".png" and frames is not None and frames > 1:
        raise MediaError(
            f"One .png holds one picture and this clip has {frames} frames: "
            "end the name in .mp4, .gif or .webm, or in / for a folder of pictures."
        )
    try:
        _check_target(target, kind)
        if not overwrite and replaces(target):
            raise MediaError(f"{target} is there already: choose another name.")
    except MediaError:
        raise
    except (OSError, ValueError) as error:
        raise unwritable(target, error) from error
    return target


def replaces(target: Path) -> bool:
    """Whether there is something that a clip saved as `target` would take the place of."""
    if target.is_dir():
        return bool(_names(target))
    return os.path.lexists(target)


def unwritable(target: Path, error: Exception) -> MediaError:
    """What is raised where writing `target` fails with `error`."""
    reason = getattr(error, "strerror", None) or error
    remedy = "choose another place"
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "make room there, or choose another place"
    elif number == errno.ENAMETOOLONG or isinstance(error, ValueError):
        remedy = "choose another name"
    return MediaError(f"{target} can't be written ({reason}): {remedy}.")


@contextmanager
def staged(target: Path, kind: str) -> Iterator[Path]:
    """A temporary file or folder that becomes `target` if the block ends well, else is removed."""
    real = Path(os.path.realpath(target))  # through a symbolic link, so that the link stays one
    # An existing folder keeps its identity: someone may stand in it.
    inside = kind == FOLDER and real.is_dir()
    parent = real if inside else real.parent
    _remove_leftovers(parent)
    stage = _temporary(parent, "" if kind == FOLDER else kind)
    hold = in_use.create(stage, folder=kind == FOLDER)
    try:
        yield stage
        if kind == FOLDER:
            _put_folder(stage, real)
        else:
            os.replace(stage, real)
    finally:
        _remove(stage)
        hold.release()


def remove_leftovers(target: Path) -> None:
    """Remove what processes that died while they wrote `target` left, as far as it lets us."""
    real = Path(os.path.realpath(target))
    for folder in (real, real.parent):
        _remove_leftovers(folder)


def _check_name(name: str) -> None:
    """Raise :class:`MediaError` for what is no name of a file or folder."""
    last = name.rstrip("/" + os.sep).rpartition(os.sep)[2].strip()
    if name == "-":
        raise MediaError("A clip can't be written to standard output: name a file, as in clip.mp4.")
    if last in ("", ".", ".."):
        raise MediaError(f"{name!r} names no file or new folder: name one, as in clip.mp4.")
    if last.lower() in FILES:
        raise MediaError(f"{name} has nothing before its ending: name the file, as in clip{last}.")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise MediaError(f"The name {name!r} is no text in UTF-8: choose another one.") from None


def _check_target(target: Path, kind: str) -> None:
    """Raise unless `target` can be written: MediaError, or what the system says."""
    exists = target.exists()
    into_folder = exists and kind == FOLDER
    if into_folder:
        _check_folder(target)
    parent = target if into_folder else Path(os.path.realpath(target)).parent
    if not parent.is_dir():
        raise MediaError(
            f"The folder {parent} does not exist: "
            f"create it, or choose another place for {target.name}."
        )
    if exists and not target.is_file() and not target.is_dir():
        raise MediaError(f"{target} is a device or a pipe, not a file: choose another name.")
    if exists and not os.access(target, os.W_OK):
        raise MediaError(f"{target} is write-protected: choose another name.")
    if not exists:
        # Fails for a name too long for the file system, which Python 3.14 calls absent.
        with suppress(FileNotFoundError):
            os.lstat(target)
    probe = _temporary(parent)
    try:
        probe.touch(exist_ok=False)
    finally:
        probe.unlink(missing_ok=True)


def _check_folder(folder: Path) -> None:
    """Raise unless `folder` is empty or holds nothing but a clip saved before."""
    if not folder.is_dir():
        raise MediaError(
            f"{folder} is a file, not a folder: "
            "choose another name, or end it in .mp4, .webm, .gif or .png."
        )
    names = _names(folder)
    foreign = [name for name in names if name != SIDECAR and not FRAME_NAME.fullmatch(name)]
    if not foreign and names and folder_tag(folder) is None:
        foreign = names
    if foreign:
        raise MediaError(
            f"The folder {folder} holds other files ({foreign[0]}): "
            "name a new or empty folder for the frames."
        )


def _names(folder: Path) -> list[str]:
    """What is in a folder, but for Finder's file and those that are being written."""
    entries = {entry.name for entry in folder.iterdir()} - {_FINDERS}
    return sorted(name for name in entries if not name.startswith(_TEMPORARY))


def _temporary(parent: Path, ending: str = "") -> Path:
    return parent / f"{_TEMPORARY}{secrets.token_hex(4)}{ending}"


def _remove_leftovers(parent: Path) -> None:
    """Remove the temporary files of processes that died in `parent`, as far as it lets us."""
    with suppress(OSError):
        for path in parent.glob(f"{_TEMPORARY}*"):
            hold = None if path.is_symlink() else in_use.take(path, unsure=False)
            if hold is not None:
                _remove(path)
                hold.release()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _put_folder(stage: Path, folder: Path) -> None:
    """Have `folder` hold what is in `stage`. Of two runs at once that end with the same one, the
    last one's frames are there whole.
    """
    if not folder.is_dir():
        try:
            os.replace(stage, folder)
            return
        except OSError:
            if not folder.is_dir():  # else another run has made it meanwhile
                raise
    hold = in_use.wait_for(folder)
    try:
        _check_folder(folder)
        _swap(stage, folder)
    finally:
        hold.release()


def _swap(stage: Path, folder: Path) -> None:
    """Move the new frames out of `stage` and the old ones into it, or leave all as it was."""
    new = sorted(stage.iterdir())
    old = stage / "old"
    old.mkdir()
    moves = []
    for entry in sorted(folder.iterdir()):
        if not entry.name.startswith("."):
            moves.append((entry, old / entry.name))
    for entry in new:
        moves.append((entry, folder / entry.name))
    done = []
    try:
        for source, goal in moves:
            done.append((source, goal))
            os.replace(source, goal)
    except BaseException:
        for source, goal in reversed(done):
            if goal.exists() and not source.exists():
                os.replace(goal, source)
        raise
