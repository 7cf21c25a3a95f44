"""Keys are what they say, and nothing else is a key."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.service.keys import ApiKey, Scope, authenticate, mint, rotate
from triptych.testing.builders import NOON

KEY, TEXT = mint("tills", [Scope.WRITE], now=NOON)
KEYS = {KEY.id: KEY}
LATER = NOON + timedelta(hours=1)


def test_the_text_of_a_key_is_that_key() -> None:
    assert authenticate(TEXT, KEYS, LATER) == KEY


@given(st.text() | st.sampled_from([TEXT[:-1], TEXT + "A", TEXT.upper(), f" {TEXT}"]))
def test_any_other_text_is_no_key(text: str) -> None:
    assert text == TEXT or authenticate(text, KEYS, LATER) is None


@given(place=st.integers(0, len(TEXT) - 1), other=st.sampled_from("abcXYZ019-_"))
def test_a_key_with_one_letter_changed_is_no_key(place: int, other: str) -> None:
    changed = TEXT[:place] + other + TEXT[place + 1 :]

    # Of the last letter two bits are spare, but it is the text that counts.
    assert changed == TEXT or authenticate(changed, KEYS, LATER) is None


def test_of_a_secret_only_a_hash_is_kept() -> None:
    assert TEXT.rpartition("_")[2] not in repr(KEY)
    assert len(KEY.digest) == 32


def test_no_two_keys_are_alike() -> None:
    minted = [mint("same", [Scope.READ], now=NOON) for _ in range(100)]

    assert len({text for _, text in minted}) == len({key.id for key, _ in minted}) == 100


@pytest.mark.parametrize("ended", [replace(KEY, revoked_at=LATER), replace(KEY, expires_at=LATER)])
def test_a_key_that_has_ended_is_no_key(ended: ApiKey) -> None:
    assert authenticate(TEXT, {ended.id: ended}, LATER) is None


def test_a_key_works_until_it_expires() -> None:
    key, text = mint("tills", [Scope.WRITE], now=NOON, expires_at=LATER)

    assert authenticate(text, {key.id: key}, LATER - timedelta(seconds=1)) == key


@pytest.mark.parametrize(
    ("given_", "allowed"),
    [
        ([Scope.WRITE], {Scope.WRITE}),
        ([Scope.READ], {Scope.READ}),
        ([Scope.READ, Scope.WRITE], {Scope.READ, Scope.WRITE}),
        ([Scope.ADMIN], set(Scope)),
    ],
)
def test_a_key_is_for_its_scopes_and_an_admins_for_all(
    given_: list[Scope], allowed: set[Scope]
) -> None:
    key, _ = mint("somebody", given_, now=NOON)

    assert {scope for scope in Scope if key.allows(scope)} == allowed


@pytest.mark.parametrize(
    ("types", "type_", "may"),
    [
        ((), "anything", True),
        (("shop.invoice",), "shop.invoice", True),
        (("shop.invoice",), "shop.invoices", False),
        (("shop.*",), "shop.invoice", True),
        (("shop.*",), "shopping", False),
        (("a", "shop.*"), "shop.refund", True),
    ],
)
def test_a_key_may_send_its_types_only(types: tuple[str, ...], type_: str, may: bool) -> None:
    key, _ = mint("tills", [Scope.WRITE], now=NOON, event_types=types)

    assert key.may_send(type_) is may


def test_a_rotated_key_has_the_same_rights_and_another_secret() -> None:
    old, old_text = mint("tills", [Scope.WRITE], now=NOON, event_types=["shop.*"])

    new, text = rotate(old, now=LATER)

    assert (new.name, new.scopes, new.event_types) == (old.name, old.scopes, old.event_types)
    assert (new.id, text) != (old.id, old_text)
    assert authenticate(text, {new.id: new}, LATER) == new
