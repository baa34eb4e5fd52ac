//! The pages and the doors of the management side, through the real binary.

mod accounts;
mod approving;
mod catalog;
mod doors;
mod exposed;
mod hidden;
mod importing;
mod keys;
mod limiting;
mod model_usage;
mod oidc;
mod own;
mod playground;
mod reporting;
mod reviewing;
mod routing;
mod settings;
mod steering;
mod tabs;
mod trying;
mod words;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Longer than any answer takes.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

struct Served {
    child: Child,
    address: String,
    setup: String,
    data: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve() -> Served {
    serve_with(&[])
}

fn serve_with(flags: &[&str]) -> Served {
    let data = tempfile::tempdir().unwrap();
    let elsewhere = flags.contains(&"--listen");
    let listen: &[&str] = if elsewhere {
        &[]
    } else {
        &["--listen", "127.0.0.1:0"]
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(["serve", "--json", "--data"])
        .arg(data.path().join("data"))
        .args(listen)
        .args(flags)
        .env("CAUSEWAY__LIMITS__MANAGEMENT_REQUESTS_PER_SECOND", "0")
        .env("CAUSEWAY__SERVER__MANAGEMENT_SERVER", "false")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    Served {
        child,
        address: ready["listening"].as_str().unwrap().to_owned(),
        setup: ready["setup"].as_str().unwrap_or_default().to_owned(),
        data,
    }
}

impl Served {
    /// One request; the head and body of its answer as text.
    fn ask(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // A stream that nobody ends is a failed test.
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = if head.contains("\r\nHost:") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.address)
        };
        let length = body.len();
        write!(
            stream,
            "{head}\r\n{host}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str, cookie: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nCookie: {cookie}"), "")
    }

    fn post(&self, path: &str, headers: &str, form: &str) -> String {
        let head = format!(
            "POST {path} HTTP/1.1\r\n{headers}Content-Type: application/x-www-form-urlencoded"
        );
        self.ask(&head, form)
    }

    /// The cookie of a session begun with the admin key that was made at the start.
    fn sign_in(&self) -> String {
        let key = std::fs::read_to_string(self.data.path().join("data/admin.key")).unwrap();
        let answer = self.submit("/login", &[("key", key.trim())]);
        let cookie = cookie(&answer, "causeway_session").expect("a session");
        assert!(
            answer.contains("HttpOnly") && answer.contains("SameSite"),
            "{answer}"
        );
        cookie
    }

    /// Fills in a form that is shown to somebody without a session, as their browser does.
    fn submit(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let shown = self.get(path, "");
        let visit = cookie(&shown, "causeway_form").expect("a cookie for the form");
        let token = csrf(&shown);
        let fields = [fields, &[("csrf", token.as_str())]].concat();
        let path = path.split('?').next().unwrap();
        self.post(path, &format!("Cookie: {visit}\r\n"), &form(&fields))
    }
}

/// A cookie that an answer sets, as a browser sends it.
fn cookie(answer: &str, name: &str) -> Option<String> {
    let lines = answer
        .lines()
        .filter_map(|line| line.strip_prefix("set-cookie: "));
    let cookies = lines.map(|line| line.split(';').next().unwrap());
    let mut set = cookies.filter(|cookie| cookie.starts_with(&format!("{name}=")));
    set.next_back().map(str::to_owned)
}

fn csrf(page: &str) -> String {
    let at = page
        .find("name=\"csrf\" value=\"")
        .expect("no form with a token")
        + 19;
    page[at..].split('"').next().unwrap().to_owned()
}

/// What a browser sends for a form.
fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// An API that answers every request with the request, as JSON text. It ends with the test.
fn echo() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A peer that leaves early is no concern of the echo.
            let _ = answer(stream.unwrap());
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut request, mut length) = (String::new(), 0);
    while !request.ends_with("\r\n\r\n") {
        let begin = request.len();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let line = request[begin..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.push_str(std::str::from_utf8(&body).unwrap());
    let text = serde_json::json!({ "request": request }).to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{text}",
        text.len()
    )
}

