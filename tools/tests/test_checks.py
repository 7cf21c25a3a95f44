"""`triptych check` runs every check and says which failed."""

from triptych.tools.checks import Check, run


def test_one_failure_does_not_hide_another() -> None:
    checks = [Check("a", lambda: False), Check("b", lambda: True), Check("c", lambda: False)]

    assert run(iter(checks)) == ["a", "c"]
