"""Two scripted agents of one team, on the official MCP SDK for Python, that call until they are refused.

Every call says what the policy promises, and is held against what the agent received and what the gate recorded in its
access log.
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

TEXT, IMAGE, AUDIO = "test_simple_text", "test_image_content", "test_audio_content"
QUOTA, BUDGET = "/keys/ada/quotas/0", "/teams/research/budget"
WIDTH = 120
SECONDS_IN_ALL = 120
SECONDS_UNTIL_LOGGED = 30
DAY = 86_400


@dataclass(frozen=True)
class Step:
    """Who calls what, and what the policy promises."""

    key: str
    tool: str
    promise: str
    limit: str | None = None
    """The limit that refuses the call, as a JSON Pointer into the policy."""
    says: str = ""
    """A part of what the agent is told."""
    cost: int | None = None
    """What is charged, in millionths of a currency unit."""
    waits: bool = False
    """Whether the agent first waits as long as it was told."""


STEPS = [
    Step("ada", TEXT, "three at once, after a pause: the quota's burst"),
    Step("ada", TEXT, "the second"),
    Step("ada", TEXT, "the third"),
    Step(
        "ada", TEXT, "the fourth is too early: 12 a minute are one every 5 seconds, and the agent is told when",
        limit=QUOTA, says="This key may make 12 calls per minute",
    ),
    Step("ada", TEXT, "having waited as long as it was told, it may go on", waits=True),
    Step("ada", IMAGE, "another tool, which costs 0.05 of the team's 0.12 a day", cost=50_000),
    Step("bob", IMAGE, "another key of the team, the same budget: 0.10 are spent", cost=50_000),
    Step(
        "bob", IMAGE, "0.05 do not fit into what is left, so the call does not run",
        limit=BUDGET, says="The team of this key may spend 0.12 per day",
    ),
    Step("bob", AUDIO, "the refused call cost nothing: the 0.02 that are left buy a cheaper one", cost=20_000),
    Step(
        "ada", AUDIO, "now all is spent, for every key of the team",
        limit=BUDGET, says="It starts again on",
    ),
    Step("bob", TEXT, "what costs nothing still runs"),
]


@dataclass
class Agent:
    """A connection of one key."""

    client: Client
    retry_after: float = 0
    """Seconds that the last refusal said to wait."""


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("gate", "access-log"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    await not_around_midnight()
    signal.alarm(SECONDS_IN_ALL)
    print(INTRODUCTION.format(gate=args.gate))
    wrong = 0
    async with AsyncExitStack() as stack:
        agents = {key: Agent(await connect(stack, args.gate, key)) for key in ("ada", "bob")}
        for number, step in enumerate(STEPS, 1):
            wrong += await play(number, step, agents[step.key], Path(args.access_log))
    print()
    if wrong:
        print(f"{wrong} of {len(STEPS)} calls did not go as the policy promises.")
    else:
        print(f"All {len(STEPS)} calls went as the policy promises.")
    return 1 if wrong else 0


INTRODUCTION = """\
Toolgate: quotas and budgets

  ada, bob  ->  Envoy with the Toolgate filter, 4 workers  ->  everything, the MCP Python SDK's test server
                {gate}

  policy    examples/limits/policy.json
  quota     ada may call test_simple_text 12 times a minute, 3 at once
  budget    ada and bob's team may spend 0.12 a day; an image costs 0.05, audio 0.02, text nothing"""


async def not_around_midnight() -> None:
    """The budget starts again at midnight UTC: not in the middle of this."""
    left = DAY - time.time() % DAY
    if left < SECONDS_IN_ALL:
        print(f"midnight UTC is near: waiting {left:.0f} seconds")
        await asyncio.sleep(left + 1)


async def connect(stack: AsyncExitStack, url: str, key: str) -> Client:
    headers = {"Authorization": f"Bearer demo-{key}"}
    http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
    return await stack.enter_async_context(Client(streamable_http_client(url, http_client=http), cache=None))


async def play(number: int, step: Step, agent: Agent, log: Path) -> bool:
    """Makes one call and prints it. True if it went wrong."""
    waited = agent.retry_after if step.waits else 0
    await asyncio.sleep(waited)
    result = await agent.client.call_tool(step.tool, {})
    told = " ".join(getattr(content, "text", f"({content.type})") for content in result.content)
    after = (result.meta or {}).get("toolgate/retryAfterMs")
    agent.retry_after = (after or 0) / 1000
    record = await recorded(log, number)

    refused = step.limit is not None
    problems = [
        f"{what}: {got!r}, expected {expected!r}"
        for what, got, expected in [
            ("the call is refused", result.is_error, refused),
            ("the agent is told when to try again", after is not None, refused),
            ("the gate's record is of this key", record["key"], step.key),
            ("the gate's record is of this tool", record["gen_ai.tool.name"], step.tool),
            ("decision", record["decision"], kind(step.limit)),
            ("limit", record["limit"], step.limit),
            ("cost_micros", record["cost_micros"], None if step.cost is None else str(step.cost)),
            ("the server got the call", record["upstream"] is not None, not refused),
        ]
        if got != expected
    ]
    if step.says not in told:
        problems.append(f"the agent is not told {step.says!r}")

    print(f"\n{'WRONG' if problems else 'ok'}  {number}. {step.key} calls {step.tool}" + after_waiting(waited))
    row("promised", step.promise)
    row("agent got", f"{'tool error' if result.is_error else 'result'}: {told}" + retry(after))
    row("gate said", verdict(record))
    for problem in problems:
        row("WRONG", problem)
    return bool(problems)


def kind(limit: str | None) -> str:
    return "allowed" if limit is None else "budget" if limit.endswith("/budget") else "quota"


def verdict(record: dict[str, Any]) -> str:
    cost = record["cost_micros"]
    return f"{record['decision']}" + (f" at {record['limit']}" if record["limit"] else "") + (
        f", charged {int(cost) / 1_000_000:g}" if cost else ""
    )


def after_waiting(waited: float) -> str:
    return f", {waited:.1f} seconds later" if waited else ""


def retry(after: int | None) -> str:
    return f" (toolgate/retryAfterMs: {after})" if after is not None else ""


async def recorded(log: Path, number: int) -> dict[str, Any]:
    """The gate's record of the call with this number; Envoy writes its access log every 100 ms."""
    deadline = time.monotonic() + SECONDS_UNTIL_LOGGED
    while True:
        lines = log.read_text().split("\n")[:-1] if log.exists() else []
        calls = [record for record in map(json.loads, lines) if record["mcp.method.name"] == "tools/call"]
        if len(calls) >= number:
            return calls[number - 1]
        if time.monotonic() >= deadline:
            raise TimeoutError(f"the access log has no record of call {number}")
        await asyncio.sleep(0.05)


def row(name: str, text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent=f"      {name:<11}", subsequent_indent=" " * 17), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
