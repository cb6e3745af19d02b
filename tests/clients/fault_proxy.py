"""A proxy that stands between the service and a store, sees every request and injects faults into some."""

import http.client
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
INTERNAL_ERROR = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"

# Not passed on: they are the proxy's own.
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Request:
    method: str
    path: str  # with the query
    headers: dict  # names in lower case
    body: bytes

    @property
    def access_key(self) -> str:
        """Id of the key that signed it, as S3 requests name it."""
        found = re.search(r"Credential=([^/]+)/", self.headers.get("authorization", ""))
        return found.group(1) if found else ""


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict = field(default_factory=dict)


class Fault:
    """What happens to a request instead of a good answer: `act` gets the handler and a function that asks the store."""

    def act(self, handler, ask: Callable[[], Answer]):
        raise NotImplementedError


@dataclass
class Status(Fault):
    """An answer of the store's own choice."""

    status: int
    body: bytes = b""

    def act(self, handler, ask):
        handler.answer(Answer(self.status, self.body, {"Content-Type": "application/xml"}))


class Reset(Fault):
    """The connection breaks before there is an answer."""

    def act(self, handler, ask):
        handler.reset()


class Truncate(Fault):
    """The connection breaks in the middle of the body."""

    def act(self, handler, ask):
        answer = ask()
        handler.start(answer, len(answer.body))
        handler.wfile.write(answer.body[: len(answer.body) // 2])
        handler.wfile.flush()
        handler.reset()


class Shorten(Fault):
    """The body ends early, and its length says that this is all."""

    def act(self, handler, ask):
        answer = ask()
        answer.body = answer.body[: len(answer.body) // 2]
        handler.answer(answer)


@dataclass
class Stall(Fault):
    """The answer begins and does not go on until the proxy is told (or ends)."""

    released: threading.Event = field(default_factory=threading.Event)

    def act(self, handler, ask):
        answer = ask()
        handler.start(answer, len(answer.body))
        handler.wfile.write(answer.body[: len(answer.body) // 2])
        handler.wfile.flush()
        self.released.wait(60)
        handler.reset()


@dataclass
class Rule:
    fault: Fault
    matches: Callable[[Request], bool]
    times: int | None
    hits: int = 0


class Proxy(ThreadingHTTPServer):
    """Listens on a port of its own and passes requests on to `upstream` (host, port)."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, upstream_port: int):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream_port = upstream_port
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.rules: list[Rule] = []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def inject(self, fault: Fault, matches=lambda request: True, times=None) -> Rule:
        """Meets the next `times` requests that match with the fault; all of them where None."""
        rule = Rule(fault, matches, times)
        with self.lock:
            self.rules.append(rule)
        return rule

    def heal(self):
        with self.lock:
            rules, self.rules = self.rules, []
        for rule in rules:
            if isinstance(rule.fault, Stall):
                rule.fault.released.set()

    def seen(self, matches=lambda request: True) -> list[Request]:
        with self.lock:
            return [request for request in self.requests if matches(request)]

    def stop(self):
        self.heal()
        self.shutdown()
        self.server_close()

    def fault_for(self, request: Request) -> Fault | None:
        with self.lock:
            self.requests.append(request)
            for rule in self.rules:
                if (rule.times is None or rule.hits < rule.times) and rule.matches(request):
                    rule.hits += 1
                    return rule.fault
        return None

    def pass_on(self, request: Request) -> Answer:
        """What the store answers. The host stays as the client named it: it is signed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=30)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name not in HOP_HEADERS:
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body)
            response = connection.getresponse()
            headers = {k: v for k, v in response.getheaders() if k.lower() not in HOP_HEADERS - {"content-length"}}
            return Answer(response.status, response.read(), headers)
        finally:
            connection.close()

    def handle_error(self, request, client_address):
        """A client that hangs up is none of the proxy's errors."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def serve(self):
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(length))
        fault = self.server.fault_for(request)
        if fault is None:
            self.answer(self.server.pass_on(request))
        else:
            fault.act(self, lambda: self.server.pass_on(request))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def start(self, answer: Answer, length: int):
        self.send_response_only(answer.status)
        # Of a HEAD request the length is that of what there would be.
        head = {k: v for k, v in answer.headers.items() if self.command == "HEAD" and k.lower() == "content-length"}
        for name, value in answer.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        for name, value in head.items():
            self.send_header(name, value)
        if not head:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def answer(self, answer: Answer):
        self.start(answer, len(answer.body))
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def reset(self):
        """Ends the connection with RST, as a broken one would."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *arguments):
        pass


def wait_for(condition, what: str, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.05)
