//! The notice of those whose connection can be read.

use crate::pages::{cookie, csrf, form, serve, serve_with};

const WORDS: &str = "can be read on the network";

#[test]
fn people_are_told_that_they_can_be_read_until_they_dismiss_it() {
    let served = serve_with(&["--public-url", "http://tools.lan:8080"]);
    assert!(!served.get("/", "").contains(WORDS), "nobody signed in");
    let session = served.sign_in();
    let page = served.get("/keys", &session);
    assert!(page.contains(WORDS), "{page}");
    assert!(page.contains("href=\"/docs/proxies#h-7\""), "{page}");
    let guide = served.get("/docs/proxies", &session);
    assert!(
        guide.contains("id=\"h-7\">On a LAN, without TLS"),
        "{guide}"
    );
    let chinese = served.get("/keys", &format!("{session}; causeway-language=zh-CN"));
    assert!(chinese.contains("可能在网络上被读取"), "{chinese}");

    let headers = format!("Cookie: {session}\r\nReferer: http://tools.lan:8080/keys?x=1\r\n");
    let refused = served.post("/exposed", &headers, "csrf=no");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let answer = served.post("/exposed", &headers, &form(&[("csrf", &csrf(&page))]));
    assert!(answer.contains("location: /keys?x=1"), "{answer}");
    let line = answer
        .lines()
        .find(|line| line.contains("causeway_exposed"));
    assert!(
        !line.unwrap().contains("Max-Age"),
        "it ends with the browser"
    );
    let read = cookie(&answer, "causeway_exposed").unwrap();
    let later = served.get("/keys", &format!("{session}; {read}"));
    assert!(!later.contains(WORDS), "{later}");
}

#[test]
fn on_this_machine_nobody_is_told() {
    let served = serve();
    assert!(!served.get("/keys", &served.sign_in()).contains(WORDS));
}
