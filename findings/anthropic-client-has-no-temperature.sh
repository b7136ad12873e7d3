#!/bin/bash
# anthropic 2.14.0 (Python): messages.create() has no temperature, top_p and top_k any longer.
#
# Guess: the official client takes `temperature=0` for every model and leaves it to the server to refuse it.
# Seen: TypeError before anything is sent; the same for top_p and top_k, for stream(), and for the beta messages and
# their tool_runner(). `extra_body={"temperature": 0}` still puts it into the body, which is how a compatible
# server can be asked for greedy answers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet anthropic==2.14.0
"$folder/venv/bin/python" - <<'EOF'
import inspect
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import anthropic

bodies = []


class Echo(BaseHTTPRequestHandler):
    def do_POST(self):
        bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        answer = json.dumps({
            "id": "m", "type": "message", "role": "assistant", "model": "x", "content": [],
            "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
        }).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Echo)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.server_port}", api_key="x", max_retries=0)
asked = {"model": "x", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
print("anthropic", anthropic.__version__)
gone = {"temperature", "top_p", "top_k"}
for call in (client.messages.create, client.messages.stream, client.beta.messages.create,
             client.beta.messages.tool_runner):
    there = gone & set(inspect.signature(call).parameters)
    print(call.__qualname__, "takes of them:", sorted(there))
    assert not there
try:
    client.messages.create(**asked, temperature=0)
except TypeError as error:
    print("TypeError:", error)
else:
    raise SystemExit("it is taken")
assert not bodies, "something was sent"
client.messages.create(**asked, extra_body={"temperature": 0})
assert bodies[0]["temperature"] == 0
print("extra_body is sent:", bodies[0])
print("as stated")
EOF
