"""Finding a place in the tables: exact, or an error that lists what is near. Never an average instead."""

import difflib

from energymeter.carbon import codecarbon_data
from energymeter.carbon.grid_tables import Figure, Tables, builtin
from energymeter.errors import GridError

# What people type, for the hint only; it is not taken for an answer.
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
NO_PLACE = 'no place given, so no grams: name one, as in Grid("DEU"); "energymeter carbon grids" lists them'


def tables() -> Tables:
    """Everything known offline: codecarbon's tables where installed, over the built-in one."""
    small = builtin()
    try:
        full = codecarbon_data.tables()
    except GridError as why:
        return small._replace(trouble=str(why))
    if full is None:
        return small
    regions = {
        code: {**small.regions.get(code, {}), **full.regions.get(code, {})}
        for code in {*small.regions, *full.regions}
    }
    return Tables({**small.countries, **full.countries}, regions, full.clouds)


def figures(search: str = "") -> list[Figure]:
    """Every place known offline whose code or name contains ``search``, in any case."""
    known = tables()
    every = list(known.countries.values())
    for table in (*known.regions.values(), *known.clouds.values()):
        every += dict.fromkeys(table.values())
    wanted = search.casefold()
    return sorted(each for each in every if wanted in f"{each.place} {each.name}".casefold())


def look_up(place: str | None, region: str | None = None) -> Figure:
    """The row of a country or of one of its regions.

    Raises:
        GridError: no such country or region, or no place at all.
    """
    if not place:
        raise GridError(NO_PLACE)
    known = tables()
    country = known.countries.get(place.upper()) or _by_name(place, known)
    if country is None:
        raise GridError(_unknown(place, known))
    figure = country if region is None else _region(country, region, known)
    if known.trouble:
        figure = figure._replace(said_by=f"{figure.said_by} [{known.trouble}]")
    return figure


def _by_name(name: str, known: Tables) -> Figure | None:
    wanted = "world average" if name.casefold() == "world" else name.casefold()
    return next((each for each in known.countries.values() if each.name.casefold() == wanted), None)


def _unknown(place: str, known: Tables) -> str:
    names = {code: code for code in known.countries} | {
        f.name.casefold(): f.place for f in known.countries.values()
    }
    wanted = place.casefold()
    near = [_MEANT[place.upper()]] if place.upper() in _MEANT else []
    near += [code for name, code in names.items() if len(wanted) > 2 and wanted in name.casefold()]
    near += [
        names[name] for name in difflib.get_close_matches(wanted, [n for n in names if n.islower()], 4, 0.6)
    ]
    near += difflib.get_close_matches(place.upper(), list(known.countries), 3, 0.6)
    shown = ", ".join(f"{code} {known.countries[code].name}" for code in list(dict.fromkeys(near))[:5])
    hint = f"did you mean {shown}?" if shown else "no place known here looks like it;"
    return f'no figure for "{place}": {hint} {_remedy(known)}'


def _remedy(known: Tables) -> str:
    if known.trouble:
        return known.trouble
    if not known.clouds:
        return 'over 200 countries and their regions come with pip install "edge-energymeter[carbon]"'
    return 'see "energymeter carbon grids", give grams_per_kwh= and said_by=, or name the average "world"'


def _region(country: Figure, region: str, known: Tables) -> Figure:
    table = known.regions.get(country.place, {})
    name = " ".join(region.casefold().split())
    for suffix in _CHINESE_SUFFIXES if country.place == "CHN" else ():
        name = name.removesuffix(f" {suffix}")
    if name in table:
        return table[name]
    if not table:
        with_regions = ", ".join(sorted(known.regions))
        raise GridError(
            f"no regions are known of {country.place} (only of {with_regions}): leave region out for the "
            f"country's average, or give grams_per_kwh=; {_remedy(known)}"
        )
    near = difflib.get_close_matches(name, list(table), 5, 0.5) or sorted(table)[:5]
    raise GridError(
        f'no region "{region}" in {country.place}: did you mean {", ".join(near)}? {_remedy(known)}'
    )


def look_up_cloud(provider: str, region: str) -> Figure:
    known = tables()
    if not known.clouds:
        raise GridError(f"cloud regions need codecarbon's table: {_remedy(known)}")
    table = known.clouds.get(provider.casefold())
    if table is None:
        raise GridError(
            f'no figures for the cloud "{provider}", only for {", ".join(known.clouds)}: '
            "others publish none, so name the country it stands in"
        )
    if region.casefold() in table:
        return table[region.casefold()]
    near = difflib.get_close_matches(region.casefold(), list(table), 5, 0.5) or sorted(table)[:5]
    raise GridError(f'no region "{region}" of {provider}: did you mean {", ".join(near)}?')
