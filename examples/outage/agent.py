"""Two scripted agents, on the official MCP SDK for Python, that go through the outage of a server.

Every call says what the policy promises, and is held against what the agent received, what the server ran, and what the
gate recorded in its access log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import textwrap
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

TOOL = "find_part"
REVISION = "2025-11-25"
WIDTH = 120
SECONDS_IN_ALL = 120
SECONDS_UNTIL_LOGGED = 30


@dataclass(frozen=True)
class Call:
    """Who looks up which part, and what the policy promises."""

    key: str
    part: str
    promise: str
    outcome: str | None = None
    """What comes of the call on the server; none if it must not get there."""
    decision: str = "allowed"
    says: str = ""
    """A part of what the agent is told."""
    waits: bool = False
    """Whether the agent first waits as long as it was told."""


@dataclass(frozen=True)
class Database:
    """The server's database is there from now on, or is not."""

    there: bool


@dataclass(frozen=True)
class Borrow:
    """A key presents the session of another one."""

    key: str
    whose: str
    status: int
    promise: str


BROKEN, OPEN = "unable to open database file", "This tool has failed repeatedly and is not called at the moment"

STEPS: list[Call | Database | Borrow] = [
    Call("ada", "A-1", "the server works", "ok", says="hinge, brass"),
    Database(there=False),
    Call("ada", "A-2", "HTTP 200, but the tool has failed: the first of three in a row", "tool_error", says=BROKEN),
    Call("ada", "B-7", "the second", "tool_error", says=BROKEN),
    Call("ada", "C-3", "the third opens the breaker", "tool_error", says=BROKEN),
    Call("ada", "A-1", "the server is not asked any more, and the agent is told when to try again",
         decision="breaker", says=OPEN),
    Call("bob", "A-1", "it is the tool that failed, so the breaker is open for every key",
         decision="breaker", says=OPEN),
    Call("ada", "A-2", "half-open: one call finds out whether the tool works again, and it does not",
         "tool_error", says=BROKEN, waits=True),
    Call("ada", "B-7", "so the breaker is open again", decision="breaker", says=OPEN),
    Database(there=True),
    Call("bob", "B-7", "half-open once more: this call succeeds and closes the breaker", "ok", says="bolt, M8", waits=True),
    Call("ada", "C-3", "closed: served again; ada makes this call for the second time in a minute",
         "ok", says="washer, copper"),
    Call("ada", "C-3", "the third time is a loop: the agent is told that repeating does not help",
         decision="loop", says="Repeating the call does not help"),
    Call("ada", "D-9", "another part is another call", "ok", says="no such part"),
    Borrow("bob", "ada", 404, "ada's session id is worth nothing to bob: to him, there is no such session"),
    Borrow("ada", "ada", 200, "to ada it is"),
]


@dataclass
class Agent:
    """A connection of one key."""

    client: Client
    http: Any
    session: str = ""
    """The id of its session, as the agent knows it."""
    retry_after: float = 0
    """Seconds that the last refusal said to wait."""


