//! Connections that a proxy makes: what it is asked for, and what it is never asked for.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::any;
use causeway::egress::{Egress, EgressError, Protected, Proxy, Reach, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::egress::{ScriptedResolver, egress_resolving, get, rules, send, serve_local};

/// A proxy that brings every destination to one place, or answers with a status.
struct Way {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Way {
    async fn to(place: Result<std::net::SocketAddr, &'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(bring(stream, place, log.clone()));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn upstream(&self, egress: &Egress, allow: &[&str]) -> Upstream {
        egress.upstream_within(Reach {
            allow: rules(allow),
            proxy: Some(self.address.parse().unwrap()),
            ..Reach::default()
        })
    }
}

async fn bring(
    mut stream: TcpStream,
    place: Result<std::net::SocketAddr, &'static str>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    log.lock().unwrap().push(line);
    let place = match place {
        Ok(place) => place,
        Err(answer) => {
            stream.write_all(answer.as_bytes()).await.unwrap();
            return;
        }
    };
    let mut there = TcpStream::connect(place).await.unwrap();
    let answer = b"HTTP/1.1 200 Found\r\nVia: 1.1 x\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut there).await;
}

async fn reached() -> Result<std::net::SocketAddr, &'static str> {
    let router = Router::new().fallback(any(|| async { "reached" }));
    Ok(serve_local(router).await)
}

#[tokio::test]
async fn a_proxy_resolves_names_and_its_own_address_is_judged() {
    let way = Way::to(reached().await).await;
    // Nothing here resolves the name.
    let egress = egress_resolving(ScriptedResolver::default(), &[]);
    let upstream = way.upstream(&egress, &["127.0.0.1"]);
    let answer = send(&egress, &upstream, get("http://api.example/v1"))
        .await
        .unwrap();
    assert_eq!(answer.body, "reached");
    assert_eq!(way.asked(), ["CONNECT api.example:80 HTTP/1.1"]);

    let stranger = way.upstream(&egress, &[]);
    let error = send(&egress, &stranger, get("http://api.example/v1"))
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::Refused(_)), "{error}");
    // Who has no proxy does not use another's connection.
    let straight = egress.upstream(&rules(&["127.0.0.1"]));
    let error = send(&egress, &straight, get("http://api.example/v1"))
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::Unresolved { .. }), "{error}");
    assert_eq!(way.asked().len(), 1);
}

#[tokio::test]
async fn a_proxy_is_not_asked_for_what_can_be_refused_here() {
    let way = Way::to(reached().await).await;
    let egress = egress_resolving(ScriptedResolver::default(), &[]);
    egress.protect(Protected::Site {
        host: "causeway.example".to_owned(),
        port: 80,
    });
    egress.protect(Protected::Host {
        host: "db.example".to_owned(),
        port: 5432,
    });
    let port = way.address.rsplit(':').next().unwrap().to_owned();
    let proxy_only = format!("127.0.0.1:{port}");
    let upstream = way.upstream(&egress, &[&proxy_only]);
    for url in [
        "http://127.0.0.1:9/",
        "http://10.0.0.1/",
        "http://0x7f.1:9/",
        "http://[::1]:9/",
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/latest",
        "http://metadata.google.internal/",
        "http://localhost:9/",
        "http://a.LOCALHOST:9/",
        "http://localhost.:9/",
        "http://causeway.example/",
        "http://CAUSEWAY.example./",
        "http://db.example:5432/",
    ] {
        let error = send(&egress, &upstream, get(url)).await.unwrap_err();
        assert!(
            matches!(
                error,
                EgressError::Refused(_) | EgressError::RefusedName { .. }
            ),
            "{url}: {error}"
        );
    }
    assert!(way.asked().is_empty(), "{:?}", way.asked());
    // What a rule allows is allowed this way too.
    let upstream = way.upstream(&egress, &[&proxy_only, "10.0.0.1", "localhost:9"]);
    for url in ["http://10.0.0.1/", "http://localhost:9/", "http://8.8.8.8/"] {
        assert_eq!(
            send(&egress, &upstream, get(url)).await.unwrap().body,
            "reached",
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_connect_is_named() {
    for (answer, words) in [
        ("HTTP/1.1 403 Forbidden\r\nX: secret\r\n\r\n", "status 403"),
        ("HTTP/1.1 407 Who\r\n\r\n", "status 407"),
        ("SSH-2.0-x\r\n\r\n", "no HTTP proxy"),
        ("HTTP/1.1 200", "broke the connection off"),
    ] {
        let way = Way::to(Err(answer)).await;
        let egress = egress_resolving(ScriptedResolver::default(), &["127.0.0.1"]);
        let upstream = way.upstream(&egress, &[]);
        let error = send(&egress, &upstream, get("http://api.example/"))
            .await
            .unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(words) && said.contains(&way.address),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn a_proxy_is_a_host_and_a_port() {
    for (text, shown) in [
        ("http://proxy.internal:3128", "http://proxy.internal:3128"),
        ("http://proxy.internal/", "http://proxy.internal:80"),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("http://10.0.0.9:3128", "http://10.0.0.9:3128"),
    ] {
        assert_eq!(text.parse::<Proxy>().unwrap().to_string(), shown);
    }
    for text in [
        "",
        "proxy:3128",
        "https://proxy:3128",
        "socks5://proxy:1080",
        "http://user@proxy:3128",
        "http://user:secret@proxy:3128",
        "http://proxy:3128/path",
        "http://proxy:3128?x",
    ] {
        let error = text.parse::<Proxy>().unwrap_err().to_string();
        assert!(
            !error.contains("secret") && error.contains("http://host:port"),
            "{text}"
        );
    }
}
