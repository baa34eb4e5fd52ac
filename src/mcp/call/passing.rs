//! What a client's own request holds for the API: read once per request, and given to the calls in it
//! alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::HeaderMap;

use crate::access::authenticate::Authenticator;
use crate::credential::pass::Passed;
use crate::mcp::server::Server;

/// The headers of a request that the server's owner lets through to the API. A key for Causeway is
/// not among them, under whatever name it was sent.
pub async fn passed(
    authenticator: &Authenticator,
    server: &Server,
    headers: &HeaderMap,
) -> Arc<Passed> {
    let passed = Passed::read(&server.settings.pass_through, headers);
    if passed.is_empty() {
        return Arc::default();
    }
    let mut own = BTreeSet::new();
    for token in passed.tokens() {
        if authenticator.is_key(token).await {
            own.insert(token.to_owned());
        }
    }
    Arc::new(passed.guarded(&own))
}
