//! The demo: two documents, and the API behind them.

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use crate::egress::InternalService;

/// Slug and document of each server of the demo.
pub const DOCUMENTS: [(&str, &str); 2] = [
    ("petstore", include_str!("../specs-examples/petstore.yaml")),
    ("bookshop", include_str!("../specs-examples/bookshop.yaml")),
];

/// The API of both documents.
pub fn service() -> InternalService {
    InternalService::new(tower::service_fn(async |_: Request<Bytes>| {
        let mut response = Response::new(Bytes::from_static(
            b"the demo API is not part of this build",
        ));
        *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
        Ok(response)
    }))
}
