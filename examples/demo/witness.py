"""What the gate and the servers themselves say about a request."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS_UNTIL_LOGGED = 30


@dataclass(frozen=True)
class Answer:
    """An HTTP answer that the agent got through the gate."""

    method: str
    """The JSON-RPC method of the request."""
    status: int
    decision: str | None
    """The header x-toolgate-decision."""


@dataclass(frozen=True)
class Mark:
    """How far the logs are."""

    access: int
    lines: int
    asked: int


@dataclass(frozen=True)
class Received:
    """What reached a server."""

    forwarded: list[str]
    """The methods of the requests that the gate says it forwarded."""
    logged: int
    """How many requests the server says it received."""

    def told(self, method: str) -> str:
        """In words, with an eye on the requests of one method."""
        if not self.forwarded:
            return "nothing"
        got = ", ".join(self.forwarded)
        return got if method in self.forwarded else f"{got}, but no {method}"


class Logs:
    """The logs that `run.sh` collects in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def mark(self, server: str) -> Mark:
        return Mark(self._size("access.jsonl"), self._size("gate.log"), self.asked(server))

    def asked(self, server: str) -> int:
        """How many POST requests the server has logged by itself: uvicorn's access log."""
        return (self.directory / f"{server}.log").read_text(errors="replace").count('"POST /mcp ')

    async def record(self, mark: Mark, key: str | None, answer: Answer) -> dict[str, Any] | None:
        """The gate's access log record for `answer`, written since `mark`."""

        def found() -> dict[str, Any] | None:
            for line in self._since("access.jsonl", mark.access):
                record = json.loads(line)
                told = (record["method"], record["key"], record["status"], record["decision"])
                # Refused before the body was read: the gate does not know the method.
                known = record["mcp.method.name"] in (answer.method, None)
                if known and told == ("POST", key, answer.status, answer.decision):
                    return record
            return None

        return await until(found)

    async def received(self, mark: Mark, server: str) -> Received:
        """What reached the server since `mark`; both logs are given time to agree."""
        received = Received([], 0)

        def agree() -> Received | None:
            nonlocal received
            records = map(json.loads, self._since("access.jsonl", mark.access))
            forwarded = [
                record["mcp.method.name"]
                for record in records
                if (record["method"], record["server"]) == ("POST", server) and record["upstream"] is not None
            ]
            received = Received(forwarded, self.asked(server) - mark.asked)
            return received if received.logged == len(forwarded) else None

        return await until(agree) or received

    async def line(self, mark: Mark, record: dict[str, Any]) -> str | None:
        """What `toolgate run` printed for `record`."""
        method = record["mcp.method.name"] or record["method"]
        tool = record["gen_ai.tool.name"]
        what = f"  {record['key'] or '-'}  {method} {record['server']}{'/' + tool if tool else ''}  "

        def found() -> str | None:
            lines = self._since("gate.log", mark.lines)
            # Its columns are as wide as the widest of them.
            return next((re.sub(" {3,}", "  ", line) for line in lines if what in line), None)

        return await until(found)

    def _size(self, name: str) -> int:
        path = self.directory / name
        return path.stat().st_size if path.exists() else 0

    def _since(self, name: str, offset: int) -> list[str]:
        """The complete lines after `offset`."""
        path = self.directory / name
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read().decode(errors="replace")
        return text.split("\n")[:-1]


async def until(found: Any) -> Any:
    """Polls: Envoy writes its access log every 100 ms."""
    deadline = time.monotonic() + SECONDS_UNTIL_LOGGED
    while (value := found()) is None and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return value
