//! What an owner may enter as a client certificate, and what is said of everything else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use causeway::credential::{Identity, IdentityError, Secret, SecretError};
use causeway::egress::{Authorities, AuthoritiesError, EgressError, Reach};
use causeway::openapi::SecurityScheme;
use chrono::{DateTime, Utc};

use crate::egress::{egress, get, rules, send};
use crate::upstream_tls::{Api, Authority, Party, Wants};

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

/// The key inside a PKCS#8 wrapping: PKCS#1 for RSA, SEC1 for elliptic curves.
fn unwrapped(party: &Party) -> Vec<u8> {
    let der = party.key.serialize_der();
    // The last OCTET STRING that reaches to the end, or nearly.
    let start = (0..der.len() - 4)
        .find(|at| {
            let rest = &der[at + 1..];
            let (length, head) = match (der[*at], rest[0]) {
                (0x04, n) if n < 0x80 => (usize::from(n), 1),
                (0x04, 0x81) => (usize::from(rest[1]), 2),
                (0x04, 0x82) => (usize::from(rest[1]) << 8 | usize::from(rest[2]), 3),
                _ => return false,
            };
            rest.len() == head + length && rest[head] == 0x30
        })
        .expect("a wrapped key");
    let head = match der[start + 1] {
        0x82 => 4,
        0x81 => 3,
        _ => 2,
    };
    der[start + head..].to_vec()
}

#[tokio::test]
async fn every_form_of_key_opens_the_door() {
    let (own, clients) = (Authority::new("own"), Authority::new("clients"));
    let api = Api::start(&own, Wants::Demands(&clients)).await;
    let egress = egress(&[]);
    let upstream = egress.upstream_within(Reach {
        allow: rules(&["127.0.0.1"]),
        authorities: Some(Authorities::parse(&own.pem).unwrap()),
        ..Reach::default()
    });
    let of = |algorithm| clients.client_with("client-1", 2100, algorithm);
    let (p256, p384) = (
        of(&rcgen::PKCS_ECDSA_P256_SHA256),
        of(&rcgen::PKCS_ECDSA_P384_SHA384),
    );
    let (rsa, edwards) = (of(&rcgen::PKCS_RSA_SHA256), of(&rcgen::PKCS_ED25519));
    let sec1 = pem("EC PRIVATE KEY", &unwrapped(&p256));
    let pkcs1 = pem("RSA PRIVATE KEY", &unwrapped(&rsa));
    for (form, text) in [
        ("PKCS#8, P-256", p256.pem()),
        ("PKCS#8, P-384", p384.pem()),
        ("PKCS#8, RSA", rsa.pem()),
        ("PKCS#8, Ed25519", edwards.pem()),
        ("SEC1", format!("{}{sec1}", p256.certificate)),
        ("PKCS#1", format!("{}{pkcs1}", rsa.certificate)),
        ("the key first", format!("{sec1}{}", p256.certificate)),
        (
            "a chain",
            format!("{}{}{sec1}", p256.certificate, clients.pem),
        ),
        ("Windows lines", p256.pem().replace('\n', "\r\n")),
    ] {
        let identity =
            Identity::parse(&text).unwrap_or_else(|error| unreachable!("{form}: {error}"));
        let upstream = upstream.identified(&identity);
        let answer = send(&egress, &upstream, get(&api.origin)).await.unwrap();
        assert_eq!(answer.status, 200, "{form}");
    }
    assert!(api.seen().iter().all(|seen| seen["client"] == "client-1"));

    // Without one, or with one of somebody else's, nobody is let in.
    let stranger = Authority::new("stranger").client("client-2", 2100);
    let before = api.seen().len();
    for upstream in [upstream.clone(), upstream.identified(&stranger.identity())] {
        let error = send(&egress, &upstream, get(&api.origin))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                EgressError::CertificateWanted { .. } | EgressError::Broken { .. }
            ),
            "{error}"
        );
    }
    assert_eq!(api.seen().len(), before);
}

