"""Faces of packages: names that load their module when they are first used."""

import sys

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Callable


def face(
    package: str, homes: "dict[str, str]"
) -> "tuple[list[str], Callable[[str], object], Callable[[], list[str]]]":
    """What a package's ``__init__`` needs to export names without importing their modules.

    Args:
        package: its ``__name__``.
        homes: for each module below the package, the names it exports, with spaces in between.

    Returns:
        ``__all__``, ``__getattr__`` and ``__dir__`` of the package.
    """
    home = {name: module for module, names in homes.items() for name in names.split()}
    exported = sorted(home)

    def load(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{package}.{home[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return exported, load, lambda: sorted({*vars(sys.modules[package]), *exported})
