"""Finding a zone in the tables: exactly, or an error with near matches; never an average instead."""

import difflib

from energymeter.carbon import codecarbon_data
from energymeter.carbon.grid_tables import Figure, Tables, builtin
from energymeter.errors import GridError

# What people type. It is shown as a hint and never used as an answer.
_MEANT = {
    "UK": "GBR",
    "GB": "GBR",
    "US": "USA",
    "DE": "DEU",
    "CN": "CHN",
    "KR": "KOR",
    "CH": "CHE",
    "JP": "JPN",
}
_CHINESE_SUFFIXES = ("autonomous region", "municipality", "province")
NO_ZONE = 'no zone given, so no grams: name one, as in Grid("DEU"); "energymeter carbon grids" lists them'


def tables() -> Tables:
    """All tables that need no network: codecarbon's where it is installed, over the built-in one."""
    small = builtin()
    try:
        full = codecarbon_data.tables()
    except GridError as why:
        return small._replace(problem=str(why))
    if full is None:
        return small
    regions = {
        code: {**small.regions.get(code, {}), **full.regions.get(code, {})}
        for code in {*small.regions, *full.regions}
    }
    return Tables({**small.countries, **full.countries}, regions, full.clouds)


def figures(search: str = "") -> list[Figure]:
    """Every zone in the tables whose code or name contains ``search``, in any case."""
    known = tables()
    every = list(known.countries.values())
    for table in (*known.regions.values(), *known.clouds.values()):
        every += dict.fromkeys(table.values())
    wanted = search.casefold()
    return sorted(each for each in every if wanted in f"{each.zone} {each.name}".casefold())


def look_up(zone: str | None, region: str | None = None) -> Figure:
    """The row of a country or of one of its regions.

    Raises:
        GridError: no such country or region, or no zone was given.
    """
    if not zone:
        raise GridError(NO_ZONE)
    known = tables()
    country = known.countries.get(zone.upper()) or _by_name(zone, known)
    if country is None:
        raise GridError(_unknown(zone, known))
    figure = country if region is None else _region(country, region, known)
    if known.problem:
        figure = figure._replace(source=f"{figure.source} [{known.problem}]")
    return figure


def _by_name(name: str, known: Tables) -> Figure | None:
    wanted = "world average" if name.casefold() == "world" else name.casefold()
    return next((each for each in known.countries.values() if each.name.casefold() == wanted), None)


def _unknown(zone: str, known: Tables) -> str:
    names = {code: code for code in known.countries} | {
        f.name.casefold(): f.zone for f in known.countries.values()
    }
    wanted = zone.casefold()
    near = [_MEANT[zone.upper()]] if zone.upper() in _MEANT else []
    near += [code for name, code in names.items() if len(wanted) > 2 and wanted in name.casefold()]
    near += [
        names[name] for name in difflib.get_close_matches(wanted, [n for n in names if n.islower()], 4, 0.6)
    ]
    near += difflib.get_close_matches(zone.upper(), list(known.countries), 3, 0.6)
    shown = ", ".join(f"{code} {known.countries[code].name}" for code in list(dict.fromkeys(near))[:5])
    hint = f"did you mean {shown}?" if shown else "no known zone looks like it;"
    return f'no figure for "{zone}": {hint} {_remedy(known)}'


def _remedy(known: Tables) -> str:
    if known.problem:
        return known.problem
    if not known.clouds:
        return 'over 200 countries and their regions come with pip install "edge-energymeter[carbon]"'
    return 'see "energymeter carbon grids", give grams_per_kwh= and source=, or use the average "world"'


def _region(country: Figure, region: str, known: Tables) -> Figure:
    table = known.regions.get(country.zone, {})
    name = " ".join(region.casefold().split())
    for suffix in _CHINESE_SUFFIXES if country.zone == "CHN" else ():
        name = name.removesuffix(f" {suffix}")
    if name in table:
        return table[name]
    if not table:
        with_regions = ", ".join(sorted(known.regions))
        raise GridError(
            f"no regions of {country.zone} are known (only of {with_regions}): leave region out for the "
            f"country's average, or give grams_per_kwh=; {_remedy(known)}"
        )
    near = difflib.get_close_matches(name, list(table), 5, 0.5) or sorted(table)[:5]
    raise GridError(
        f'no region "{region}" in {country.zone}: did you mean {", ".join(near)}? {_remedy(known)}'
    )


def look_up_cloud(provider: str, region: str) -> Figure:
    known = tables()
    if not known.clouds:
        raise GridError(f"cloud regions need codecarbon's table: {_remedy(known)}")
    table = known.clouds.get(provider.casefold())
    if table is None:
        raise GridError(
            f'no figures for the cloud "{provider}", only for {", ".join(known.clouds)}: '
            "others publish none, so give the country where it is"
        )
    if region.casefold() in table:
        return table[region.casefold()]
    near = difflib.get_close_matches(region.casefold(), list(table), 5, 0.5) or sorted(table)[:5]
    raise GridError(f'no region "{region}" of {provider}: did you mean {", ".join(near)}?')