#[test]
fn what_is_wrong_is_said_of_the_part_it_is_wrong_with() {
    let authority = Authority::new("clients");
    let (one, other) = (
        authority.client("client-1", 2100),
        authority.client("client-2", 2100),
    );
    let (certificate, key) = (&one.certificate, one.key.serialize_pem());
    let broken = pem("CERTIFICATE", b"no certificate at all");
    let chain = format!("{}{key}", certificate.repeat(11));
    for (text, expected, word) in [
        (String::new(), IdentityError::NoCertificate, "certificate"),
        (key.clone(), IdentityError::NoCertificate, "certificate"),
        (certificate.clone(), IdentityError::NoKey, "private key"),
        (
            format!("{broken}{key}"),
            IdentityError::BadCertificate { number: 1 },
            "certificate",
        ),
        (
            format!("{certificate}{broken}{key}"),
            IdentityError::BadCertificate { number: 2 },
            "certificate",
        ),
        (chain, IdentityError::TooLong, "certificate"),
        (
            format!("{certificate}{key}{key}"),
            IdentityError::SeveralKeys,
            "private key",
        ),
        (
            format!("{certificate}{}", pem("PRIVATE KEY", b"no key")),
            IdentityError::BadKey,
            "private key",
        ),
        (
            format!("{certificate}{}", pem("ENCRYPTED PRIVATE KEY", b"x")),
            IdentityError::Encrypted,
            "private key",
        ),
        (
            format!("{certificate}{}", other.key.serialize_pem()),
            IdentityError::Mismatch { of_another: false },
            "private key",
        ),
        (
            format!("{}{}", authority.pem, one.pem()),
            IdentityError::Mismatch { of_another: true },
            "comes first",
        ),
    ] {
        let error = Identity::parse(&text).unwrap_err();
        assert_eq!(error, expected);
        let said = error.to_string();
        assert!(said.contains(word), "{said}");
        for line in key.lines().filter(|line| line.len() == 64) {
            assert!(!said.contains(line), "{said}");
        }
    }
}

#[test]
fn a_certificate_is_good_for_its_time() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let authority = Authority::new("clients");
    // Both ways of writing a time (RFC 5280 section 4.1.2.5).
    for until in [2024, 2090] {
        let pem = authority.client("client-1", until).pem();
        let used = |now: &str| {
            let used = Secret::usable_for(&SecurityScheme::MutualTls, &pem, at(now));
            used.map(|_| ())
        };
        assert_eq!(used(&format!("{until}-12-30T23:00:00Z")), Ok(()));
        let late = used(&format!("{until}-12-31T00:00:01Z")).unwrap_err();
        assert!(
            matches!(late, SecretError::Identity(IdentityError::Expired { .. })),
            "{late}"
        );
        assert!(
            late.to_string().contains(&format!("{until}-12-31")),
            "{late}"
        );
        let early = used("1999-12-31T23:00:00Z").unwrap_err();
        assert!(early.to_string().contains("2000-01-01"), "{early}");
    }
}

#[test]
fn nothing_of_a_key_is_in_debug_output() {
    let party = Authority::new("clients").client("client-1", 2100);
    let shown = format!("{:?}", party.identity());
    assert!(!shown.contains("KEY") && shown.len() < 100, "{shown}");
}

#[test]
fn authorities_are_certificates_and_nothing_else() {
    let authority = Authority::new("own");
    let gone = Authority::lasting("gone", 2020);
    let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let read = |text: &str| Authorities::parse(text)?.check_at(now);
    assert_eq!(read(&authority.pem), Ok(()));
    assert_eq!(read(&authority.pem.repeat(32)), Ok(()));
    let party = authority.client("client-1", 2100);
    let broken = pem("CERTIFICATE", b"no certificate at all");
    for (text, expected) in [
        (String::new(), AuthoritiesError::None),
        ("what is this".to_owned(), AuthoritiesError::None),
        (party.pem(), AuthoritiesError::Key),
        (
            format!("{}{broken}", authority.pem),
            AuthoritiesError::Unreadable { number: 2 },
        ),
        (authority.pem.repeat(33), AuthoritiesError::TooMany),
        ("x".repeat(200_000), AuthoritiesError::TooLong),
    ] {
        assert_eq!(read(&text), Err(expected));
    }
    let error = read(&format!("{}{}", authority.pem, gone.pem)).unwrap_err();
    assert!(
        matches!(error, AuthoritiesError::Expired { number: 2, .. }),
        "{error}"
    );
}
