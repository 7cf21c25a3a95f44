"""Run `etl`, and die by SIGKILL at the n-th moment at which something reaches the system.

`python -m triptych.tools.chaos.etl.dying FILE N run pipeline.yaml`: before and after every call that
flushes, renames, removes or makes a file or folder, commits to a database or to a table, is a moment.
With N of 0 it does not die, and writes to FILE how many moments there were.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import sqlalchemy as sa

from triptych.etl.entrypoints import cli
from triptych.lake import commit


class Moments:
    """Counts moments, and ends this process at one of them."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.passed = 0

    def pass_by(self, *_: object) -> None:
        """One more moment."""
        self.passed += 1
        if self.passed == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        """Make a moment of before, and one of after, every call of a function."""
        function: Callable[..., Any] = getattr(owner, name)

        def called(*arguments: Any, **more: Any) -> Any:
            self.pass_by()
            result = function(*arguments, **more)
            self.pass_by()
            return result

        setattr(owner, name, called)


def main() -> None:
    """Run the command, as long as it lives."""
    counted, last, *arguments = sys.argv[1:]
    moments = Moments(int(last))
    for name in ("fsync", "rename", "unlink", "mkdir", "rmdir"):
        moments.around(os, name)
    moments.around(deltalake.DeltaTable, "create_write_transaction")
    moments.around(commit, "create_table_with_add_actions")
    sa.event.listen(sa.Engine, "commit", moments.pass_by)
    sa.event.listen(sa.Engine, "begin", moments.pass_by)
    sys.argv = ["etl", *arguments]
    try:
        cli.main()
    finally:
        if not moments.last:
            Path(counted).write_text(str(moments.passed))


if __name__ == "__main__":
    main()
