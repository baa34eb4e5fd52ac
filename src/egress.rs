//! The only code that opens outbound connections.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use tower::util::BoxCloneSyncService;

/// Where a server's requests go.
#[derive(Clone)]
pub enum Upstream {
    /// Over the network, under the egress policy; extra destinations allowed for this server.
    Http { allow: Vec<AllowRule> },
    /// A service inside this process, injected when the app is built. No policy applies to it,
    /// because it opens no connection; nothing but `App::build` can name one.
    Internal(InternalService),
}

/// An HTTP service inside the process.
pub type InternalService = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, Infallible>;

/// A destination allowed in spite of the default policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowRule;
