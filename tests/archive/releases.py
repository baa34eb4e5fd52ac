"""Where releases are, for a test: `releases.py DIR CERTIFICATE KEY` serves DIR over HTTPS and prints its port.

Of what lies below /cut/, only the first half is sent before the connection ends.
"""
import http.server, os, ssl, sys


class Releases(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=sys.argv[1])

    def do_GET(self):
        if not self.path.startswith("/cut/") or self.path.endswith("SHA256SUMS"):
            self.path = self.path.removeprefix("/cut")
            return super().do_GET()
        with open(sys.argv[1] + self.path.removeprefix("/cut"), "rb") as file:
            whole = file.read()
        self.send_response(200)
        self.send_header("content-length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole[: len(whole) // 2])
        self.close_connection = True

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Releases)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
