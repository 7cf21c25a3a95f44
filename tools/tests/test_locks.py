"""uv.lock is the truth; what Pants reads has to follow from it."""

from pathlib import Path

from triptych.tools.locks import pants_differences


def test_a_lock_made_from_the_same_requirements_is_in_step(tmp_path: Path) -> None:
    lock = _lock(tmp_path, "a==1", 'b==2; sys_platform == "win32"')

    assert list(pants_differences("b==2 ; sys_platform == 'win32'\na==1\n", lock)) == []


def test_a_changed_version_is_named_on_both_sides(tmp_path: Path) -> None:
    lock = _lock(tmp_path, "a==1", "b==1")

    assert list(pants_differences("a==1\nb==2\n", lock)) == [
        "3rdparty/python.lock lacks b==2",
        "3rdparty/python.lock has b==1, uv.lock has not",
    ]


def _lock(folder: Path, *requirements: str) -> Path:
    listed = ", ".join(f'"{r}"'.replace('"win32"', '\\"win32\\"') for r in requirements)
    lock = folder / "python.lock"
    lock.write_text(
        "// --- BEGIN PANTS LOCKFILE METADATA: DO NOT EDIT OR REMOVE ---\n"
        f'// {{"generated_with_requirements": [{listed}]}}\n'
        "// --- END PANTS LOCKFILE METADATA ---\n{}\n"
    )
    return lock
