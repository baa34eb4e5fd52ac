//! `/v1/files` and `/v1/batches`: what callers keep at a provider.

use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde::Deserialize;

use crate::llm::dialect::Dialect;
use crate::llm::endpoint::models::asked_in;
use crate::llm::endpoint::through::{answered, check_length, upload};
use crate::llm::endpoint::{Endpoint, peer, refuse, unsupported};
use crate::llm::fault::Fault;
use crate::llm::kept::list::ListQuery;
use crate::llm::kept::{Act, Kind, Wish, keep};
use crate::llm::through::{Came, upload_of};
use crate::mcp::endpoint::{parent, trace_id};

/// Where a caller says which provider it means.
const PROVIDER: &str = "x-causeway-provider";

pub(super) fn router() -> Router<Endpoint> {
    Router::new()
        .route("/v1/files", get(list_files).post(create_file))
        .route("/v1/files/{id}", get(show_file).delete(delete_file))
        .route("/v1/files/{id}/content", get(content))
        .route("/v1/batches", get(list_batches).post(create_batch))
        .route("/v1/batches/{id}", get(show_batch).delete(forget_batch))
        .route("/v1/batches/{id}/cancel", post(cancel))
}

type Id = Path<String>;

async fn list_files(endpoint: State<Endpoint>, request: Request) -> Response {
    about(&endpoint, Kind::File, What::List, request).await
}

async fn create_file(endpoint: State<Endpoint>, request: Request) -> Response {
    about(&endpoint, Kind::File, What::Create, request).await
}

async fn show_file(endpoint: State<Endpoint>, Path(id): Id, request: Request) -> Response {
    about(&endpoint, Kind::File, What::Of(Act::Show(id)), request).await
}

async fn delete_file(endpoint: State<Endpoint>, Path(id): Id, request: Request) -> Response {
    about(&endpoint, Kind::File, What::Of(Act::Delete(id)), request).await
}

async fn content(endpoint: State<Endpoint>, Path(id): Id, request: Request) -> Response {
    about(&endpoint, Kind::File, What::Of(Act::Content(id)), request).await
}

async fn list_batches(endpoint: State<Endpoint>, request: Request) -> Response {
    about(&endpoint, Kind::Batch, What::List, request).await
}

async fn create_batch(endpoint: State<Endpoint>, request: Request) -> Response {
    about(&endpoint, Kind::Batch, What::Create, request).await
}

async fn show_batch(endpoint: State<Endpoint>, Path(id): Id, request: Request) -> Response {
    about(&endpoint, Kind::Batch, What::Of(Act::Show(id)), request).await
}

async fn forget_batch(endpoint: State<Endpoint>, Path(id): Id, request: Request) -> Response {
    about(&endpoint, Kind::Batch, What::Of(Act::Delete(id)), request).await
}

async fn cancel(endpoint: State<Endpoint>, Path(id): Id, request: Request) -> Response {
    about(&endpoint, Kind::Batch, What::Of(Act::Cancel(id)), request).await
}

/// What is wanted, before the request is read.
enum What {
    Create,
    List,
    Of(Act),
}

/// Which provider is meant.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    provider: Option<String>,
}

async fn about(endpoint: &Endpoint, kind: Kind, what: What, request: Request) -> Response {
    let dialect = asked_in(request.headers());
    if dialect != Dialect::OpenaiChat {
        // What OpenAI keeps is nothing for a client that thinks it speaks to another vendor.
        return unsupported(dialect, &request);
    }
    match carried(endpoint, kind, what, request).await {
        Ok(came) => answered(came),
        Err(fault) => refuse(Dialect::OpenaiChat, &fault),
    }
}

async fn carried(
    endpoint: &Endpoint,
    kind: Kind,
    what: What,
    request: Request,
) -> Result<Came, Fault> {
    let (mut parts, body) = request.into_parts();
    let caller = endpoint.caller(&parts).await?;
    check_length(parts.headers.get(CONTENT_LENGTH))?;
    let wrong = |error: axum::extract::rejection::QueryRejection| {
        Fault::invalid("query", error.body_text())
    };
    let named = Query::<Named>::from_request_parts(&mut parts, endpoint).await;
    let Query(named) = named.map_err(wrong)?;
    let act = match what {
        What::Of(act) => act,
        What::Create => Act::Create(upload(body).unwrap_or_else(|| upload_of("".into()))),
        What::List => {
            let query = Query::<ListQuery>::from_request_parts(&mut parts, endpoint).await;
            Act::List(query.map_err(wrong)?.0)
        }
    };
    let wish = Wish {
        kind,
        act,
        provider: said(&parts.headers).or(named.provider),
        content_type: parts.headers.get(CONTENT_TYPE).cloned(),
        length: parts.headers.get(CONTENT_LENGTH).cloned(),
        peer: peer(&parts),
        trace_id: trace_id(&parts.headers),
        parent: parent(&parts.headers),
    };
    keep(&endpoint.llm, &caller, wish).await
}

fn said(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(PROVIDER)?.to_str().ok()?;
    Some(said.to_owned())
}
