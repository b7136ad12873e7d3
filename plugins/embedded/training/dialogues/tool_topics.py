"""What there is to know about tools, MCP servers, structured answers and the newer commands."""

from __future__ import annotations

from .topic import Topic

TOOL_TOPICS = (
    Topic(
        ("use tools", "give you tools", "let the model call tools", "use an MCP server", "use MCP",
         "connect an MCP server", "add tools", "use function calling", "let you call tools",
         "use MCP servers", "connect tools", "call tools", "give the model tools"),
        ("can you call tools?", "can you use tools?", "what is MCP?", "what does --mcp-config do?",
         "do you support MCP?", "is there function calling?", "does tramontane support MCP?",
         "what is a tool call?", "mcp"),
        ("Name your MCP servers in a file, and their tools can be called:\n\n    tramontane run "
         "--mcp-config servers.json",),
    ),
    Topic(
        ("list the tools of an MCP server", "see the MCP tools", "check my MCP servers",
         "list the MCP tools", "see which tools a server has"),
        ("what does tramontane mcp do?", "tramontane mcp", "is my MCP server running?"),
        ("This lists the tools of your MCP servers:\n\n    tramontane mcp list --mcp-config "
         "servers.json",),
    ),
    Topic(
        ("use tools in python", "call a python function", "use functions as tools",
         "let the model call my function", "use tools from python", "give the model a python function"),
        ("can you call python functions?", "how are tools used in python?"),
        ("Give functions to chat:\n\n    from tramontane import LLM\n    llm = LLM()\n"
         "    print(llm.chat(\"Hello\", tools=[my_function]).text)",),
    ),
    Topic(
        ("get JSON", "get an answer in JSON", "use a JSON schema", "get structured output",
         "make the model answer in JSON"),
        ("what does --json-schema do?", "is there structured output?", "can the answer be JSON?"),
        ("Give a schema, and the answer is JSON of that form:\n\n    tramontane run --json-schema "
         "schema.json",),
    ),
    Topic(
        ("see the model families", "list the model families", "see which models are supported",
         "list the supported architectures"),
        ("what does tramontane models do?", "tramontane models"),
        ("This lists the model families:\n\n    tramontane models",),
    ),
    Topic(
        ("write a plugin", "write my own plugin", "make a plugin", "add my own model family",
         "develop a plugin", "start a new plugin", "write an architecture"),
        ("what does tramontane new do?", "tramontane new", "can I write plugins?"),
        ("This writes the first files of a plugin for a model family:\n\n    tramontane new "
         "architecture NAME --like llama",),
    ),
)  # fmt: skip
