"""What an agent asks of Causeway and what it is told, by a listener between them; and what it asks of anybody else,
which is nothing where its settings say so."""

import http.client
import threading
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Of one connection only, so not passed on.
HOPS = ("connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding")


@dataclass
class Passed:
    method: str
    path: str
    headers: dict
    body: bytes
    status: int
    told: dict
    answer: bytes = b""


class Listener(ThreadingHTTPServer):
    """Passes everything on to an address and keeps it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, to):
        super().__init__(("127.0.0.1", 0), Between)
        self.to = urllib.parse.urlsplit(to)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.passed = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def taken(self):
        passed, self.passed = self.passed, []
        return passed

    def handle_error(self, request, client_address):
        """An agent may leave."""


class Between(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOPS}
        to = http.client.HTTPConnection(self.server.to.hostname, self.server.to.port, timeout=60)
        to.request(self.command, self.path, body, headers)
        answer = to.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        passed = Passed(self.command, self.path, dict(self.headers), body, answer.status, told)
        self.server.passed.append(passed)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOPS:
                self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := answer.read1(65536):
            passed.answer += piece
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        to.close()

    do_GET = do_POST = do_PUT = do_DELETE = pass_on

    def do_HEAD(self):
        self.server.passed.append(Passed("HEAD", self.path, dict(self.headers), b"", 0, {}))
        self.send_response_only(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing is told."""


class Outside(ThreadingHTTPServer):
    """The proxy that leads everywhere else, where nobody is let out."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Closed)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def taken(self):
        asked, self.asked = self.asked, []
        return asked


class Closed(BaseHTTPRequestHandler):
    def refuse(self):
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_error(403)

    do_GET = do_POST = do_HEAD = do_CONNECT = refuse

    def log_message(self, *_):
        """Nothing is told."""
