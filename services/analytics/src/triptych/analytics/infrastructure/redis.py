"""What replicas share through Redis: answers, the queries under way, and what clients have used.

Nothing depends on it: while it is away or slow, each replica goes on by itself.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from triptych.analytics.application.caching import MemoryCache, Representation
from triptych.analytics.application.limiting import Limiter, LimitsUnknown, WhenAway
from triptych.analytics.domain.limits import SLOTS, Policy, Standing, Verdict
from triptych.core.logging import get_logger

log = get_logger(__name__)
T = TypeVar("T")

_PAUSE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.05


@dataclass
class Shared:
    """A Redis that may be away. For one event loop."""

    client: "Redis"
    seconds: float
    """How long it may take to answer; then it is left alone for a second."""
    _away_until: float = 0.0

    @classmethod
    def at(cls, url: str, seconds: float) -> "Shared":
        """The one at a URL. Nothing is connected to yet."""
        client = Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
        return cls(client, seconds)

    async def ask(self, what: Callable[["Redis"], Awaitable[T]]) -> T | None:
        """What it answers; None while it is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return await asyncio.wait_for(what(self.client), self.seconds)
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = time.monotonic() + _PAUSE_SECONDS
            log.warning("redis.away", error=type(error).__name__)
            return None

    async def close(self) -> None:
        """Let go of its connections."""
        await self.client.aclose()

    def note(self) -> str | None:
        """What an operator should know."""
        if time.monotonic() < self._away_until:
            return "Redis is away: this replica goes on by itself."
        return None


@dataclass
class SharedCache:
    """Keeps answers in memory, and in Redis for the other replicas."""

    memory: MemoryCache
    shared: Shared
    seconds: int
    """How long Redis keeps an answer."""

    async def get(self, key: str) -> Representation | None:
        """See `Cache.get`."""
        if (found := self.memory.look(key)) is not None:
            return found
        packed = await self.shared.ask(lambda redis: redis.get(_answer(key)))
        if not isinstance(packed, bytes):
            return None
        found = _unpacked(packed)
        self.memory.keep(key, found)
        return found

    async def put(self, key: str, value: Representation) -> None:
        """See `Cache.put`."""
        self.memory.keep(key, value)
        await self.shared.ask(
            lambda redis: redis.set(_answer(key), _packed(value), ex=self.seconds)
        )


@dataclass
class SharedFlight:
    """Lets one replica compute what several are asked for at once."""

    shared: Shared
    seconds: float
    """How long a replica may take; then another takes over."""

    async def run(
        self, key: str, make: Callable[[], Coroutine[None, None, Representation]]
    ) -> Representation:
        """What another replica has computed meanwhile, or else what this one computes.

        Raises:
            Exception: what `make` raises.
        """
        lock, token = f"analytics:lock:{key}", secrets.token_hex(8)
        life = int(self.seconds * 1000)
        while True:
            free = await self.shared.ask(lambda redis: _take(redis, lock, token, life, key))
            if isinstance(free, bytes):
                return _unpacked(free)
            if free is not False:  # it is ours, or Redis is away
                break
            await asyncio.sleep(_LOOK_SECONDS)
        try:
            return await make()
        finally:
            await self.shared.ask(lambda redis: _eval(redis, _RELEASE, [lock], [token]))


async def _take(redis: "Redis", lock: str, token: str, life: int, key: str) -> bytes | bool:
    """The answer, if it is there by now; else whether the lock is ours."""
    ours = bool(await redis.set(lock, token, nx=True, px=life))
    # After that: who had the lock before has kept its answer before it gave the lock away.
    found = await redis.get(_answer(key))
    if not isinstance(found, bytes):
        return ours
    if ours:
        await _eval(redis, _RELEASE, [lock], [token])
    return found


