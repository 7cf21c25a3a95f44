"""A JSON array of events, read one after the other: it may be larger than the memory."""

import itertools
import json
from collections.abc import Iterator

import ijson
import orjson

from triptych.ingestion.application.load import Record
from triptych.ingestion.domain.admission import Arrival
from triptych.ingestion.infrastructure.files.opening import BrokenFile, InputFile, reading


def read_json(file: InputFile) -> Iterator[Record]:
    """A record for each member of the array.

    Raises:
        BrokenFile: it is no array, or breaks off: nothing behind that place can be found.
    """
    members = ijson.items(file.content, "item")  # numbers are exact, however long
    for number in itertools.count():
        try:
            with reading(file):
                member = next(members)
        except StopIteration:
            return
        except ijson.JSONError as error:
            why = str(error).partition("\n")[0]
            raise BrokenFile(f"{file.name!r}, after {number} members: {why}") from None
        yield Record(Arrival(_raw(member), f"{file.name}:[{number}]"))


def _raw(member: object) -> bytes:
    try:
        return orjson.dumps(member, default=float)
    except TypeError:  # whole numbers of more than 64 bits: to be refused, not lost
        return json.dumps(member, default=float).encode()
