"""Whatever happens in whatever order, the log holds what a plain dict would."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from triptych.core.domain.event import Event
from triptych.database.engine import open_database, writing
from triptych.database.schema import migrate
from triptych.eventlog.log import SCHEMA, Appended, EventLogReader, append
from triptych.testing.builders import NOON, an_event

Name = tuple[str, str]

# Few names and few contents, so that they meet often.
batches = st.lists(
    st.builds(
        an_event,
        source=st.sampled_from(["urn:a", "urn:b"]),
        id=st.sampled_from(["1", "2", "3"]),
        data=st.sampled_from(["x", "y"]),
    ),
    max_size=5,
)


class LostPower(Exception):
    """Something ends a transaction before it is committed."""


class LogMachine(RuleBasedStateMachine):
    """A log, and the dict that it must agree with."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name) / 'eventlog.db'}"
        self.engine = open_database(self.url, create=True)
        migrate(self.engine, [SCHEMA])
        self.model: dict[Name, Event] = {}

    @rule(batch=batches)
    def append(self, batch: list[Event]) -> None:
        expected = [self._accept(event) for event in batch]

        with writing(self.engine) as connection:
            assert append(connection, [event.document for event in batch], NOON) == expected

    @rule(batch=batches)
    def append_and_lose_power(self, batch: list[Event]) -> None:
        with suppress(LostPower), writing(self.engine) as connection:
            append(connection, [event.document for event in batch], NOON)
            raise LostPower

    @rule()
    def reopen(self) -> None:
        self.engine.dispose()
        self.engine = open_database(self.url)

    @invariant()
    def log_agrees_with_model(self) -> None:
        reader = EventLogReader(self.engine)
        pages = list(reader.read(["test.happened"], after=0, until=reader.newest(), batch=2))
        found = [entry for page in pages for entry in page]

        assert [entry.event for entry in found] == list(self.model.values())
        positions = [entry.position for entry in found]
        assert positions == sorted(set(positions))
        assert reader.newest() == max(positions, default=0)

    def teardown(self) -> None:
        self.engine.dispose()
        self.folder.cleanup()

    def _accept(self, event: Event) -> Appended:
        name = (event.source, event.id)
        if name not in self.model:
            self.model[name] = event
            return Appended.ACCEPTED
        return Appended.DUPLICATE if self.model[name] == event else Appended.CONFLICT


TestLog = LogMachine.TestCase
# Each step flushes to disk: a fifth of the examples take as long as other properties do.
TestLog.settings = settings(max_examples=settings().max_examples // 5, stateful_step_count=20)