@dataclass(frozen=True)
class World:
    """Everything that the calls are held against."""

    gate: str
    agents: dict[str, Agent]
    database: Path
    server_log: Path
    access_log: Path

    def ran(self) -> int:
        """How often the server says that it ran the tool."""
        return sum(line.startswith(f"{TOOL} ") for line in self.server_log.read_text().splitlines())

    def records(self) -> list[dict[str, Any]]:
        lines = self.access_log.read_text().split("\n")[:-1] if self.access_log.exists() else []
        wanted = ("tools/call", "ping", None)
        return [
            record for record in map(json.loads, lines)
            if record["method"] == "POST" and record["mcp.method.name"] in wanted
        ]


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("gate", "database", "server-log", "access-log"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    signal.alarm(SECONDS_IN_ALL)
    print(INTRODUCTION.format(gate=args.gate))
    wrong = requests = 0
    async with AsyncExitStack() as stack:
        agents = {key: await connect(stack, args.gate, key) for key in ("ada", "bob")}
        world = World(args.gate, agents, Path(args.database), Path(args.server_log), Path(args.access_log))
        for step in STEPS:
            match step:
                case Database():
                    move(world.database, step.there)
                case Call():
                    requests += 1
                    wrong += await play(requests, step, world)
                case Borrow():
                    requests += 1
                    wrong += await borrow(requests, step, world)
    print()
    if wrong:
        print(f"{wrong} of {requests} requests did not go as the policy promises.")
    else:
        print(f"All {requests} requests went as the policy promises.")
    return 1 if wrong else 0


INTRODUCTION = """\
Toolgate: an outage, a loop, and a session that is somebody else's

  ada, bob  ->  Envoy with the Toolgate filter, 4 workers  ->  catalogue, a server with a database
                {gate}

  policy    examples/outage/policy.json
  breaker   opens after 3 failures of find_part in a row, for 4 seconds
  loops     ada may make the same call twice a minute
  sessions  belong to the key that they were made for"""


async def connect(stack: AsyncExitStack, url: str, key: str) -> Agent:
    http = await stack.enter_async_context(create_mcp_http_client(headers={"Authorization": f"Bearer demo-{key}"}))
    session = ""

    async def note(response: Any) -> None:
        nonlocal session
        session = response.headers.get("mcp-session-id", session)

    http.event_hooks["response"].append(note)
    transport = streamable_http_client(url, http_client=http)
    # Revisions with sessions.
    client = await stack.enter_async_context(Client(transport, mode="legacy", cache=None))
    return Agent(client, http, session)


def move(database: Path, there: bool) -> None:
    elsewhere = database.with_suffix(".away")
    (elsewhere.rename(database) if there else database.rename(elsewhere))
    print(f"\n--  the server {'gets its database back' if there else 'loses its database'}")


async def play(number: int, call: Call, world: World) -> bool:
    """Makes one call and prints it. True if it went wrong."""
    agent = world.agents[call.key]
    waited = max(one.retry_after for one in world.agents.values()) if call.waits else 0
    await asyncio.sleep(waited)
    ran = world.ran()
    result = await agent.client.call_tool(TOOL, {"number": call.part})
    told = " ".join(getattr(content, "text", f"({content.type})") for content in result.content)
    after = (result.meta or {}).get("toolgate/retryAfterMs")
    agent.retry_after = (after or 0) / 1000
    record = await recorded(world, number)

    refused = call.outcome is None
    problems = differences(
        ("the agent gets an error", result.is_error, call.outcome != "ok"),
        ("the agent is told when to try again", after is not None, refused),
        ("the server ran the tool", world.ran() - ran, 0 if refused else 1),
        ("the gate's record is of this key", record["key"], call.key),
        ("decision", record["decision"], call.decision),
        ("outcome", record["outcome"], call.outcome),
    )
    if call.says not in told:
        problems.append(f"the agent is not told {call.says!r}")

    waiting = f", {waited:.1f} seconds later" if waited else ""
    title(bool(problems), f"{number}. {call.key} looks up {call.part}{waiting}")
    row("promised", call.promise)
    retry = f" (toolgate/retryAfterMs: {after})" if after is not None else ""
    row("agent got", f"{'tool error' if result.is_error else 'result'}: {told}{retry}")
    row("gate said", f"{record['decision']}" + (f", and the outcome is {record['outcome']}" if record["outcome"] else ""))
    for problem in problems:
        row("WRONG", problem)
    return bool(problems)


async def borrow(number: int, step: Borrow, world: World) -> bool:
    """Sends a ping within a session and prints the answer. True if it went wrong."""
    owner, agent = world.agents[step.whose], world.agents[step.key]
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": REVISION,
        "mcp-session-id": owner.session,
    }
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = await agent.http.post(world.gate, json=ping, headers=headers)
    record = await recorded(world, number)
    problems = differences(
        ("the session has a tag", owner.session.startswith("t1."), True),
        ("status", answer.status_code, step.status),
        ("decision", record["decision"], "allowed" if step.status == 200 else "session"),
        ("the server got the request", record["upstream"] is not None, step.status == 200),
    )
    title(bool(problems), f"{number}. {step.key} sends a ping in {step.whose}'s session {owner.session[:12]}…")
    row("promised", step.promise)
    row("agent got", f"HTTP {answer.status_code}: {' '.join(answer.text.split())}")
    row("gate said", record["decision"])
    for problem in problems:
        row("WRONG", problem)
    return bool(problems)


def differences(*compared: tuple[str, Any, Any]) -> list[str]:
    return [f"{what}: {got!r}, expected {expected!r}" for what, got, expected in compared if got != expected]


async def recorded(world: World, number: int) -> dict[str, Any]:
    """The gate's record of the request with this number; Envoy writes its access log every 100 ms."""
    deadline = time.monotonic() + SECONDS_UNTIL_LOGGED
    while True:
        records = world.records()
        if len(records) >= number:
            return records[number - 1]
        if time.monotonic() >= deadline:
            raise TimeoutError(f"the access log has no record of request {number}")
        await asyncio.sleep(0.05)


def title(wrong: bool, text: str) -> None:
    print(f"\n{'WRONG' if wrong else 'ok'}  {text}")


def row(name: str, text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent=f"      {name:<11}", subsequent_indent=" " * 17), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
