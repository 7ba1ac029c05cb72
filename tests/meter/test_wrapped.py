"""Decorators on everything that can be called: the block is around its whole life."""

import asyncio
import functools
from contextlib import contextmanager

import pytest

from energymeter.meter.wrapped import wrapped


class Log:
    """What happened, in order."""

    def __init__(self):
        self.events = []

    @contextmanager
    def block(self):
        self.events.append("in")
        try:
            yield
        finally:
            self.events.append("out")

    def __call__(self, function):
        return wrapped(function, self.block)


@pytest.fixture
def log():
    return Log()


def plain(log):
    def work():
        log.events.append("work")
        return 7

    return work


def test_functions_methods_and_objects(log):
    class Model:
        @log
        def method(self):
            log.events.append("work")
            return 7

        @staticmethod
        @log
        def static():
            log.events.append("work")
            return 7

        @classmethod
        @log
        def of_class(cls):
            log.events.append("work")
            return 7

        def __call__(self):
            log.events.append("work")
            return 7

    model = Model()
    called = [
        log(plain(log)),
        log(functools.partial(plain(log))),
        log(staticmethod(plain(log))),
        model.method,
        Model.static,
        Model.of_class,
        log(model),
    ]
    for function in called:
        log.events.clear()
        assert function() == 7
        assert log.events == ["in", "work", "out"]


def coroutine(log):
    async def work():
        await asyncio.sleep(0)
        log.events.append("work")
        return 7

    return work


def test_coroutines(log):
    class Model:
        async def __call__(self):
            return await coroutine(log)()

    called = [
        log(coroutine(log)),
        log(functools.partial(coroutine(log))),
        log(staticmethod(coroutine(log))),
        log(Model()),
    ]
    for function in called:
        log.events.clear()
        assert asyncio.run(function()) == 7
        assert log.events == ["in", "work", "out"]


def generator(log):
    def work():
        try:
            sent = yield 1
            log.events.append(f"sent {sent}")
            yield 2
        except KeyError:
            log.events.append("thrown")
            yield 3
        finally:
            log.events.append("closed")

    return work


def async_generator(log):
    async def work():
        try:
            sent = yield 1
            log.events.append(f"sent {sent}")
            await asyncio.sleep(0)
            yield 2
        except KeyError:
            log.events.append("thrown")
            yield 3
        finally:
            log.events.append("closed")

    return work


def test_generators(log):
    work = log(generator(log))()
    assert log.events == []
    assert next(work) == 1
    assert work.send("x") == 2
    assert list(work) == []
    assert log.events == ["in", "sent x", "closed", "out"]


def test_async_generators_are_inside_from_the_first_step_to_the_last(log):
    async def main():
        return [item async for item in log(async_generator(log))()]

    assert asyncio.run(main()) == [1, 2]
    assert log.events == ["in", "sent None", "closed", "out"]


def test_async_generators_take_what_is_sent_and_thrown(log):
    async def main():
        work = log(async_generator(log))()
        assert await work.asend(None) == 1
        assert await work.asend("x") == 2
        await work.aclose()
        assert log.events == ["in", "sent x", "closed", "out"]
        log.events.clear()
        work = log(async_generator(log))()
        assert await work.__anext__() == 1
        assert await work.athrow(KeyError()) == 3
        with pytest.raises(StopAsyncIteration):
            await work.__anext__()

    asyncio.run(main())
    assert log.events == ["in", "thrown", "closed", "out"]


def test_an_async_generator_that_is_cancelled_is_closed(log):
    async def waits():
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            log.events.append("closed")

    async def main():
        async def consume():
            async for _ in log(waits)():
                pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log.events == ["in", "closed", "out"]
