"""A grid that is asked over the network, when told to: live, past and forecast intensity.

Nothing is asked before ``now``, ``between`` or ``forecast`` is called. Answers are kept and their age
is shown; after a error the service is left alone for a while; a fallback, where one was given, says
that it is one and why.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from energymeter.carbon.grid import Grid
from energymeter.carbon.intensity import Intensities, Slot, clock_text
from energymeter.carbon.live_providers import provider as find_provider
from energymeter.carbon.web_json import check_url, get_json
from energymeter.clock import Clock, SystemClock
from energymeter.errors import GridError, SpecError

_Answer = TypeVar("_Answer")
_FIRST_WAIT, _LONGEST_WAIT = 30.0, 3600.0
_KEPT = 16
_MOST_GRAMS_PER_KWH = 3000.0
_YEAR_2000, _YEAR_2100 = 946_684_800.0, 4_102_444_800.0


class _Kept(NamedTuple):
    """An answer and when it was fetched, by the monotonic clock in seconds."""

    answer: Any
    fetched: float


def _require_sound(answer: Any) -> None:
    """ValueError where an answer holds what is no intensity: NaN, below 0, of another unit or century."""
    for slot in answer if isinstance(answer, list) else [answer]:
        if not (_YEAR_2000 < slot.start < slot.end < _YEAR_2100):
            raise ValueError("no time")
        if not 0 <= slot.grams_per_kwh <= _MOST_GRAMS_PER_KWH:
            raise ValueError("no intensity")


class LiveGrid:
    """One zone of one live service.

    Args:
        provider: ``electricitymaps``, ``carbonintensity-gb`` (Great Britain, no key) or ``watttime``
            (marginal, converted from lb/MWh).
        zone: the service's own name of the place; an outward postcode in Great Britain.
        token: Electricity Maps' token. It appears in no message and no ``repr``.
        user, password: WattTime's.
        fallback: what to take, and say so, when the service cannot be had; None: raise instead.
        timeout_seconds: for each answer.
        cache_seconds: how long an answer counts as of now.
        stale_seconds: how long the last answer may stand in, and say so, for one that cannot be had.
        requests_per_hour: our own ceiling, below that of every provider (WattTime: 3000 in 5 min).
        url: another address of the same service.
        clock: what the time is.

    Raises:
        SpecError: no such service, or it needs something else to be asked.
    """

    def __init__(
        self,
        provider: str,
        *,
        zone: str | None = None,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        fallback: Grid | None = None,
        timeout_seconds: float = 10.0,
        cache_seconds: float = 300.0,
        stale_seconds: float = 3600.0,
        requests_per_hour: int = 60,
        url: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._provider = find_provider(provider, zone, token, user, password)
        if not 0 < timeout_seconds < math.inf:
            raise SpecError(
                f"timeout_seconds={timeout_seconds} waits for ever or not at all: give seconds above zero"
            )
        self._url = check_url(url or self._provider.url)
        self._fallback = fallback
        self._timeout_seconds = timeout_seconds
        self._cache_seconds, self._stale_seconds = cache_seconds, stale_seconds
        self._requests_per_hour = requests_per_hour
        self._clock = clock or SystemClock()
        self._kept: dict[object, _Kept] = {}
        self._asked: deque[float] = deque()
        self._wait = self._asked_wait = 0.0
        self._quiet_until, self._last_trouble = -math.inf, ""
        self.requests = 0
        """How many have been sent."""

    def __repr__(self) -> str:
        return f"LiveGrid({self._provider.label}, {self._provider.zone or 'national'})"

    def now(self) -> Grid:
        """The intensity of this moment; ``said_by`` tells its time, its age and whether it is a stand-in.

        Raises:
            GridError: it cannot be had, and there is neither a recent answer nor a fallback.
        """
        fetch = partial(self._provider.latest, self._get, self._clock.time())
        try:
            slot, age = self._cached("now", fetch, self._cache_seconds)
            return self._grid(slot, age, "")
        except GridError as why:
            kept = self._kept.get("now")
            if kept is not None and self._monotonic() - kept.fetched <= self._stale_seconds:
                return self._grid(kept.answer, self._monotonic() - kept.fetched, f"; stale: {why}")
            if self._fallback is None:
                raise
            return self._stand_in(self._fallback, why)

    def between(self, start: float, end: float) -> Intensities:
        """What the grid did from ``start`` to ``end`` (unix seconds), for the energy of each half-hour.

        Raises:
            GridError: it cannot be had and there is no fallback.
        """
        if not start < end:
            raise SpecError("the stretch must end after it starts")
        fetch = partial(self._provider.between, self._get, start, end, self._clock.time())
        try:
            # What is over does not change; a stretch that still runs does.
            fresh_for = math.inf if end < self._clock.time() - 7200 else self._cache_seconds
            slots, age = self._cached((start, end), fetch, fresh_for)
        except GridError as why:
            if self._fallback is None:
                raise
            flat = self._stand_in(self._fallback, why)
            return Intensities(
                [Slot(start, end, flat.grams_per_kwh, True)],
                place=flat.place,
                said_by=flat.said_by,
                marginal=flat.marginal,
                relative=flat.relative,
            )
        return self._intensities(slots, age)

    def forecast(self, hours: float = 24.0) -> Intensities:
        """What the grid is expected to do; never a fallback, since a flat line has no cleanest hour.

        Raises:
            GridError: it cannot be had.
        """
        fetch = partial(self._provider.forecast, self._get, self._clock.time(), hours)
        return self._intensities(*self._cached(("forecast", hours), fetch, self._cache_seconds))

    def _get(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        now = self._monotonic()
        while self._asked and now - self._asked[0] > 3600:
            self._asked.popleft()
        if len(self._asked) >= self._requests_per_hour:
            raise GridError(
                f"{self._requests_per_hour} requests went to {self._provider.label} within the hour: "
                "ask less often or raise requests_per_hour"
            )
        self._asked.append(now)
        self.requests += 1
        self._asked_wait = 0.0
        return get_json(
            self._provider.label, self._url, path, query, headers, self._timeout_seconds, self._told_to_wait
        )

    def _cached(self, key: object, fetch: Callable[[], _Answer], fresh_for: float) -> tuple[_Answer, float]:
        """The answer and its age in seconds, from memory while fresh."""
        kept = self._kept.get(key)
        if kept is not None and self._monotonic() - kept.fetched <= fresh_for:
            return kept.answer, self._monotonic() - kept.fetched
        left = self._quiet_until - self._monotonic()
        if left > 0:
            raise GridError(f"{self._last_trouble} (not asked again for {left:.0f} s)")
        try:
            answer = fetch()
            _require_sound(answer)
        except GridError as why:
            self._leave_alone(why)
            raise
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as why:
            trouble = GridError(
                f"{self._provider.label} answered in a shape that is not its documented one "
                f"({type(why).__name__}): try again later or give a fallback"
            )
            self._leave_alone(trouble)
            raise trouble from None
        self._wait = 0.0
        while len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept.pop(key, None)
        self._kept[key] = _Kept(answer, self._monotonic())
        return answer, 0.0

    def _leave_alone(self, why: GridError) -> None:
        """Wait before the next request: twice as long each time, or as long as was asked for."""
        self._wait = min(max(2 * self._wait, _FIRST_WAIT), _LONGEST_WAIT)
        self._quiet_until = self._monotonic() + max(self._wait, min(self._asked_wait, _LONGEST_WAIT))
        self._last_trouble = str(why)

    def _told_to_wait(self, seconds: float) -> None:
        self._asked_wait = seconds

    def _said_by(self, slot: Slot, age: float) -> str:
        kind = "estimated " if slot.estimated else ""
        return f"{self._provider.label}, {kind}{clock_text(slot.start)}, fetched {age:.0f} s ago"

    def _grid(self, slot: Slot, age: float, note: str) -> Grid:
        place, year = self._provider.zone or "GBR", int(clock_text(slot.start)[:4])
        grid = Grid(
            place,
            grams_per_kwh=slot.grams_per_kwh,
            said_by=self._said_by(slot, age) + note,
            year=year,
            marginal=self._provider.marginal,
            checked=True,
        )
        grid.as_of = slot.start
        return grid

    def _intensities(self, slots: list[Slot], age: float) -> Intensities:
        if not slots:
            raise GridError(f"{self._provider.label} has nothing for that stretch of time: ask for another")
        return Intensities(
            slots,
            place=self._provider.zone or "GBR",
            said_by=self._said_by(slots[0], age),
            marginal=self._provider.marginal,
        )

    def _stand_in(self, fallback: Grid, why: GridError) -> Grid:
        return Grid(
            fallback.place,
            grams_per_kwh=fallback.grams_per_kwh,
            said_by=f"{fallback.said_by} (fallback: {why})",
            year=fallback.year,
            relative=fallback.relative,
            marginal=fallback.marginal,
            checked=True,
        )

    def _monotonic(self) -> float:
        return self._clock.monotonic_ns() / 1e9
