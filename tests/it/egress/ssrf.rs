//! Where requests may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::response::Redirect;
use axum::routing::{any, get as on_get};
use causeway::egress::{EgressError, Protected, Reason};
use url::Url;

use crate::egress::{
    ScriptedResolver, egress, egress_resolving, get, rules, send, serve, serve_local,
};

/// A router that counts who got through.
fn counting() -> (Router, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let router = Router::new().fallback(any(move || {
        seen.fetch_add(1, Ordering::SeqCst);
        async { "reached" }
    }));
    (router, count)
}

fn refusal(error: EgressError) -> causeway::egress::Refusal {
    let EgressError::Refused(refusal) = error else {
        unreachable!("not a refusal: {error}");
    };
    refusal
}

#[tokio::test]
async fn no_spelling_of_this_machine_is_reached() {
    let (router, reached) = counting();
    let v4 = serve(Ipv4Addr::UNSPECIFIED.into(), router.clone())
        .await
        .port();
    let v6 = serve(Ipv6Addr::LOCALHOST.into(), router).await.port();
    let egress = egress(&[]);
    let upstream = egress.upstream(&[]);
    for (host, port) in [
        ("127.0.0.1", v4),
        ("127.0.0.2", v4),
        ("127.1", v4),
        ("127.0.1", v4),
        ("2130706433", v4),
        ("0x7f000001", v4),
        ("0x7f.1", v4),
        ("0177.0.0.1", v4),
        ("017700000001", v4),
        ("127.0.0.1.", v4),
        ("%31%32%37.0.0.1", v4),
        ("\u{ff11}\u{ff12}\u{ff17}.0.0.1", v4),
        ("127\u{3002}0\u{3002}0\u{3002}1", v4),
        ("0.0.0.0", v4),
        ("0", v4),
        ("[::ffff:127.0.0.1]", v4),
        ("[::ffff:7f00:1]", v4),
        ("[::ffff:0:127.0.0.1]", v4),
        ("[::127.0.0.1]", v4),
        ("[64:ff9b::7f00:1]", v4),
        ("[2002:7f00:1::]", v4),
        ("[::]", v4),
        ("[::]", v6),
        ("[::1]", v6),
        ("[0:0:0:0:0:0:0:1]", v6),
        ("[0000::0001]", v6),
    ] {
        let url = format!("http://{host}:{port}/");
        let refusal = refusal(send(&egress, &upstream, get(&url)).await.unwrap_err());
        assert_eq!(refusal.port, port, "{url}");
        let shown = EgressError::Refused(refusal.clone()).to_string();
        assert!(shown.contains(&refusal.address.to_string()), "{shown}");
        assert!(
            shown.contains("--allow-upstream") && shown.contains("allowUpstream"),
            "{shown}"
        );
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn special_ranges_are_refused_before_anything_is_dialled() {
    let egress = egress(&[]);
    let upstream = egress.upstream(&[]);
    for host in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.0.1",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "169.16689662",
        "192.0.0.192",
        "198.18.0.1",
        "192.0.2.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:0a00:0001::]",
        "[2001::1]",
    ] {
        let url = format!("http://{host}/");
        let error = send(&egress, &upstream, get(&url)).await.unwrap_err();
        assert!(matches!(refusal(error).reason, Reason::Kind(_)), "{url}");
    }
}

#[test]
fn zone_ids_are_no_urls() {
    for text in [
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1%lo]/",
    ] {
        assert!(Url::parse(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn names_are_judged_by_their_addresses() {
    let (router, reached) = counting();
    let port = serve_local(router).await.port();
    let resolver = ScriptedResolver::default()
        .answer("inside.example", &["10.1.2.3"])
        .answer("mapped.example", &["::ffff:127.0.0.1"])
        .answer("localhost", &["::1", "127.0.0.1"])
        .answer("metadata.google.internal", &["127.0.0.1"]);
    let egress = egress_resolving(resolver, &["metadata.google.internal"]);
    let upstream = egress.upstream(&[]);
    for host in [
        "inside.example",
        "INSIDE.example",
        "inside.example.",
        "mapped.example",
        "localhost",
        "metadata.google.internal",
        "metadata.google.internal.",
    ] {
        let url = format!("http://{host}:{port}/");
        let error = send(&egress, &upstream, get(&url)).await.unwrap_err();
        let shown = error.to_string();
        refusal(error);
        assert!(shown.contains("(an address of "), "{shown}");
    }
    let unknown = send(&egress, &upstream, get("http://nowhere.example/"))
        .await
        .unwrap_err();
    assert!(
        matches!(unknown, EgressError::Unresolved { .. }),
        "{unknown}"
    );
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_again() {
    // The first answer is an address that is allowed, the second is loopback as well but not
    // allowed, and something listens on both.
    let (router, reached) = counting();
    let port = serve(Ipv4Addr::UNSPECIFIED.into(), router).await.port();
    let resolver = ScriptedResolver::default()
        .answer("rebinding.example", &["127.0.0.2"])
        .answer("rebinding.example", &["127.0.0.1"]);
    let egress = egress_resolving(resolver, &[]);
    let upstream = egress.upstream(&rules(&["127.0.0.2"]));
    let url = format!("http://rebinding.example:{port}/");
    let mut closing = get(&url);
    closing
        .headers
        .insert("connection", "close".parse().unwrap());
    assert_eq!(
        send(&egress, &upstream, closing).await.unwrap().body,
        "reached"
    );
    let second = send(&egress, &upstream, get(&url)).await.unwrap_err();
    assert_eq!(refusal(second).address, IpAddr::from([127, 0, 0, 1]));
    assert_eq!(reached.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_the_admitted_of_several_addresses_is_dialled() {
    let (router, reached) = counting();
    let port = serve(Ipv4Addr::UNSPECIFIED.into(), router).await.port();
    let resolver =
        ScriptedResolver::default().answer("both.example", &["127.0.0.1", "::1", "127.0.0.3"]);
    let egress = egress_resolving(resolver, &[]);
    let upstream = egress.upstream(&rules(&["127.0.0.3"]));
    let url = format!("http://both.example:{port}/");
    assert!(send(&egress, &upstream, get(&url)).await.is_ok());
    assert_eq!(reached.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn allow_rules_open_what_they_name_for_whom_they_are_given() {
    let (router, _) = counting();
    let port = serve_local(router).await.port();
    let resolver = ScriptedResolver::default().answer("api.internal", &["127.0.0.1"]);
    let egress = egress_resolving(resolver, &[]);
    let url = format!("http://127.0.0.1:{port}/");
    let named = format!("http://api.internal:{port}/");
    let exact = format!("127.0.0.1:{port}");
    let other_port = format!("127.0.0.1:{}", port.wrapping_add(1).max(1));
    for (rule, by_address, by_name) in [
        ("127.0.0.0/8", true, true),
        (exact.as_str(), true, true),
        (other_port.as_str(), false, false),
        ("api.internal", false, true),
        ("10.0.0.0/8", false, false),
    ] {
        let upstream = egress.upstream(&rules(&[rule]));
        assert_eq!(
            send(&egress, &upstream, get(&url)).await.is_ok(),
            by_address,
            "{rule}"
        );
        assert_eq!(
            send(&egress, &upstream, get(&named)).await.is_ok(),
            by_name,
            "{rule}"
        );
    }
    // The connections just made are kept, but not for a server without the rule.
    let other = egress.upstream(&[]);
    refusal(send(&egress, &other, get(&url)).await.unwrap_err());
}

#[tokio::test]
async fn causeways_own_listeners_and_databases_are_closed_to_it() {
    let (router, reached) = counting();
    let port = serve(Ipv4Addr::UNSPECIFIED.into(), router).await.port();
    let resolver = ScriptedResolver::default()
        .answer("db.internal", &["127.0.0.1"])
        .answer("alias.internal", &["127.0.0.1"]);
    let urls: Vec<String> = [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "alias.internal",
    ]
    .map(|host| format!("http://{host}:{port}/"))
    .into();
    let everything = ["0.0.0.0/0", "::/0", "alias.internal"];
    let listening = egress_resolving(resolver.clone(), &everything);
    listening.protect(Protected::Listener(SocketAddr::new(
        Ipv4Addr::UNSPECIFIED.into(),
        port,
    )));
    let database = egress_resolving(resolver, &everything);
    database.protect(Protected::Host {
        host: "db.internal".into(),
        port,
    });
    for url in &urls {
        let error = send(&listening, &listening.upstream(&[]), get(url))
            .await
            .unwrap_err();
        assert_eq!(refusal(error).reason, Reason::Own, "{url}");
    }
    // By its name, by its address, and by another name for its address.
    for host in ["db.internal", "127.0.0.1", "alias.internal"] {
        let url = format!("http://{host}:{port}/");
        let error = send(&database, &database.upstream(&[]), get(&url))
            .await
            .unwrap_err();
        assert_eq!(refusal(error).reason, Reason::Own, "{url}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn redirects_are_followed_within_the_origin_only() {
    let (inner, reached) = counting();
    let other = serve_local(inner).await;
    let router = Router::new()
        .route("/document", on_get(|| async { "{}" }))
        .route(
            "/near",
            on_get(|| async { Redirect::permanent("/document") }),
        )
        .route("/loop", on_get(|| async { Redirect::temporary("/loop") }))
        .route(
            "/far",
            on_get(move || async move { Redirect::to(&format!("http://{other}/")) }),
        )
        .route(
            "/metadata",
            on_get(|| async { Redirect::to("http://169.254.169.254/latest") }),
        )
        .route(
            "/tls",
            on_get(|| async { Redirect::to("https://127.0.0.1/") }),
        );
    let here = serve_local(router).await;
    let egress = egress(&["127.0.0.0/8", "169.254.169.254/32"]);
    let fetch = async |path: &str| {
        let url = Url::parse(&format!("http://{here}{path}")).unwrap();
        egress.fetch(&url, &[], 1024).await
    };
    let found = fetch("/near").await.unwrap();
    assert_eq!(found.url.path(), "/document");
    assert_eq!(found.body, "{}");
    assert!(matches!(
        fetch("/loop").await,
        Err(EgressError::RedirectedTooOften { .. })
    ));
    for path in ["/far", "/metadata", "/tls"] {
        let error = fetch(path).await.unwrap_err();
        assert!(matches!(error, EgressError::Redirected { .. }), "{error}");
        assert!(error.to_string().contains("if you trust it"), "{error}");
    }
    // A tool call sees the redirect itself.
    let url = format!("http://{here}/far");
    let answer = send(&egress, &egress.upstream(&[]), get(&url))
        .await
        .unwrap();
    assert_eq!(answer.status, 303);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn documents_are_held_to_the_same_policy() {
    let (router, reached) = counting();
    let here = serve_local(router).await;
    let url = Url::parse(&format!("http://{here}/openapi.json")).unwrap();
    let egress = egress(&[]);
    refusal(egress.fetch(&url, &[], 1024).await.unwrap_err());
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    assert!(
        egress
            .fetch(&url, &rules(&["127.0.0.1"]), 1024)
            .await
            .is_ok()
    );
    for text in [
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://user:secret@example.com/",
    ] {
        let error = egress
            .fetch(&Url::parse(text).unwrap(), &[], 1024)
            .await
            .unwrap_err();
        assert!(matches!(error, EgressError::InvalidUrl), "{text}: {error}");
    }
}
