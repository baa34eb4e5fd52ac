//! Whom connections trust and who they say they are, each apart from the others.

use causeway::egress::{Authorities, Egress, EgressError, Reach, Upstream};
use serde_json::Value;

use crate::egress::{egress, get, rules, send};
use crate::upstream_tls::{Api, Authority, Wants};

fn trusting(egress: &Egress, authority: Option<&Authority>) -> Upstream {
    egress.upstream_within(Reach {
        allow: rules(&["127.0.0.1"]),
        authorities: authority.map(|authority| Authorities::parse(&authority.pem).unwrap()),
        ..Reach::default()
    })
}

async fn seen(egress: &Egress, upstream: &Upstream, api: &Api) -> Value {
    let answer = send(egress, upstream, get(&api.origin)).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn an_authority_of_one_server_is_trusted_by_no_other() {
    let (own, other) = (Authority::new("own"), Authority::new("other"));
    let api = Api::start(&own, Wants::Anybody).await;
    let egress = egress(&[]);
    let trusting_own = trusting(&egress, Some(&own));
    for _ in 0..2 {
        seen(&egress, &trusting_own, &api).await;
        // A connection that is open already is none of theirs.
        for authority in [None, Some(&other)] {
            let stranger = trusting(&egress, authority);
            let error = send(&egress, &stranger, get(&api.origin))
                .await
                .unwrap_err();
            assert!(matches!(error, EgressError::Unreachable { .. }), "{error}");
            assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        }
    }
    // Who trusts the same shares them.
    let same = seen(&egress, &trusting(&egress, Some(&own)), &api).await;
    assert_eq!(same["connection"], api.seen()[0]["connection"]);
}

#[tokio::test]
async fn connections_that_show_a_certificate_serve_nobody_else() {
    let (own, clients) = (Authority::new("own"), Authority::new("clients"));
    let api = Api::start(&own, Wants::Asks(&clients)).await;
    let egress = egress(&[]);
    let plain = trusting(&egress, Some(&own));
    let (first, second) = (
        clients.client("client-1", 2100),
        clients.client("client-2", 2100),
    );
    let one = plain.identified(&first.identity());
    let two = plain.identified(&second.identity());
    // Another server that holds the very same certificate.
    let elsewhere = trusting(&egress, Some(&own)).identified(&first.identity());
    for _ in 0..3 {
        for (upstream, client) in [
            (&one, Some("client-1")),
            (&plain, None),
            (&two, Some("client-2")),
            (&elsewhere, Some("client-1")),
        ] {
            let answer = seen(&egress, upstream, &api).await;
            assert_eq!(answer["client"].as_str(), client, "{answer}");
        }
    }
    // Each kept its own, and only its own.
    let numbers: Vec<Value> = api
        .seen()
        .iter()
        .map(|seen| seen["connection"].clone())
        .collect();
    let (round, rest) = numbers.split_at(4);
    assert_eq!(rest, [round, round].concat());
    let distinct: std::collections::HashSet<String> =
        round.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), 4);
    assert_eq!(api.connections(), 4);
}
