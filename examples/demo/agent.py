"""A scripted agent on the official MCP SDK for Python. It tries what each key of policy.json may and may not do.

Every step says what the policy promises, and is held against three witnesses: what the agent received, what the gate
recorded (its access log and the lines of `toolgate run`), and what the server's own log says it was asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import MCPError
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from witness import Answer, Logs, Received

ERAS = {
    "2025-11-25": ("legacy", "sessions; the servers answer with event streams"),
    "2026-07-28": ("2026-07-28", "no sessions, every request for itself; the same promises"),
}
"""The revision, the SDK's name for the mode that speaks it, and what it is."""
KEYS = {"analyst": "demo-analyst", "reader": "demo-reader", "trial": "demo-trial", "nobody": None}
ROWS = "SELECT count(*) AS rows FROM orders"
WIDTH = 120
SECONDS_PER_STEP = 20
SECONDS_IN_ALL = 120


@dataclass(frozen=True)
class Step:
    """Who does what, and what the policy promises."""

    key: str
    server: str
    promise: str
    tool: str | None = None
    """The tool to call; none: list the tools."""
    arguments: dict | None = None
    decision: str = "allowed"
    would_deny: str | None = None
    sees: set[str] | None = None
    """The tools on the list, exactly."""
    says: str = ""
    """A part of what the agent is told."""
    status: int = 200
    kind: str = "result"
    """result, tool error (the model reads it), error (JSON-RPC) or HTTP."""

    @property
    def method(self) -> str:
        return "tools/call" if self.tool else "tools/list"

    def title(self) -> str:
        if self.tool is None:
            return f"lists the tools of {self.server}"
        return f"calls {self.server}/{self.tool} {json.dumps(self.arguments or {})}"


STEPS = [
    Step(
        "analyst", "sql", "role analyst grants sql/*, but a tool without an entry in the policy does not exist",
        sees={"execute_query", "list_columns", "list_tables"},
    ),
    Step(
        "analyst", "sql", "granted, and the arguments fit the schema",
        tool="execute_query", arguments={"sql": "SELECT customer, total FROM orders ORDER BY total DESC"}, says="Ada",
    ),
    Step(
        "analyst", "sql", "only one statement, and it starts with SELECT; the model is told what does not fit",
        tool="execute_query", arguments={"sql": "DROP TABLE orders"},
        decision="schema", kind="tool error", says="/sql",
    ),
    Step(
        "analyst", "sql", "an argument that the schema does not know is refused, not ignored",
        tool="execute_query", arguments={"sql": "SELECT 1", "database": "prod"},
        decision="schema", kind="tool error", says="database",
    ),
    Step(
        "analyst", "everything", "no role of this key has anything on this server",
        tool="test_simple_text", decision="no_grant", kind="HTTP", status=403,
    ),
    Step(
        "reader", "everything", "role reader grants four, and denies one of them: a deny beats a grant",
        sees={"test_simple_text", "test_image_content", "test_tool_with_progress"},
    ),
    Step(
        "reader", "everything", "granted; the progress notifications stream through",
        tool="test_tool_with_progress", says="progress 0, 50, 100",
    ),
    Step(
        "reader", "everything", "what is not on the list cannot be called, and looks like a tool that is not there",
        tool="test_error_handling", decision="hidden", kind="error", says="Unknown tool: test_error_handling",
    ),
    Step(
        "nobody", "sql", "without a key nothing is answered",
        tool="list_tables", decision="no_key", kind="HTTP", status=401,
    ),
    Step(
        "trial", "everything", "a key in shadow mode: the call passes, and what enforcement would do is recorded",
        tool="test_multiple_content_types", would_deny="hidden",
    ),
]


