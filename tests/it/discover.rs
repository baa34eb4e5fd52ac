//! Documents behind what an owner has at hand, on sites that answer as the frameworks do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use causeway::market::discover::{DiscoverError, Discovered, discover};
use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use url::Url;

use crate::egress::{egress, serve_local};

/// A site: what it has at each path with its query, and how often it was asked.
#[derive(Clone, Default)]
struct Site {
    files: Arc<HashMap<&'static str, String>>,
    asked: Arc<AtomicUsize>,
}

const DOCUMENT: &str =
    r#"{"openapi": "3.1.0", "info": {"title": "Found", "version": "1"}, "paths": {}}"#;

async fn answer(State(site): State<Site>, OriginalUri(uri): OriginalUri) -> Response {
    site.asked.fetch_add(1, Ordering::Relaxed);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    match site.files.get(path) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(body) => match body.strip_prefix("-> ") {
            Some(target) => (StatusCode::FOUND, [(LOCATION, target.to_owned())]).into_response(),
            None if body.starts_with('<') => {
                ([(CONTENT_TYPE, "text/html")], body.clone()).into_response()
            }
            None => ([(CONTENT_TYPE, "application/json")], body.clone()).into_response(),
        },
    }
}

impl Site {
    fn new(files: &[(&'static str, &str)]) -> Self {
        let files = files.iter().map(|(path, body)| (*path, (*body).to_owned()));
        Self {
            files: Arc::new(files.collect()),
            ..Self::default()
        }
    }

    async fn serve(&self) -> SocketAddr {
        serve_local(Router::new().fallback(answer).with_state(self.clone())).await
    }

    async fn find(&self, path: &str) -> Result<Discovered, DiscoverError> {
        let url = Url::parse(&format!("http://{}{path}", self.serve().await)).unwrap();
        let egress = egress(&["127.0.0.1"]);
        discover(&egress, &url, &[], 1 << 20).await
    }
}

async fn found_at(path: &str, expected: &str, files: &[(&'static str, &str)]) {
    let found = Site::new(files).find(path).await;
    let found = found.unwrap_or_else(|error| unreachable!("{path} in {files:?}: {error}"));
    assert_eq!(found.url.path(), expected, "{path} in {files:?}");
    let document: serde_json::Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(document["info"]["title"], "Found", "{path} in {files:?}");
}

#[tokio::test]
async fn the_documents_own_url_is_read_as_it_is() {
    found_at("/any/name", "/any/name", &[("/any/name", DOCUMENT)]).await;
    let moved = [("/old", "-> /new"), ("/new", DOCUMENT)];
    found_at("/old", "/new", &moved).await;
}

#[tokio::test]
async fn fastapi_names_its_document_in_a_script() {
    let page = r##"<!DOCTYPE html><html><head><link rel="shortcut icon" href="https://fastapi.tiangolo.com/img/favicon.png">
        </head><body><div id="swagger-ui"></div>
        <script src="https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/swagger-ui-bundle.js"></script>
        <script>
        const ui = SwaggerUIBundle({
            url: '/v1/openapi.json',
        "dom_id": "#swagger-ui",
        oauth2RedirectUrl: window.location.origin + '/docs/oauth2-redirect',
        })
        </script></body></html>"##;
    let files = [("/docs", page), ("/v1/openapi.json", DOCUMENT)];
    found_at("/docs", "/v1/openapi.json", &files).await;
}

#[tokio::test]
async fn springdoc_names_its_document_in_the_configuration_of_its_viewer() {
    let page = r#"<!DOCTYPE html><html><body><div id="swagger-ui"></div>
        <script src="./swagger-ui-bundle.js"></script>
        <script src="./swagger-initializer.js" charset="UTF-8"></script></body></html>"#;
    let script = r#"window.onload = function() {
        window.ui = SwaggerUIBundle({ url: "", dom_id: '#swagger-ui',
            "configUrl" : "/base/v3/api-docs/swagger-config", "validatorUrl" : "" }); };"#;
    let config = r#"{"configUrl":"/base/v3/api-docs/swagger-config","urls":[{"url":"/base/v3/api-docs/admin","name":"admin"}]}"#;
    let files = [
        ("/swagger-ui.html", "-> /swagger-ui/index.html"),
        ("/swagger-ui/index.html", page),
        ("/swagger-ui/swagger-initializer.js", script),
        ("/base/v3/api-docs/swagger-config", config),
        ("/base/v3/api-docs/admin", DOCUMENT),
    ];
    found_at("/swagger-ui.html", "/base/v3/api-docs/admin", &files).await;
    let files = &files[2..];
    let asked = "/swagger-ui/index.html?configUrl=/base/v3/api-docs/swagger-config";
    let mut files = files.to_vec();
    files.push((
        "/swagger-ui/index.html?configUrl=/base/v3/api-docs/swagger-config",
        "<html>an older one, told by its query</html>",
    ));
    found_at(asked, "/base/v3/api-docs/admin", &files).await;
}

#[tokio::test]
async fn swashbuckle_names_its_document_in_escaped_json() {
    let page = r#"<html><body><script src="./index.js"></script></body></html>"#;
    let script = r#"window.onload = function () {
        var configObject = JSON.parse('{"urls":[{"url":"v1/swagger.json","name":"My API V1"}],"deepLinking":false}');"#;
    let files = [
        ("/swagger/index.html", page),
        ("/swagger/index.js", script),
        ("/swagger/v1/swagger.json", DOCUMENT),
    ];
    found_at("/swagger/index.html", "/swagger/v1/swagger.json", &files).await;
}

#[tokio::test]
async fn swagger_ui_express_writes_the_document_into_its_script() {
    let page = r#"<html><body><script src="./swagger-ui-init.js"> </script></body></html>"#;
    let script = format!(
        "window.onload = function() {{ let options = {{ \"swaggerDoc\": {DOCUMENT}, \"customOptions\": {{}} }}; }}"
    );
    let files = [
        ("/api-docs/", page),
        ("/api-docs/swagger-ui-init.js", &script),
    ];
    found_at("/api-docs/", "/api-docs/", &files).await;
}

#[tokio::test]
async fn redoc_and_scalar_name_theirs_in_an_attribute() {
    let files = [
        ("/redoc", "<redoc spec-url=\"/openapi.json\"></redoc>"),
        ("/openapi.json", DOCUMENT),
    ];
    found_at("/redoc", "/openapi.json", &files).await;
    let page = r#"<html><script id="api-reference" data-url="./deep/s.json"></script></html>"#;
    let files = [("/reference/", page), ("/reference/deep/s.json", DOCUMENT)];
    found_at("/reference/", "/reference/deep/s.json", &files).await;
}

#[tokio::test]
async fn a_base_url_leads_to_the_usual_places() {
    found_at("/", "/openapi.json", &[("/openapi.json", DOCUMENT)]).await;
    let files = [("/shop/v3/api-docs", DOCUMENT)];
    found_at("/shop", "/shop/v3/api-docs", &files).await;
    let files = [
        ("/api", "{\"hello\": \"world\"}"),
        ("/swagger.json", DOCUMENT),
    ];
    found_at("/api", "/swagger.json", &files).await;
}

#[tokio::test]
async fn a_search_that_finds_nothing_says_so_and_ends() {
    let site = Site::new(&[("/", "<html>nothing here</html>")]);
    let error = site.find("/").await.unwrap_err();
    assert!(matches!(error, DiscoverError::Missing { .. }), "{error}");
    assert!(
        error.to_string().contains("URL of the document itself"),
        "{error}"
    );

    // Every page names many others, which name more.
    let named = (0..500).map(|n| format!("<redoc spec-url='/p{}'></redoc>", n % 30));
    let page = named.collect::<String>();
    let mut files: Vec<(&'static str, &str)> = vec![("/", &page)];
    let names: Vec<String> = (0..30).map(|n| format!("/p{n}")).collect();
    let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    files.extend(names.into_iter().map(|name| (name, page.as_str())));
    let site = Site::new(&files);
    site.find("/").await.unwrap_err();
    let asked = site.asked.load(Ordering::Relaxed);
    assert!((25..=41).contains(&asked), "{asked} requests");
}

#[tokio::test]
async fn what_a_page_names_passes_the_same_policy() {
    let hidden = Site::new(&[("/openapi.json", DOCUMENT)]);
    let address = hidden.serve().await;
    let page = format!("<redoc spec-url=\"http://{address}/openapi.json\"></redoc>");
    let site = Site::new(&[("/", &page)]);
    let open = Url::parse(&format!("http://{}/", site.serve().await)).unwrap();
    let only = egress(&[&format!("127.0.0.1:{}", open.port().unwrap())]);
    let error = discover(&only, &open, &[], 1 << 20).await.unwrap_err();
    assert!(matches!(error, DiscoverError::Missing { .. }), "{error}");
    assert_eq!(hidden.asked.load(Ordering::Relaxed), 0);

    let refused = discover(&egress(&[]), &open, &[], 1 << 20)
        .await
        .unwrap_err();
    assert!(matches!(refused, DiscoverError::Fetch(_)), "{refused}");
    assert!(refused.to_string().contains("allow-upstream"), "{refused}");
}
