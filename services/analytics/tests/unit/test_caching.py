"""What is kept stays within its room, and what many ask at once is made once."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from triptych.analytics.application.caching import MemoryCache, Representation, SingleFlight


def of_size(size: int) -> Representation:
    return Representation(bytes(size), ())


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3000)), max_size=80))
def test_the_room_is_never_exceeded_and_nothing_is_mistaken(asked: list[tuple[int, int]]) -> None:
    cache = MemoryCache(room=16_384)
    for name, size in asked:
        key = f"{name}-{size}"
        if cache.look(key) is None:
            cache.keep(key, of_size(size))
        found = cache.look(key)
        assert found is None or len(found.body) == size
        held = [*cache._once.values(), *cache._often.values()]
        assert sum(value.size for value in held) == cache.size <= cache.room


def test_who_walks_through_everything_pushes_out_nothing_that_others_come_back_to() -> None:
    cache = MemoryCache(room=100_000)
    cache.keep("hot", of_size(1000))
    cache.look("hot")

    for number in range(1000):
        cache.keep(f"cold {number}", of_size(1000))

    assert cache.look("hot") is not None


def test_what_is_larger_than_an_eighth_of_the_room_is_not_kept() -> None:
    cache = MemoryCache(room=80_000)

    cache.keep("large", of_size(10_001))

    assert cache.look("large") is None


class Making:
    """Counts how often something is made; it is done when the test says so."""

    def __init__(self) -> None:
        self.count = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> Representation:
        self.count += 1
        await self.may_end.wait()
        return of_size(self.count)


def test_what_many_ask_at_once_is_made_once() -> None:
    async def scenario() -> None:
        flights, making = SingleFlight(), Making()
        asking = [asyncio.create_task(flights.run("k", making)) for _ in range(200)]
        await asyncio.sleep(0)
        making.may_end.set()

        assert {len(found.body) for found in await asyncio.gather(*asking)} == {1}
        assert (making.count, flights.running("k")) == (1, False)

    asyncio.run(scenario())


def test_who_asked_first_and_goes_away_does_not_fail_the_others() -> None:
    async def scenario() -> None:
        flights, making = SingleFlight(), Making()
        first, second = (asyncio.create_task(flights.run("k", making)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        making.may_end.set()

        assert len((await second).body) == 1

    asyncio.run(scenario())


def test_a_failure_is_told_to_all_and_not_kept() -> None:
    async def scenario() -> None:
        flights = SingleFlight()

        async def fail() -> Representation:
            raise ValueError("no")

        asking = [asyncio.create_task(flights.run("k", fail)) for _ in range(3)]
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(end) for end in ended] == [ValueError] * 3
        making = Making()
        making.may_end.set()
        assert len((await flights.run("k", making)).body) == 1

    asyncio.run(scenario())
