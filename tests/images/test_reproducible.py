"""Two builds of a commit are the same, byte for byte: wheels, programs, and the layers of images."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from triptych.tools.containers import BASE, docker, has_images, layers
from triptych.tools.git import git
from triptych.tools.pants import lend_tools, pants

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What two clones of the last commit built, far from each other; the second without knowing of the first."""
    folder = tmp_path_factory.mktemp("builds")
    nothing_known = {"PANTS_LOCAL_STORE_DIR": str(folder / "store")}
    return _built(folder / "here", {}), _built(folder / "somewhere" / "else", nothing_known)


def test_wheels_and_programs_are_the_same(builds: tuple[Path, Path]) -> None:
    first, second = map(_digests, builds)

    assert len([name for name in first if name.endswith(".whl")]) >= 2
    assert "services.ingestion/bin.pex/PEX-INFO" in first
    assert first == second


@pytest.mark.skipif(not has_images(BASE), reason=f"no Docker engine with {BASE}")
def test_the_layers_of_an_image_are_the_same(builds: tuple[Path, Path]) -> None:
    first, second = (_image(built) for built in builds)

    assert layers(first) == layers(second)


def _built(folder: Path, env: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True)
    git(ROOT, "clone", "--quiet", "--shared", str(ROOT), str(folder))
    lend_tools(ROOT, folder)
    targets = ("libs/core:dist", "services/ingestion:dist", "services/ingestion:bin")
    pants(folder, "package", *targets, env=env)
    return folder / "dist"


def _digests(built: Path) -> Mapping[str, str]:
    return {
        path.relative_to(built).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(built.rglob("*"))
        if path.is_file()
    }


def _image(built: Path) -> str:
    file = str(ROOT / "services" / "ingestion" / "Dockerfile")
    options = ("--no-cache", "--network", "none", "--quiet", "--file", file)
    return docker("build", *options, str(built)).splitlines()[-1]
