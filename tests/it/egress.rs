//! The egress policy over real sockets. What must be refused is refused while something listens
//! there, so that a hole would be seen.

mod limits;
mod proxy;
mod ssrf;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use causeway::egress::{
    AllowRule, Egress, EgressError, EgressSettings, Patience, Resolve, Upstream,
};
use causeway::types::{UpstreamRequest, UpstreamResponse};
use futures::future::{BoxFuture, ready};
use http::{HeaderMap, Method};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Answers from a script; a host's last answer is repeated.
#[derive(Clone, Default)]
pub(crate) struct ScriptedResolver {
    answers: Arc<Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>>,
}

impl ScriptedResolver {
    pub(crate) fn answer(self, host: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        self.answers
            .lock()
            .unwrap()
            .entry(host.to_owned())
            .or_default()
            .push_back(addresses);
        self
    }
}

impl Resolve for ScriptedResolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.answers.lock().unwrap();
        let found = answers.get_mut(&host).map(|queue| {
            if queue.len() > 1 {
                queue.pop_front().unwrap()
            } else {
                queue[0].clone()
            }
        });
        Box::pin(ready(found.ok_or_else(|| io::ErrorKind::NotFound.into())))
    }
}

/// Serves a router on a fresh port of `ip` until the test's runtime ends.
pub(crate) async fn serve(ip: IpAddr, router: Router) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

pub(crate) async fn serve_local(router: Router) -> SocketAddr {
    serve(Ipv4Addr::LOCALHOST.into(), router).await
}

pub(crate) fn egress(allow: &[&str]) -> Egress {
    egress_resolving(ScriptedResolver::default(), allow)
}

pub(crate) fn egress_resolving(resolver: ScriptedResolver, allow: &[&str]) -> Egress {
    Egress::new(EgressSettings {
        allow: rules(allow),
        connect_timeout: Duration::from_secs(2),
        resolver: Arc::new(resolver),
        ..EgressSettings::default()
    })
}

pub(crate) fn rules(texts: &[&str]) -> Vec<AllowRule> {
    texts.iter().map(|t| t.parse().unwrap()).collect()
}

pub(crate) fn get(url: &str) -> UpstreamRequest {
    UpstreamRequest {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
    }
}

pub(crate) async fn send(
    egress: &Egress,
    upstream: &Upstream,
    request: UpstreamRequest,
) -> Result<UpstreamResponse, EgressError> {
    let cancel = CancellationToken::new();
    let patience = Patience {
        deadline: Instant::now() + Duration::from_secs(10),
        cancel: &cancel,
    };
    egress.send(upstream, request, patience).await
}
