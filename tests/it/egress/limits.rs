//! How long requests take and how much they bring back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get as on_get;
use base64::Engine;
use bytes::Bytes;
use causeway::egress::{Egress, EgressError, EgressSettings, Patience, Upstream};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;
use url::Url;

use crate::egress::{egress, get, rules, send, serve_local};

/// 100,000 times the letter a.
const GZIPPED: &str = "H4sIAAAAAAACA+3BMQEAAADCoKzrX8IaHkABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAArwaH+uIboIYBAA==";

fn with_body_limit(body_bytes_max: usize) -> Egress {
    Egress::new(EgressSettings {
        allow: rules(&["127.0.0.1"]),
        body_bytes_max,
        ..EgressSettings::default()
    })
}

async fn url_of(router: Router) -> String {
    format!("http://{}/", serve_local(router).await)
}

#[tokio::test]
async fn a_long_answer_is_cut_for_tools_and_refused_for_documents() {
    let url = url_of(Router::new().route("/", on_get(|| async { "x".repeat(5_000) }))).await;
    let egress = with_body_limit(1_000);
    let answer = send(&egress, &egress.upstream(&[]), get(&url))
        .await
        .unwrap();
    assert!(answer.truncated);
    assert_eq!(answer.body.len(), 1_000);
    let document = Url::parse(&url).unwrap();
    let error = egress.fetch(&document, &[], 1_000).await.unwrap_err();
    assert!(
        matches!(error, EgressError::TooLarge { limit: 1_000 }),
        "{error}"
    );
    assert_eq!(
        egress
            .fetch(&document, &[], 5_000)
            .await
            .unwrap()
            .body
            .len(),
        5_000
    );
}

#[tokio::test]
async fn the_limit_counts_bytes_after_decompression() {
    let compressed = base64::engine::general_purpose::STANDARD
        .decode(GZIPPED)
        .unwrap();
    assert!(compressed.len() < 1_000);
    let router = Router::new().route(
        "/",
        on_get(move |headers: HeaderMap| async move {
            assert!(
                headers["accept-encoding"]
                    .to_str()
                    .unwrap()
                    .contains("gzip")
            );
            ([("content-encoding", "gzip")], compressed)
        }),
    );
    let url = url_of(router).await;
    let egress = with_body_limit(1_000);
    let answer = send(&egress, &egress.upstream(&[]), get(&url))
        .await
        .unwrap();
    assert!(answer.truncated);
    assert_eq!(answer.body, "a".repeat(1_000));
    assert!(!answer.headers.contains_key("content-encoding"));
    let whole = egress
        .fetch(&Url::parse(&url).unwrap(), &[], 200_000)
        .await
        .unwrap();
    assert_eq!(whole.body.len(), 100_000);
}

#[tokio::test]
async fn an_api_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let egress = Egress::new(EgressSettings {
        allow: rules(&["127.0.0.1"]),
        first_byte_timeout: Duration::from_millis(200),
        ..EgressSettings::default()
    });
    let error = send(&egress, &egress.upstream(&[]), get(&url))
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::TimedOut { .. }), "{error}");
    assert!(
        error.to_string().contains("did not answer within 0.2 s"),
        "{error}"
    );
}

#[tokio::test]
async fn the_deadline_holds_while_a_body_trickles() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab")
            .await
            .unwrap();
        // Held open until the client gives up.
        stream.read(&mut [0; 64]).await.unwrap_or_default()
    });
    let egress = with_body_limit(1_000);
    let cancel = CancellationToken::new();
    let patience = Patience {
        deadline: Instant::now() + Duration::from_secs(1),
        cancel: &cancel,
    };
    let error = egress
        .send(&egress.upstream(&[]), get(&url), patience)
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::TimedOut { .. }), "{error}");
    assert_eq!(server.await.unwrap(), 0, "the connection is closed");
}

#[tokio::test]
async fn cancelling_closes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let arrived = Arc::new(Notify::new());
    let seen = arrived.clone();
    let server = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        seen.notify_one();
        stream.read(&mut [0; 64]).await.unwrap_or_default()
    });
    let egress = egress(&["127.0.0.1"]);
    let cancel = CancellationToken::new();
    let patience = Patience {
        deadline: Instant::now() + Duration::from_mins(1),
        cancel: &cancel,
    };
    let upstream = egress.upstream(&[]);
    let (answer, ()) = tokio::join!(egress.send(&upstream, get(&url), patience), async {
        arrived.notified().await;
        cancel.cancel();
    });
    assert!(matches!(answer, Err(EgressError::Cancelled)));
    assert_eq!(server.await.unwrap(), 0, "the connection is closed");
}

#[tokio::test]
async fn a_kept_connection_that_went_away_costs_no_get() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    tokio::spawn(async move {
        // The first connection answers once and dies at the second request; the next one answers.
        let mut first = accept(&listener).await;
        first.write_all(answer).await.unwrap();
        let _ = first.read(&mut [0; 1024]).await;
        drop(first);
        let mut second = accept(&listener).await;
        second.write_all(answer).await.unwrap();
        let _ = second.read(&mut [0; 64]).await;
    });
    let egress = egress(&["127.0.0.1"]);
    let upstream = egress.upstream(&[]);
    for _ in 0..2 {
        assert_eq!(
            send(&egress, &upstream, get(&url)).await.unwrap().body,
            "ok"
        );
    }
}

#[tokio::test]
async fn a_closed_port_is_named_without_the_path() {
    // Held, so that nobody else gets it, and nobody listens there.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    let egress = egress(&["127.0.0.1"]);
    let url = format!("http://{address}/private/path?key=secret");
    let error = send(&egress, &egress.upstream(&[]), get(&url))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, EgressError::Unreachable { .. }), "{text}");
    assert!(
        text.contains(&format!("http://{address}")) && text.contains("refused"),
        "{text}"
    );
    assert!(
        !text.contains("private") && !text.contains("secret"),
        "{text}"
    );
}

#[tokio::test]
async fn an_internal_upstream_is_called_without_a_connection() {
    let service = tower::service_fn(|request: Request<Bytes>| async move {
        let said = format!("{} {}", request.method(), request.uri());
        Ok::<_, Infallible>(Response::new(Bytes::from(said)))
    });
    let upstream = Upstream::Internal(BoxCloneSyncService::new(service));
    let egress = with_body_limit(20);
    let answer = send(&egress, &upstream, get("http://demo.internal/pets?limit=1"))
        .await
        .unwrap();
    assert!(answer.truncated);
    assert_eq!(answer.body, "GET http://demo.inte");
}

/// Accepts a connection and reads a request from it.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    stream
}
