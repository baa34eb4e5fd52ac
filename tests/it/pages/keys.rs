//! The page of keys.

use crate::pages::{Served, csrf, form, serve};

fn make(served: &Served, cookie: &str, pairs: &[(&str, &str)]) -> String {
    let token = csrf(&served.get("/keys", cookie));
    let pairs = [pairs, &[("csrf", token.as_str())]].concat();
    served.post("/keys", &format!("Cookie: {cookie}\r\n"), &form(&pairs))
}

#[test]
fn a_key_is_shown_once_listed_and_revoked() {
    let served = serve();
    let cookie = served.sign_in();
    assert!(served.get("/keys", &cookie).contains("No keys yet"));
    let made = make(
        &served,
        &cookie,
        &[("name", "an <script> agent"), ("server", "petstore")],
    );
    assert!(
        made.starts_with("HTTP/1.1 200") && made.contains("cannot be shown again"),
        "{made}"
    );
    assert!(!made.contains("<script>"), "{made}");
    let key = made
        .split("<code>cw_")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    let page = served.get("/keys", &cookie);
    assert!(
        page.contains("an &#60;script&#62; agent") && !page.contains(key),
        "{page}"
    );
    assert!(page.contains("<code>petstore</code>"), "{page}");

    let id = page
        .split("name=\"id\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let session = format!("Cookie: {cookie}\r\n");
    let bare = served.post("/keys/revoke", &session, &form(&[("id", id)]));
    assert!(bare.starts_with("HTTP/1.1 403"), "{bare}");
    let token = csrf(&page);
    let revoked = served.post(
        "/keys/revoke",
        &session,
        &form(&[("id", id), ("csrf", &token)]),
    );
    assert!(
        revoked.contains("location: /keys?done=revoked"),
        "{revoked}"
    );
    let page = served.get("/keys?done=revoked", &cookie);
    assert!(
        page.contains("opens nothing any more") && page.contains(">revoked</span>"),
        "{page}"
    );
}

#[test]
fn a_refused_key_keeps_what_was_entered() {
    let served = serve();
    let cookie = served.sign_in();
    let nameless = make(&served, &cookie, &[("name", " "), ("server", "bookshop")]);
    assert!(
        nameless.starts_with("HTTP/1.1 400") && nameless.contains("“Name” is 1 to"),
        "{nameless}"
    );
    assert!(
        nameless.contains("value=\"bookshop\" checked"),
        "{nameless}"
    );
    let unknown = make(
        &served,
        &cookie,
        &[("name", "agent"), ("servers", "petstore\r\n\"><script>")],
    );
    assert!(
        unknown.starts_with("HTTP/1.1 422") && unknown.contains("“Servers”: there is no server"),
        "{unknown}"
    );
    assert!(
        unknown.contains("value=\"agent\"") && !unknown.contains("<script>"),
        "{unknown}"
    );
    assert!(served.get("/keys", &cookie).contains("No keys yet"));
}

#[test]
fn a_key_whose_server_is_gone_is_not_said_to_open_every_server() {
    let served = serve();
    let cookie = served.sign_in();
    make(
        &served,
        &cookie,
        &[("name", "narrow"), ("server", "petstore")],
    );
    make(&served, &cookie, &[("name", "wide")]);
    let token = csrf(&served.get("/keys", &cookie));
    let delete = form(&[("confirm", "petstore"), ("csrf", &token)]);
    let path = "/servers/petstore/settings/delete";
    let deleted = served.post(path, &format!("Cookie: {cookie}\r\n"), &delete);
    assert!(deleted.starts_with("HTTP/1.1 303"), "{deleted}");
    let page = served.get("/keys", &cookie);
    for (name, servers) in [("narrow", "none that still exists"), ("wide", "all")] {
        let row = page
            .split(&format!(">{name}</th>"))
            .nth(1)
            .unwrap()
            .split("</tr>")
            .next()
            .unwrap();
        assert!(
            row.contains(&format!("data-label=\"Servers\">{servers}</td>")),
            "{row}"
        );
    }
}
