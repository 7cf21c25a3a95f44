"""Hypothesis strategies for the domain's values."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from triptych.core.domain.event import Event

_FIRST = datetime(1990, 1, 1)  # noqa: DTZ001  # hypothesis wants bounds without a zone
_LAST = datetime(2049, 12, 31)  # noqa: DTZ001

# Everything that CloudEvents 3.1 allows in a string.
_CHARACTERS = st.characters(
    exclude_categories=["Cc", "Cs", "Cn"],
    exclude_characters="".join(
        chr(p * 0x10000 + last) for p in range(17) for last in (0xFFFE, 0xFFFF)
    ),
)


def texts(min_size: int = 1) -> st.SearchStrategy[str]:
    """Text that may be an attribute of an event."""
    return st.text(_CHARACTERS, min_size=min_size, max_size=20)


def json_values() -> st.SearchStrategy[object]:
    """Any JSON value, nested a few levels deep."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20).filter(lambda text: text.isprintable())
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(), inner, max_size=4),
        max_leaves=8,
    )


def moments() -> st.SearchStrategy[datetime]:
    """Moments with a zone, in the years that services will live to see."""
    return st.datetimes(_FIRST, _LAST, timezones=st.just(UTC))


def events() -> st.SearchStrategy[Event]:
    """Valid events of every form."""
    extensions = st.dictionaries(
        st.from_regex(r"ext[a-z0-9]{1,8}", fullmatch=True),
        texts(0) | st.booleans() | st.integers(-(2**31), 2**31 - 1),
        max_size=3,
    )
    return st.builds(
        Event,
        id=texts(),
        source=st.sampled_from(["urn:a", "/b", "https://example.com/c?d#e", "relative"]),
        type=texts(),
        time=st.none() | moments(),
        subject=st.none() | texts(),
        datacontenttype=st.sampled_from([None, "application/json", "text/plain; charset=utf-8"]),
        dataschema=st.sampled_from([None, "urn:schema:1", "https://example.com/schema"]),
        extensions=extensions,
        data=json_values() | st.binary(max_size=20),
    )