@dataclass
class Outcome:
    """What the agent got."""

    kind: str
    text: str
    tools: set[str] | None = None
    answers: list[Answer] = field(default_factory=list)
    method: str = "tools/list"
    """The method of the step's own request."""
    revision: str | None = None
    """What client and server agreed on; none if they were kept apart."""

    @property
    def answer(self) -> Answer | None:
        """The HTTP answer that matters: to the step's own request, or the one that failed before it."""
        return next((one for one in self.answers if one.method == self.method or one.status >= 400), None)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("gate", "sql", "everything", "logs"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    signal.alarm(SECONDS_IN_ALL)
    logs = Logs(Path(args.logs))
    servers = {"sql": args.sql, "everything": args.everything}
    all_tools = {name: (await act(url, "auto", None, None)).tools for name, url in servers.items()}
    print(INTRODUCTION.format(gate=args.gate, **{name: f"{len(tools)} tools" for name, tools in all_tools.items()}))

    number = wrong = 0
    for revision, (_, about) in ERAS.items():
        say("", heading(f"MCP {revision}: {about}"))
        for step in STEPS:
            number += 1
            wrong += await play(number, step, revision, args.gate, logs, all_tools[step.server], number > len(STEPS))
    say("")
    wrong += await the_table_is_still_there(args.sql)
    if wrong:
        say(bad(f"{wrong} of {number + 1} expectations were not met."))
    else:
        say(good(f"All {number} steps went as the policy promises, and the table is still there."))
    return 1 if wrong else 0


INTRODUCTION = """\
Toolgate demo

  agent  ->  Envoy with the Toolgate filter  ->  sql         mcp-server-motherduck (DuckDB), {sql}
             {gate}             everything  the MCP Python SDK's test server, {everything}

  keys  analyst  may query the SQL server      policy: examples/demo/policy.json
        reader   may use a few tools of the other
        trial    the same grants as reader, in shadow mode: nothing refused, all recorded

Each step is held against what the agent got, what the gate logged, and what the server's own log says."""


async def play(
    number: int, step: Step, revision: str, gate: str, logs: Logs, all_tools: set[str], brief: bool
) -> bool:
    """Plays one step and prints it. True if it went wrong."""
    key = KEYS[step.key]
    mark = logs.mark(step.server)
    outcome = await act(f"{gate}/{step.server}/mcp", ERAS[revision][0], key, step)
    record = line = None
    if outcome.answer:
        record = await logs.record(mark, step.key if key else None, outcome.answer)
    if record:
        line = await logs.line(mark, record)
    server = await logs.received(mark, step.server)
    problems = list(differences(step, outcome, record, server))
    if outcome.revision not in (revision, None):
        problems.append(f"the protocol revision: {outcome.revision}, expected {revision}")

    text = textwrap.shorten(outcome.text, 400, placeholder=" ...")
    if outcome.tools is not None:
        text = f"{len(outcome.tools)} of the server's {len(all_tools)} tools: {', '.join(sorted(outcome.tools))}"
    say("", f"{bad('WRONG') if problems else good('ok')}  {number}. {step.key} {step.title()}")
    if brief and not problems:
        row("gate said", line or "nothing")
        return False
    row("promised", step.promise)
    row("agent got", text)
    row("gate said", line or "nothing")
    row("server got", server.told(step.method))
    for problem in problems:
        row("WRONG", problem)
    return bool(problems)


def differences(step: Step, outcome: Outcome, record: dict[str, Any] | None, server: Received) -> Iterator[str]:
    """Everything that is not as the policy promises."""
    if outcome.answer is None or record is None:
        yield f"the gate's access log has no record of this request (HTTP answers: {outcome.answers})"
        return
    reached = step.decision == "allowed"
    for what, got, expected in [
        ("the agent got", outcome.kind, step.kind),
        ("HTTP status", outcome.answer.status, step.status),
        ("x-toolgate-decision", outcome.answer.decision, step.decision),
        ("would_deny in the access log", record["would_deny"], step.would_deny),
        ("the gate forwarded this request", record["upstream"] is not None, reached),
        ("the gate forwarded such a request", step.method in server.forwarded, reached),
        ("requests in the server's own log", server.logged, len(server.forwarded)),
        ("tools on the list", outcome.tools, step.sees if step.tool is None else None),
    ]:
        if got != expected:
            yield f"{what}: {got}, expected {expected}"
    if step.says not in outcome.text:
        yield f"the agent was not told {step.says!r}"


async def act(url: str, mode: str, key: str | None, step: Step | None) -> Outcome:
    """Connects, does what the step says (none: list the tools), disconnects."""
    answers: list[Answer] = []

    async def note(response: Any) -> None:
        if response.request.method == "POST":
            method = json.loads(response.request.content)["method"]
            answers.append(Answer(method, response.status_code, response.headers.get("x-toolgate-decision")))

    outcome = Outcome("error", "", answers=answers, method=step.method if step else "tools/list")
    try:
        async with asyncio.timeout(SECONDS_PER_STEP), create_mcp_http_client(bearer(key)) as http:
            http.event_hooks["response"].append(note)
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=mode, cache=None) as client:
                outcome.revision = client.protocol_version
                await ask(client, step, outcome)
    except Exception as failure:  # a refused connection arrives as a group of errors
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        outcome.kind, outcome.text = "error", f"{type(failure).__name__}: {failure}"
    answer = outcome.answer
    if answer and answer.status >= 400:
        # The SDK keeps the status to itself.
        outcome.kind, outcome.text = "HTTP", f"HTTP {answer.status} to {answer.method}; the SDK says {outcome.text!r}"
    return outcome


async def ask(client: Client, step: Step | None, outcome: Outcome) -> None:
    try:
        if step is None or step.tool is None:
            outcome.tools = {tool.name for tool in (await client.list_tools()).tools}
            outcome.kind = "result"
            return
        steps: list[float] = []

        async def progressed(progress: float, _total: float | None, _message: str | None) -> None:
            steps.append(progress)

        result = await client.call_tool(step.tool, step.arguments or {}, progress_callback=progressed)
    except MCPError as error:
        outcome.text = f"error {error.code}: {error.message}" if error.code != -32603 else error.message
        return
    outcome.kind = "tool error" if result.is_error else "result"
    text = " ".join(getattr(content, "text", f"({content.type})") for content in result.content)
    outcome.text = f"{outcome.kind}: {text}"
    if steps:
        outcome.text = f"progress {', '.join(f'{one:g}' for one in steps)}, then {outcome.text}"


def bearer(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


async def the_table_is_still_there(sql: str) -> bool:
    """Asked without the gate: the SQL server itself would have run DROP TABLE."""
    step = Step("nobody", "sql", "", tool="execute_query", arguments={"sql": ROWS})
    outcome = await act(sql, "auto", None, step)
    if outcome.kind == "result" and "3" in outcome.text:
        return False
    say(f"{bad('WRONG')}  the table orders should have its 3 rows: {outcome.text}")
    return True


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def row(name: str, text: str) -> None:
    say(textwrap.fill(text, WIDTH, initial_indent=f"      {name:<11}", subsequent_indent=" " * 17))


def painted(code: int) -> Any:
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return lambda text: f"\x1b[{code}m{text}\x1b[0m" if colours else text


good, bad, heading = painted(32), painted(31), painted(1)

if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
