"""What a pipeline's file may say."""

from typing import Any

import pytest
from pydantic import ValidationError

from triptych.etl.domain.pipeline import PipelineFile


def a_file(**parts: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "sales",
        "source": {"events": {}},
        "sink": {"lake": {}},
        **parts,
    }


def test_transforms_and_checks_may_be_left_out() -> None:
    file = PipelineFile.model_validate(a_file())

    assert (file.transforms, file.checks) == ((), ())


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2},
        {"name": "Sales"},
        {"name": "../sales"},
        {"name": ""},
        {"source": {}},
        {"source": "events"},
        {"sink": {}},
        {"transforms": {"filter": {}}},
        {"checks": ["not_null"]},
        {"steps": []},
        {"refresh": "sometimes"},
        {"inputs": {"No": {"events": {}}}},
        {"outputs": {"daily": {"from": 1}}},
    ],
)
def test_a_file_that_says_something_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PipelineFile.model_validate(a_file(**wrong))


@pytest.mark.parametrize("part", ["version", "name", "source"])
def test_a_file_without_a_necessary_part_is_refused(part: str) -> None:
    file = a_file()
    del file[part]

    with pytest.raises(ValidationError):
        PipelineFile.model_validate(file)
