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
        unknown.starts_with("HTTP/1.1 422") && unknown.contains("“Good for”: there is no server"),
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
    for (path, who, restores) in [
        ("/servers/petstore", cookie.as_str(), true),
        ("/servers/petstore/settings", &cookie, true),
        ("/servers/petstore", "", false),
    ] {
        let gone = served.get(path, who);
        assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");
        assert_eq!(gone.contains("href=\"/deleted\""), restores, "{gone}");
        assert_eq!(gone.contains("sign in to see"), !restores, "{gone}");
    }
    for (name, servers) in [("narrow", "none that still exists"), ("wide", "all")] {
        let row = page.split(&format!("<h3>{name}</h3>")).nth(1).unwrap();
        let row = row.split("</li>").next().unwrap();
        assert!(
            row.contains(&format!("<span>Good for</span> {servers}")),
            "{row}"
        );
    }
}

/// The part of the page that is about the key of that name: the newest one.
fn row<'a>(page: &'a str, name: &str) -> &'a str {
    let row = page.split(&format!("<h3>{name}</h3>")).nth(1).unwrap();
    row.split("</li>").next().unwrap()
}

#[test]
fn a_key_for_single_tools_that_expires_is_shown_as_such_and_rotated() {
    let served = serve();
    let cookie = served.sign_in();
    let made = make(
        &served,
        &cookie,
        &[
            ("name", "narrow"),
            ("servers", "petstore/listPets"),
            ("server", "bookshop"),
            ("expires", "30"),
        ],
    );
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    let page = served.get("/keys", &cookie);
    let narrow = row(&page, "narrow");
    assert!(
        narrow.contains("<code>bookshop</code> <code>petstore/listPets</code>"),
        "{narrow}"
    );
    assert!(!narrow.contains("<code>petstore</code>"), "{narrow}");
    let in_days = |days: i64| {
        let at = causeway::types::Clock::system().now() + chrono::Duration::days(days);
        format!("ends {}", at.format("%Y-%m-%d"))
    };
    assert!(narrow.contains(&in_days(30)), "{narrow}");
    let unknown = make(&served, &cookie, &[("name", "x"), ("expires", "31")]);
    assert!(!unknown.starts_with("HTTP/1.1 200"), "{unknown}");

    let id = narrow.split("name=\"id\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let token = csrf(&page);
    let rotate = |overlap: &str| {
        let fields = form(&[("id", id), ("overlap", overlap), ("csrf", &token)]);
        served.post("/keys/rotate", &format!("Cookie: {cookie}\r\n"), &fields)
    };
    let wrong = rotate("31d");
    assert!(
        wrong.starts_with("HTTP/1.1 400") && wrong.contains("“How long the old key goes on”"),
        "{wrong}"
    );
    let rotated = rotate("7d");
    assert!(
        rotated.contains("cannot be shown again") && rotated.contains("The key it replaces ends"),
        "{rotated}"
    );
    let page = served.get("/keys", &cookie);
    let old = page.split("<h3>narrow</h3>").nth(2).unwrap();
    assert!(row(&page, "narrow").contains("It replaces"), "{page}");
    assert!(
        old.contains("replaces it.") && old.contains(&in_days(7)),
        "{old}"
    );
    assert!(page.contains("replaced, still valid"), "{page}");
    assert!(rotate("1h").starts_with("HTTP/1.1 409"), "replaced twice");
    assert!(rotated.split("<code>cw_").nth(1).unwrap().len() > 40);
}

#[test]
fn issuers_are_added_shown_and_removed() {
    let served = serve();
    let cookie = served.sign_in();
    let token = csrf(&served.get("/keys", &cookie));
    let session = format!("Cookie: {cookie}\r\n");
    let add = |pairs: &[(&str, &str)]| {
        let fields = form(&[pairs, &[("csrf", token.as_str())]].concat());
        served.post("/keys/issuers", &session, &fields)
    };
    let fields = [
        ("issuer-name", "login"),
        ("issuer", "https://sso.example.com/realms/main"),
        ("audience", "causeway, other"),
        ("scopes", "petstore/listPets"),
        ("claim", "realm_access.roles"),
        ("values", "reader = bookshop\r\n<script> = petstore"),
    ];
    let kept = add(&fields);
    assert!(kept.contains("location: /keys?done=issuer-kept"), "{kept}");
    let page = served.get("/keys?done=issuer-kept", &cookie);
    for words in [
        "<h3>login</h3>",
        "<code>https://sso.example.com/realms/main</code>",
        "for causeway, other",
        "<code>petstore/listPets</code>",
        "<code>realm_access.roles = reader</code></span> <code>bookshop</code>",
        "realm_access.roles = &#60;script&#62;",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let refused = add(&[
        ("issuer-name", "other"),
        ("issuer", "https://other.example.com"),
        ("audience", "a"),
        ("scopes", "nowhere"),
    ]);
    assert!(
        refused.starts_with("HTTP/1.1 422")
            && refused.contains("There is no server")
            && refused.contains(">nowhere</textarea>"),
        "{refused}"
    );
    let fields = form(&[("issuer-name", "login"), ("csrf", &token)]);
    let removed = served.post("/keys/issuers/remove", &session, &fields);
    assert!(removed.contains("done=issuer-removed"), "{removed}");
    assert!(!served.get("/keys", &cookie).contains("<h3>login</h3>"));
}