#[test]
fn pages_are_readable_without_script_and_write_only_with_their_token() {
    let served = serve();
    let home = served.get("/", "");
    assert!(home.starts_with("HTTP/1.1 200"), "{home}");
    assert!(home.contains("Petstore") && home.contains("Bookshop"));
    assert!(home.contains("content-security-policy: default-src 'none'"));
    assert!(!home.contains("<script>") && !home.contains(" style="));
    let tools = served.get("/servers/petstore/tools", "");
    assert!(tools.contains("listPets"));
    let server = served.get("/servers/petstore", "");
    assert!(server.contains("/mcp/petstore"));
    assert!(
        served
            .get("/servers/nothing", "")
            .starts_with("HTTP/1.1 404")
    );
    assert!(served.get("/publish", "").starts_with("HTTP/1.1 303"));

    let cookie = served.sign_in();
    let keys = served.get("/keys", &cookie);
    assert!(keys.starts_with("HTTP/1.1 200"), "{keys}");
    let signed_in = format!("Cookie: {cookie}\r\n");
    assert!(
        served
            .post("/keys", &signed_in, "name=x")
            .starts_with("HTTP/1.1 403")
    );
    assert!(
        served
            .post("/keys", &signed_in, "name=x&csrf=00")
            .starts_with("HTTP/1.1 403")
    );
    let token = csrf(&keys);
    let made = served.post("/keys", &signed_in, &format!("name=agent&csrf={token}"));
    assert!(
        made.starts_with("HTTP/1.1 200") && made.contains("cw_"),
        "{made}"
    );
    let elsewhere = format!("{signed_in}Sec-Fetch-Site: cross-site\r\n");
    assert!(
        served
            .post("/keys", &elsewhere, &format!("name=y&csrf={token}"))
            .starts_with("HTTP/1.1 403")
    );
}

#[test]
fn the_management_side_opens_to_the_admin_key_only() {
    let served = serve();
    let json = "Content-Type: application/json\r\n";
    let ask = |method: &str, path: &str, headers: &str| {
        served.ask(
            &format!("{method} {path} HTTP/1.1\r\n{json}{}", headers.trim_end()),
            "{}",
        )
    };
    for (path, methods) in causeway::market::api::ROUTES {
        for method in *methods {
            let path = path
                .replace("{slug}", "petstore")
                .replace("{tool}", "listPets")
                .replace("{scheme}", "key")
                .replace("{id}", "01900000-0000-7000-8000-000000000001");
            let open = *path == *"/api/v1/openapi.json"
                || path.ends_with("/call")
                || *method == "GET"
                    && matches!(
                        path.as_str(),
                        "/api/v1/servers"
                            | "/api/v1/servers/petstore"
                            | "/api/v1/servers/petstore/tools"
                    );
            let answer = ask(method, &path, "Accept: */*");
            let expected = if open { "HTTP/1.1 200" } else { "HTTP/1.1 401" };
            assert!(answer.starts_with(expected), "{method} {path}: {answer}");
            let wrong = ask(method, &path, "X-API-Key: wrong");
            let expected = if path.ends_with("openapi.json") {
                "HTTP/1.1 200"
            } else {
                "HTTP/1.1 401"
            };
            assert!(
                wrong.starts_with(expected),
                "{method} {path} with a wrong key: {wrong}"
            );
            let rebound = ask(method, &path, "Host: evil.example");
            assert!(
                rebound.starts_with("HTTP/1.1 403"),
                "{method} {path} for another host: {rebound}"
            );
            if *method != "GET" {
                let cross = ask(method, &path, "Origin: http://evil.example");
                assert!(
                    cross.starts_with("HTTP/1.1 403"),
                    "{method} {path} from elsewhere: {cross}"
                );
            }
        }
    }
    let unknown = served.get("/v2/chat/completions", "");
    assert!(unknown.starts_with("HTTP/1.1 404") && unknown.contains("application/problem+json"));
}

#[test]
fn the_api_document_names_every_route_and_becomes_tools() {
    let api = causeway::openapi::read(
        causeway::market::api::DOCUMENT.as_bytes(),
        &causeway::openapi::DocumentLimits::default(),
    )
    .unwrap();
    let mut described: Vec<String> = api
        .operations
        .iter()
        .map(|op| format!("{} {}", op.method, op.path.raw))
        .collect();
    let mut routed: Vec<String> = causeway::market::api::ROUTES
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(move |method| format!("{method} {path}")))
        .collect();
    described.sort();
    routed.sort();
    assert_eq!(described, routed);
    assert_eq!(causeway::mcp::tool::define(&api).tools.len(), routed.len());
}
