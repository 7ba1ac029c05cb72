"""What an agent serves and to whom: the sources of the command line, or a file.

The file is one of sections::

    [agent]
    group = energymeter       ; whose members may connect; nobody else but its own user and root
    linger = 5                ; seconds that a source is read after its last listener has gone
    always = no               ; read all sources from the start

    [source um25c]
    spec = um25c@/dev/rfcomm0
    rate = 2                  ; readings a second
"""

import configparser
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from energymeter.errors import EnergyMeterError, SpecError
from energymeter.paths import read_file
from energymeter.sampling.config import SourceConfig
from energymeter.serve.names import MOST_SOURCES
from energymeter.spec import parse
from energymeter.text import printable
from energymeter.units import number

EXPORTER_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "web": ("recordings",),
    "metrics": (),
    "mqtt": ("url", "title", "prefix"),
    "otlp": ("url", "host"),
    "budgets": ("names",),
    "record": ("folder", "megabytes", "minutes"),
    "push": ("to", "endpoint"),
}
"""Sections that exporters read, and their keys; see `Config.sections`."""
MOST_BYTES = 65_536
LINGER_SECONDS = 5.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEYS = {"agent": ("socket", "group", "linger", "always"), "source": ("spec", "rate")}
_YES_NO = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


Check = Callable[[str, Mapping[str, str], Sequence[str]], None]


@contextlib.contextmanager
def _named(path: str, title: str) -> Iterator[None]:
    """What is wrong within is said to be so in this section of the file."""
    try:
        yield
    except EnergyMeterError as failure:
        failure.args = (printable(f"{path}: [{title}]: {failure}"),)
        raise


class SourceEntry(NamedTuple):
    """One source that is served."""

    name: str
    configs: tuple[SourceConfig, ...]
    """All parts of it."""
    counted: int
    """The first of them, which add up; the others are shown."""

    @classmethod
    def of(cls, name: str, text: str, rate_hz: float | None = None) -> "SourceEntry":
        """A source by its spec.

        Raises:
            SpecError: the name or the spec makes no sense, or it is an agent's source.
        """
        if not _NAME.fullmatch(name):
            raise SpecError(f"a source cannot be named {name!r}; use letters, digits, '.', '_' and '-'")
        groups = parse(text)
        specs = [spec for group in groups for spec in group]
        if any(spec.driver == "agent" for spec in specs):
            raise SpecError("an agent does not serve the source of an agent; name the source itself")
        configs = tuple(SourceConfig(spec, rate_hz) for spec in specs)
        for config in configs:
            if config.build().facts.replayed:
                raise SpecError(
                    f"{name} plays a recording at its own times, which cannot be served; leave out speed=max"
                )
            config.pace()
        return cls(name, configs, len(groups[0]))


class Config(NamedTuple):
    """What the agent serves."""

    sources: tuple[SourceEntry, ...]
    socket: str | None = None
    """The path of its Unix socket; ``None``: the usual one."""
    group: str | None = None
    """The group whose members may connect, next to the agent's user and root."""
    linger_seconds: float = LINGER_SECONDS
    always: bool = False
    """Read all sources from the start, also while nobody listens."""
    sections: Mapping[str, Mapping[str, str]] = {}
    """Those of `EXPORTER_SECTIONS`, as they are written."""

    @classmethod
    def of(cls, specs: tuple[str, ...]) -> "Config":
        """The sources of a command line; a name is the driver's, numbered where it is not the only one.

        Raises:
            SpecError: a spec makes no sense.
        """
        entries: list[SourceEntry] = []
        for text in specs:
            driver = parse(text)[0][0].driver
            name, number_of_name = driver, 1
            while name in [entry.name for entry in entries]:
                number_of_name += 1
                name = f"{driver}-{number_of_name}"
            entries.append(SourceEntry.of(name, text))
        return cls(tuple(entries))

    @classmethod
    def load(cls, path: str, check: "Check | None" = None) -> "Config":
        """A file.

        Args:
            path: of the file.
            check: called with the title and the keys of each section of `EXPORTER_SECTIONS` and the names of
                all sources, once all is read; raises what is wrong with its values.

        Raises:
            EnergyMeterError: it cannot be read or understood; the sentence names the file and the section.
        """
        parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
        try:
            parser.read_string(read_file(path, MOST_BYTES).decode("utf-8"), path)
        except OSError as failure:
            raise SpecError(
                f"{path} cannot be read ({failure.strerror}); check its name and rights"
            ) from failure
        except (configparser.Error, UnicodeDecodeError) as failure:
            why = type(failure).__name__
            raise SpecError(
                f"{path} cannot be understood ({why}); write sections such as [source um25c]"
            ) from failure
        config = cls(())
        for title in parser.sections():
            with _named(path, title):
                config = config._with_section(title, dict(parser[title]))
        if check is not None:
            for title, keys in config.sections.items():
                with _named(path, title):
                    check(title, keys, [entry.name for entry in config.sources])
        return config

    def _with_section(self, title: str, keys: Mapping[str, str]) -> "Config":
        kind, _, name = title.partition(" ")
        known = EXPORTER_SECTIONS.get(title, None if kind == "agent" and name else _KEYS.get(kind))
        if known is None:
            raise SpecError("there is no such section; see docs/serve.md")
        unknown = sorted(set(keys) - set(known))
        if unknown:
            raise SpecError(f"the key {unknown[0]} is not known; see docs/serve.md")
        if title in EXPORTER_SECTIONS:
            return self._replace(sections={**self.sections, title: keys})
        return self._with_agent(keys) if kind == "agent" else self._with_source(name.strip(), keys)

    def _with_agent(self, keys: Mapping[str, str]) -> "Config":
        always = _YES_NO.get(keys.get("always", "no").lower())
        linger = number(keys.get("linger", str(self.linger_seconds)))
        if always is None or linger is None or not 0 <= linger <= 86_400:
            raise SpecError("always is yes or no, and linger at most 86400 seconds; correct it")
        return self._replace(
            socket=keys.get("socket"), group=keys.get("group"), linger_seconds=linger, always=always
        )

    def _with_source(self, name: str, keys: Mapping[str, str]) -> "Config":
        rate_hz = number(keys["rate"]) if "rate" in keys else None
        if "spec" not in keys or ("rate" in keys and rate_hz is None):
            raise SpecError("a source needs spec = …, and rate is a number; correct it")
        return self._replace(sources=(*self.sources, SourceEntry.of(name, keys["spec"], rate_hz)))

    def checked(self) -> "Config":
        """The config, if something can be served.

        Raises:
            SpecError: no source, too many, or two of one name.
        """
        names = [entry.name for entry in self.sources]
        if not names:
            raise SpecError("there is no source to serve; name one, as in `energymeter serve ina219@1:0x40`")
        if len(names) > MOST_SOURCES or len({*names}) < len(names):
            raise SpecError(
                f"an agent serves at most {MOST_SOURCES} sources, each of another name; rename some"
            )
        return self
