"""Where a service listens, and where it refuses to."""

import socket
from contextlib import closing

import pytest

from triptych.service.server import CannotListen, OpenToTheNetwork, listen
from triptych.service.settings import HttpSettings


def has_ipv6() -> bool:
    """Whether this machine has the loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", pytest.param("::1", marks=needs_ipv6)])
def test_whoever_knows_the_port_can_connect_through_loopback(host: str) -> None:
    with closing(listen(HttpSettings(host=host), section="shelf")) as listener:
        address = listener.getsockname()

        with socket.create_connection(address[:2], timeout=5) as connection:
            assert connection.getpeername() == address


def test_without_a_port_each_service_gets_a_free_one() -> None:
    with (
        closing(listen(HttpSettings(), section="shelf")) as one,
        closing(listen(HttpSettings(), section="shelf")) as other,
    ):
        assert one.getsockname() != other.getsockname()


def test_a_port_that_is_taken_is_named_with_the_variable_to_change() -> None:
    with closing(listen(HttpSettings(), section="shelf")) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(CannotListen, match=f"127.0.0.1:{port}") as caught:
            listen(HttpSettings(port=port), section="shelf")

    assert "TRIPTYCH_SHELF__PORT" in caught.value.hint


def test_a_port_can_be_taken_again_at_once_by_the_next_start_of_a_service() -> None:
    with closing(listen(HttpSettings(), section="shelf")) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            # The side that hangs up first keeps the address for a minute.
            listener.accept()[0].close()

    with closing(listen(HttpSettings(port=port), section="shelf")) as listener:
        assert listener.getsockname()[1] == port


def test_a_name_that_leads_nowhere_is_answered_with_the_variable_to_change() -> None:
    with pytest.raises(CannotListen) as caught:
        listen(HttpSettings(host=""), section="shelf")  # the one that no resolver knows

    assert "TRIPTYCH_SHELF__HOST" in caught.value.hint


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "0", "192.0.2.1", "ff02::1"],  # noqa: S104  # to be refused
    ids=["all-of-ipv4", "all-of-ipv6", "a-name-for-all", "a-network-card", "everyone"],
)
def test_without_keys_a_service_does_not_listen_to_the_network(host: str) -> None:
    with pytest.raises(OpenToTheNetwork) as caught:
        listen(HttpSettings(host=host), section="shelf")

    assert str(caught.value) == f"TRIPTYCH_SHELF__HOST is {host!r}"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # the claim
def test_with_keys_a_service_listens_wherever_it_is_told_to(host: str) -> None:
    with closing(listen(HttpSettings(host=host), section="shelf", keys=True)) as listener:
        port = listener.getsockname()[1]

        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)
