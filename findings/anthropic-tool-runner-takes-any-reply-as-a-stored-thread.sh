#!/usr/bin/env bash
# anthropic 2.14.0: client.beta.messages.tool_runner(), with its default options.
#
# Guess: the runner sends `"thread": {"type": "create"}` with its first request; a server that does not
# have threads may leave the field out of account, as with other optional fields, because the reply then says
# nothing of a thread, and the runner will send the conversation as before.
#
# Seen: it takes any reply as a sign that the server holds the conversation. The next request has
# `"thread": {"type": "continue", "previous_message_id": <id of that reply>}` and in `messages` only the
# tool's result: without the question, and without the call that it answers. So a server that passes the field
# over answers a fragment. A 400 whose `error.details.error_code` is "thread_unsupported_request" makes
# the same runner send the first request again without `thread`, and whole conversations from then on.
#
# Exits with another status than 0 if that is not what happens.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install anthropic==2.14.0
cat > "$folder/probe.py" <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import anthropic
from anthropic import beta_tool

print("anthropic", anthropic.__version__)


def run(refuses: bool) -> list[dict]:
    """The bodies that the runner sends to a server that has no threads."""
    bodies = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            bodies.append(body)
            status, answer = 200, {
                "id": f"msg_{len(bodies)}", "type": "message", "role": "assistant", "model": "m",
                "stop_reason": "end_turn", "stop_sequence": None,
                "content": [{"type": "text", "text": "Sunny."}],
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
            if refuses and "thread" in body:
                details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
                error = {"type": "invalid_request_error", "message": "no threads", "details": details}
                status, answer = 400, {"type": "error", "error": error}
            elif not any(isinstance(m["content"], list) for m in body["messages"]):
                call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
                answer |= {"content": [call], "stop_reason": "tool_use"}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    @beta_tool
    def weather() -> str:
        """The weather."""
        return "sunny"

    client = anthropic.Anthropic(
        base_url=f"http://127.0.0.1:{server.server_port}", api_key="x", max_retries=0
    )
    question = [{"role": "user", "content": "How is the weather?"}]
    runner = client.beta.messages.tool_runner(
        model="m", max_tokens=9, tools=[weather], messages=question
    )
    runner.until_done()
    server.shutdown()
    return bodies


first, second = run(refuses=False)
print("guess: the second request has 3 messages, as the reply named no thread")
print("seen: thread", first["thread"], "then", second["thread"])
print("seen: roles of the second request's messages:", [m["role"] for m in second["messages"]])
assert first["thread"] == {"type": "create"}
assert second["thread"] == {"type": "continue", "previous_message_id": "msg_1"}
assert [m["role"] for m in second["messages"]] == ["user"]
assert second["messages"][0]["content"][0]["type"] == "tool_result"

refused, again, last = run(refuses=True)
print("refused by code: threads", ["thread" in one for one in (refused, again, last)],
      "messages", [len(one["messages"]) for one in (refused, again, last)])
assert ["thread" in one for one in (refused, again, last)] == [True, False, False]
assert [len(one["messages"]) for one in (refused, again, last)] == [1, 1, 3]
print("as stated")
PY
"$folder/venv/bin/python" "$folder/probe.py"
