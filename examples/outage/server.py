"""A server with one tool, which looks parts up in a database, on the official MCP SDK for Python.

It opens the database for each call. Without it the tool fails, and the answer says so inside HTTP 200, as tools do.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

PARTS = [("A-1", "hinge, brass"), ("A-2", "hinge, steel"), ("B-7", "bolt, M8"), ("C-3", "washer, copper")]


def main() -> None:
    path, port = sys.argv[1], int(sys.argv[2])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE parts (number TEXT PRIMARY KEY, name TEXT NOT NULL)")
        database.executemany("INSERT INTO parts VALUES (?, ?)", PARTS)
    server = MCPServer("catalogue")

    @server.tool()
    def find_part(number: str) -> str:
        """Looks up what a part number stands for."""
        print(f"find_part {number}", flush=True)
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as parts:
                row = parts.execute("SELECT name FROM parts WHERE number = ?", (number,)).fetchone()
        except sqlite3.Error as error:
            raise ToolError(str(error)) from error
        return row[0] if row else "no such part"

    server.run(transport="streamable-http", port=port)


if __name__ == "__main__":
    main()
