"""Live, past and forecast intensity of a grid, from a service on the network.

Nothing is requested before ``now``, ``between`` or ``forecast`` is called. Answers are cached and their age
is shown. After an error there is no request for a while. A fallback is named as such, with the reason.
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
    """An answer and when it was received, by the monotonic clock in seconds."""

    answer: Any
    fetched: float


def _require_sound(answer: Any) -> None:
    """Raise ValueError for an impossible intensity: NaN, below 0, of another unit or century."""
    for slot in answer if isinstance(answer, list) else [answer]:
        if not (_YEAR_2000 < slot.start < slot.end < _YEAR_2100):
            raise ValueError("impossible time")
        if not 0 <= slot.grams_per_kwh <= _MOST_GRAMS_PER_KWH:
            raise ValueError("impossible intensity")


class LiveGrid:
    """The grid of one zone, as one live service reports it.

    Args:
        provider: ``electricitymaps``, ``carbonintensity-gb`` (Great Britain, no key) or ``watttime``
            (marginal, converted from lb/MWh).
        zone: the service's own name of the zone; an outward postcode in Great Britain.
        token: of Electricity Maps. It appears in no message and no ``repr``.
        user, password: of WattTime.
        fallback: the grid to use when the service is unavailable; None: raise instead.
        timeout_seconds: for each answer.
        cache_seconds: how long an answer counts as current.
        stale_seconds: how long the last answer is used, marked as stale, while the service is unavailable.
        requests_per_hour: a limit of our own, below that of every provider (WattTime: 3000 in 5 min).
        url: another address of the same service.
        clock: the source of the time.

    Raises:
        SpecError: no such service, or it needs other options.
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
            raise SpecError(f"timeout_seconds={timeout_seconds} is impossible: give seconds above zero")
        self._url = check_url(url or self._provider.url)
        self._fallback = fallback
        self._timeout_seconds = timeout_seconds
        self._cache_seconds, self._stale_seconds = cache_seconds, stale_seconds
        self._requests_per_hour = requests_per_hour
        self._clock = clock or SystemClock()
        self._kept: dict[object, _Kept] = {}
        self._asked: deque[float] = deque()
        self._wait = self._retry_after = 0.0
        self._not_before, self._last_error = -math.inf, ""
        self.requests = 0
        """The number of requests sent so far."""

    def __repr__(self) -> str:
        return f"LiveGrid({self._provider.label}, {self._provider.zone or 'national'})"

    def now(self) -> Grid:
        """The intensity of this moment; ``source`` names its time and age, and a fallback as such.

        Raises:
            GridError: it is unavailable, and there is neither a recent answer nor a fallback.
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
            return self._as_fallback(self._fallback, why)

    def between(self, start: float, end: float) -> Intensities:
        """The intensity from ``start`` to ``end`` (Unix seconds), by half-hours or the service's own slots.

        Raises:
            GridError: it is unavailable and there is no fallback.
        """
        if not start < end:
            raise SpecError("the stretch must end after it starts")
        fetch = partial(self._provider.between, self._get, start, end, self._clock.time())
        try:
            # The past does not change; a stretch that is not over does.
            fresh_for = math.inf if end < self._clock.time() - 7200 else self._cache_seconds
            slots, age = self._cached((start, end), fetch, fresh_for)
        except GridError as why:
            if self._fallback is None:
                raise
            flat = self._as_fallback(self._fallback, why)
            return Intensities(
                [Slot(start, end, flat.grams_per_kwh, True)],
                zone=flat.zone,
                source=flat.source,
                marginal=flat.marginal,
                relative=flat.relative,
            )
        return self._intensities(slots, age)

    def forecast(self, hours: float = 24.0) -> Intensities:
        """The forecast; never a fallback, because a flat line has no cleanest hour.

        Raises:
            GridError: it is unavailable.
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
        self._retry_after = 0.0
        return get_json(
            self._provider.label,
            self._url,
            path,
            query,
            headers,
            self._timeout_seconds,
            self._keep_retry_after,
        )

    def _cached(self, key: object, fetch: Callable[[], _Answer], fresh_for: float) -> tuple[_Answer, float]:
        """The answer and its age in seconds, from memory while fresh."""
        kept = self._kept.get(key)
        if kept is not None and self._monotonic() - kept.fetched <= fresh_for:
            return kept.answer, self._monotonic() - kept.fetched
        left = self._not_before - self._monotonic()
        if left > 0:
            raise GridError(f"{self._last_error} (next request in {left:.0f} s; wait or give a fallback)")
        try:
            answer = fetch()
            _require_sound(answer)
        except GridError as why:
            self._back_off(why)
            raise
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as why:
            error = GridError(
                f"{self._provider.label} answered in another form than the documented one "
                f"({type(why).__name__}): try again later or give a fallback"
            )
            self._back_off(error)
            raise error from None
        self._wait = 0.0
        while len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept.pop(key, None)
        self._kept[key] = _Kept(answer, self._monotonic())
        return answer, 0.0

    def _back_off(self, why: GridError) -> None:
        """Set the wait before the next request: twice as long each time, or as the service asked."""
        self._wait = min(max(2 * self._wait, _FIRST_WAIT), _LONGEST_WAIT)
        self._not_before = self._monotonic() + max(self._wait, min(self._retry_after, _LONGEST_WAIT))
        self._last_error = str(why)

    def _keep_retry_after(self, seconds: float) -> None:
        self._retry_after = seconds

    def _source(self, slot: Slot, age: float) -> str:
        kind = "estimated " if slot.estimated else ""
        return f"{self._provider.label}, {kind}{clock_text(slot.start)}, fetched {age:.0f} s ago"

    def _grid(self, slot: Slot, age: float, note: str) -> Grid:
        zone, year = self._provider.zone or "GBR", int(clock_text(slot.start)[:4])
        grid = Grid(
            zone,
            grams_per_kwh=slot.grams_per_kwh,
            source=self._source(slot, age) + note,
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
            zone=self._provider.zone or "GBR",
            source=self._source(slots[0], age),
            marginal=self._provider.marginal,
        )

    def _as_fallback(self, fallback: Grid, why: GridError) -> Grid:
        return Grid(
            fallback.zone,
            grams_per_kwh=fallback.grams_per_kwh,
            source=f"{fallback.source} (fallback: {why})",
            year=fallback.year,
            relative=fallback.relative,
            marginal=fallback.marginal,
            checked=True,
        )

    def _monotonic(self) -> float:
        return self._clock.monotonic_ns() / 1e9
