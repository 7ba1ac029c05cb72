"""`Store`: the folder or bucket that a lake is in, where a file is whole or is not there."""

import contextlib
import os
import posixpath
import secrets
import tempfile
import time
from typing import TYPE_CHECKING, Any

from energymeter.errors import ExtraMissing, LogError, SpecError
from energymeter.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OBJECT_STORES = ("s3", "gs", "az", "memory")
"""Protocols of stores in which a file appears when all of it has arrived. ``memory`` is for tests."""
UNFINISHED = ".unfinished"
_MOST_READ_BYTES = 1 << 26


class Store:
    """Where a lake is: a folder, or ``s3://``, ``gs://``, ``az://`` by fsspec.

    Names of files are relative to its root, with ``/`` between folders.

    Args:
        root: the path or the URL. Keys of a remote store come from its own environment variables or files.
        options: of fsspec, such as ``endpoint_url`` of a store that speaks S3.

    Raises:
        SpecError: a URL of another kind, or one with a password in it.
        ExtraMissing: fsspec, or its part for this store, is not installed.
    """

    def __init__(self, root: str | os.PathLike[str], **options: Any) -> None:
        text = os.fspath(root)
        protocol, mark, rest = text.partition("://")
        if "::" in text or (mark and protocol not in (*OBJECT_STORES, "file")):
            raise SpecError(f"{_shown(text)} is no place for a lake; give a folder, s3://, gs:// or az://")
        if mark and "@" in rest.partition("/")[0]:
            raise SpecError(
                f"{_shown(text)} holds a user or a password; leave it out and use the store's own variables, "
                "such as AWS_ACCESS_KEY_ID"
            )
        self.remote = bool(mark) and protocol != "file"
        try:
            import fsspec
        except ImportError:
            raise ExtraMissing("fsspec", "lake", "a lake") from None
        try:
            self.files: Any = fsspec.filesystem(protocol if self.remote else "file", **options)
        except ImportError as missing:
            raise SpecError(
                f"{protocol}:// needs a package of fsspec; install {_PACKAGES.get(protocol, protocol)}"
            ) from missing
        self.protocol = protocol if self.remote else "file"
        self.options = options
        self.base = rest.strip("/") if self.remote else os.path.abspath(rest if mark else text)
        self.url = f"{protocol}://{self.base}" if self.remote else self.base
        """The root as engines take it."""

    def __repr__(self) -> str:
        return f"Store({printable(self.url)})"

    def path(self, name: str) -> str:
        """A file or folder of the lake as fsspec takes it."""
        return posixpath.join(self.base, name) if name else self.base

    def url_of(self, name: str) -> str:
        """A file or folder of the lake as engines take it."""
        return posixpath.join(self.url, name)

    def put(self, name: str, content: bytes) -> None:
        """Write a file that is whole or is not there; one of the same name is replaced.

        Raises:
            LogError: it cannot be written.
        """
        with self._reporting(name):
            if self.remote:
                self.files.pipe_file(self.path(name), content)
            else:
                _put_local(self.path(name), content)

    def put_file(self, name: str, path: str) -> None:
        """The same of a local file, which is moved or copied into the lake.

        Raises:
            LogError: it cannot be written.
        """
        target = self.path(name)
        with self._reporting(name):
            if self.remote:
                self.files.put_file(path, target)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                _finish(path, target)

    @contextlib.contextmanager
    def _reporting(self, name: str) -> "Iterator[None]":
        """Turn what a store raises while a file is written into a `LogError`."""
        try:
            yield
        except Exception as failure:  # each store raises errors of its own
            if isinstance(failure, (MemoryError, AssertionError)):
                raise
            raise LogError(
                f"{printable(self.url_of(name))} cannot be written ({_cause(failure)}); correct the store "
                "and push again"
            ) from failure

    @contextlib.contextmanager
    def writing(self, name: str) -> "Any":
        """The path of a local file to write, which becomes a file of the lake when the block ends well."""
        target = self.path(name)
        if self.remote:
            descriptor, path = tempfile.mkstemp(suffix=UNFINISHED)
        else:
            folder = os.path.dirname(target)
            try:
                os.makedirs(folder, exist_ok=True)
                descriptor, path = _created(folder)
            except OSError as failure:
                raise LogError(
                    f"{printable(folder)} cannot be written ({failure.strerror}); name another folder"
                ) from failure
        os.close(descriptor)
        try:
            yield path
            self.put_file(name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):  # it was renamed
                os.unlink(path)

    def read(self, name: str, most: int = _MOST_READ_BYTES) -> bytes | None:
        """The content of a file; ``None``: there is none.

        Raises:
            LogError: it is larger than ``most``, or cannot be read.
        """
        path = self.path(name)
        try:
            with self.files.open(path, "rb") as file:
                content: bytes = file.read(most + 1)
        except FileNotFoundError:
            return None
        except Exception as failure:
            raise LogError(
                f"{printable(self.url_of(name))} cannot be read ({_cause(failure)}); correct the store"
            ) from failure
        if len(content) > most:
            raise LogError(f"{printable(self.url_of(name))} is larger than {most} bytes; remove it")
        return content

    def names(self, folder: str, *, deep: bool = False) -> list[str]:
        """The whole files in a folder, sorted; none where there is no folder. ``deep``: and below it."""
        return sorted(self.details(folder, deep=deep))

    def details(self, folder: str, *, deep: bool = False) -> dict[str, tuple[int, float]]:
        """Bytes and age in seconds of each whole file in a folder, by its name."""
        base = self.path(folder)
        try:
            self.files.invalidate_cache()
            found = self.files.find(base, maxdepth=None if deep else 1, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except Exception as failure:
            raise LogError(
                f"{printable(self.url_of(folder))} cannot be listed ({_cause(failure)}); correct the store"
            ) from failure
        now = time.time()
        start = len(self.base) + 1
        shift = 1 if self.protocol == "memory" else 0  # its paths begin with a slash
        return {
            path[start + shift :]: (int(info.get("size") or 0), now - _modified(info, now))
            for path, info in found.items()
            if not posixpath.basename(path).startswith(".") and not path.endswith(UNFINISHED)
        }

    def unfinished(self, folder: str) -> list[str]:
        """Temporary files below a local folder that interrupted pushes left and that nobody writes."""
        if self.remote:
            return []
        found: list[str] = []
        for parent, _, names in os.walk(self.path(folder)):
            for name in names:
                path = os.path.join(parent, name)
                with contextlib.suppress(OSError):
                    if (
                        name.startswith(".")
                        and name.endswith(UNFINISHED)
                        and time.time() - os.path.getmtime(path) > GRACE_SECONDS
                    ):
                        found.append(path)
        return found

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder, sorted."""
        try:
            self.files.invalidate_cache()
            found = self.files.ls(self.path(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(
            posixpath.basename(info["name"].rstrip("/")) for info in found if info["type"] == "directory"
        )

    def remove(self, names: "Iterable[str]") -> None:
        """Remove files; those that are gone already are no error."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self.files.rm_file(self.path(name))


GRACE_SECONDS = 24 * 3600.0
"""What no run names may be of a push that is still under way; older than this it is removed."""
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}


def _put_local(target: str, content: bytes) -> None:
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    descriptor, path = _created(folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        _finish(path, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def _finish(path: str, target: str) -> None:
    """Give a written file its name; its content reaches the disk before that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(path, target)


def _created(folder: str) -> tuple[int, str]:
    """A new file with a name that nobody can foresee; its permissions are those of the user's umask."""
    path = os.path.join(folder, f".{secrets.token_hex(8)}{UNFINISHED}")
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666), path


def _modified(info: dict[str, Any], unknown: float) -> float:
    """Unix time at which a file was written, as the store says it."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value: Any = info.get(key)
        if isinstance(value, (int, float)):
            return float(value)
        if hasattr(value, "timestamp"):
            return float(value.timestamp())
    return unknown


def _cause(failure: BaseException) -> str:
    """What failed, in a few words; never more than the first line, and no key of a request."""
    text = getattr(failure, "strerror", None) or str(failure).partition("\n")[0]
    return printable(f"{type(failure).__name__}: {text[:120]}" if text else type(failure).__name__)


def _shown(url: str) -> str:
    """A URL without what stands before an ``@``, which may be a password."""
    protocol, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return printable(f"{protocol}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else url)