@dataclass
class SharedLimiter:
    """Limits that hold over all replicas: one round trip, which Redis does as a whole."""

    policies: Sequence[Policy]
    shared: Shared
    local: Limiter
    when_away: WhenAway
    clock: Callable[[], float] | None = None
    """Redis's own, if it is left out."""

    async def charge(self, client: str, cost: int) -> Verdict:
        """See `Limiter.charge`.

        Raises:
            LimitsUnknown: Redis is away, and nobody is to get anything then.
        """
        if not self.policies:
            return Verdict(allowed=True, standings=())
        now = "" if self.clock is None else repr(self.clock())
        given: list[str | int] = [cost, now, SLOTS]
        for policy in self.policies:
            given += [policy.quota, policy.window]
        key = f"analytics:used:{client}"
        found = await self.shared.ask(lambda redis: _eval(redis, _CHARGE, [key], given))
        if found is not None:
            return self._verdict(cast("list[int]", found))
        match self.when_away:
            case WhenAway.LOCAL:
                return await self.local.charge(client, cost)
            case WhenAway.ALLOW:
                return Verdict(allowed=True, standings=())
            case WhenAway.REFUSE:
                raise LimitsUnknown("Redis is away")

    def _verdict(self, found: list[int]) -> Verdict:
        allowed, retry, *numbers = found
        standings = tuple(
            Standing(policy, remaining, reset)
            for policy, remaining, reset in zip(
                self.policies, numbers[::2], numbers[1::2], strict=True
            )
        )
        return Verdict(bool(allowed), standings, retry)


async def _eval(
    redis: "Redis", script: str, keys: Sequence[str], given: Sequence[str | int]
) -> Any:
    return await redis.register_script(script)(keys=list(keys), args=list(given))


def _answer(key: str) -> str:
    return f"analytics:answer:{key}"


def _packed(value: Representation) -> bytes:
    return orjson.dumps(value.headers) + b"\n" + value.body


def _unpacked(packed: bytes) -> Representation:
    headers, _, body = packed.partition(b"\n")
    return Representation(body, tuple((name, text) for name, text in orjson.loads(headers)))


_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

# The same as `domain.limits.decide`: a contract suite holds both to it.
_CHARGE: Final = """
local cost, now, slots = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local stored = redis.call('HGETALL', KEYS[1])
local policies, wait, longest, dead = {}, 0, 0, {}
for n = 4, #ARGV, 2 do
  local quota, window = tonumber(ARGV[n]), tonumber(ARGV[n + 1])
  local id, length = ARGV[n] .. '/' .. ARGV[n + 1], window / slots
  local this = math.floor(now / length)
  local p = {id = id, quota = quota, length = length, this = this, total = 0, used = {}, order = {},
             cost = math.min(cost, quota)}
  for i = 1, #stored, 2 do
    local of, slot = string.match(stored[i], '^(.*):(%d+)$')
    if of == id then
      slot = tonumber(slot)
      if slot < this - slots then
        dead[#dead + 1] = stored[i]
      else
        local counted = math.min(slot, this)
        if not p.used[counted] then
          p.order[#p.order + 1] = counted
          p.used[counted] = 0
        end
        p.used[counted] = p.used[counted] + tonumber(stored[i + 1])
        p.total = p.total + tonumber(stored[i + 1])
        if slot > this then
          redis.call('HDEL', KEYS[1], stored[i])
          redis.call('HINCRBY', KEYS[1], id .. ':' .. string.format('%d', this), stored[i + 1])
        end
      end
    end
  end
  table.sort(p.order)
  local missing = p.total + p.cost - quota
  if missing > 0 then
    for _, slot in ipairs(p.order) do
      missing = missing - p.used[slot]
      if missing <= 0 then
        wait = math.max(wait, (slot + slots + 1) * length - now)
        break
      end
    end
  end
  longest = math.max(longest, window)
  policies[#policies + 1] = p
end
if #dead > 0 then redis.call('HDEL', KEYS[1], unpack(dead)) end
local answer = {wait > 0 and 0 or 1, math.ceil(wait)}
for _, p in ipairs(policies) do
  if wait <= 0 and p.cost > 0 then
    redis.call('HINCRBY', KEYS[1], p.id .. ':' .. string.format('%d', p.this), p.cost)
    p.total = p.total + p.cost
    p.order[#p.order + 1] = p.this
  end
  local last = p.order[#p.order]
  answer[#answer + 1] = math.max(p.quota - p.total, 0)
  answer[#answer + 1] = last and math.ceil((last + slots + 1) * p.length - now) or 0
end
if cost > 0 then redis.call('EXPIRE', KEYS[1], math.ceil(longest * 1.1) + 1) end
return answer
"""
