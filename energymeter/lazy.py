"""What costs nothing until it is used: the faces of packages, named tuples and protocols without `typing`.

Importing `typing` takes as long as starting a bare interpreter. What every measurement loads, in the program
and in the sampling process, does without it.
"""

import sys

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any
    from typing import NamedTuple as NamedTuple
    from typing import Protocol as Protocol
    from typing import runtime_checkable as runtime_checkable


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
        value = getattr(module(f"{package}.{home[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return exported, load, lambda: sorted({*vars(sys.modules[package]), *exported})


def module(name: str) -> "Any":
    """A module by its full name, imported if it is not yet; `importlib` would load `warnings` for it."""
    __import__(name)
    return sys.modules[name]


class suppress:  # noqa: N801 - named as in `contextlib`
    """`contextlib.suppress`, which takes a twentieth of a bare start to load."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> bool:
        return kind is not None and issubclass(kind, self._errors)


made = tuple.__new__
"""Makes a named tuple from its class and a tuple of all its values. Nothing is checked: for those that
are made by the thousand."""

if not TYPE_CHECKING:
    _MISSING = object()

    class NamedTuple(tuple):
        """A tuple with names, declared and used as one of `typing`, but declared in a tenth of the time."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}  # noqa: RUF012 - never written to

        def __init_subclass__(cls):
            if NamedTuple not in cls.__bases__:
                return  # it has the fields of its base
            fields = cls._fields = cls.__match_args__ = (*cls.__annotations__,)
            cls._field_defaults = {name: vars(cls)[name] for name in fields if name in vars(cls)}
            cls._needed = len(fields) - len(cls._field_defaults)
            cls._fallbacks = (_MISSING,) * cls._needed + (*cls._field_defaults.values(),)
            for place, name in enumerate(fields):
                setattr(cls, name, _getter(place))

        def __new__(cls, *values, **named):
            given = len(values)
            if named or given != len(cls._fields):
                # in C as far as it goes: a reading is made like this at every sample
                values += (*map(named.pop, cls._fields[given:], cls._fallbacks[given:]),)
                if named or given > len(cls._fields) or given < cls._needed:
                    cls._refuse(given, named, values)
            return tuple.__new__(cls, values)

        @classmethod
        def _refuse(cls, given, named, values):
            """Raise where a value is missing, or where one is too much."""
            wrong = sorted(named) or [
                name for name, value in zip(cls._fields, values, strict=False) if value is _MISSING
            ]
            if wrong or given > len(cls._fields):
                what = ", ".join(wrong) or f"{given} values"
                raise TypeError(f"{cls.__name__} has the fields {', '.join(cls._fields)}; correct {what}")

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **named):
            replaced = self._make(map(named.pop, self._fields, self))
            if named:
                raise ValueError(f"{type(self).__name__} has no {', '.join(named)}")
            return replaced

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        __replace__ = _replace

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            values = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({values})"

    def _getter(place):
        """What reads one item by its name, as `collections` has it."""
        try:
            from _collections import _tuplegetter
        except ImportError:  # an interpreter that is not CPython
            from operator import itemgetter

            return property(itemgetter(place))
        return _tuplegetter(place, None)

    class _Structure(type):
        """What `isinstance` asks of a protocol: whether an object has all that its body names."""

        def __instancecheck__(cls, instance):
            return type(instance) is cls or all(hasattr(instance, name) for name in cls._members)

    class Protocol(metaclass=_Structure):
        """A protocol, declared and used as one of `typing`; also one that `isinstance` may be asked about."""

        _members = ()

        def __init_subclass__(cls):
            if Protocol in cls.__bases__:
                named = (*vars(cls), *vars(cls).get("__annotations__", ()))
                cls._members = (*cls._members, *(name for name in named if not name.startswith("_")))

    def runtime_checkable(protocol):
        """Each of them is."""
        return protocol
