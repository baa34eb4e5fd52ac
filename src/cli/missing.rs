//! What there is not, in words, where the management API says no more than that there is nothing at a path.

use percent_encoding::percent_decode_str;

/// What one is called of what a path has many of.
const KINDS: [(&str, &str); 14] = [
    ("approvals", "approval"),
    ("consumers", "consumer"),
    ("credentials", "credential"),
    ("deleted-servers", "deleted server"),
    ("imports", "import"),
    ("issuers", "issuer"),
    ("keys", "key"),
    ("models", "model"),
    ("plans", "plan"),
    ("providers", "provider"),
    ("servers", "server"),
    ("tools", "tool"),
    ("users", "user"),
    ("versions", "version"),
];

/// What a path of the API names, none of which may be there: `no provider "one" or no key "main"`.
pub(super) fn missing(path: &str) -> Option<String> {
    let path = path.split('?').next()?.strip_prefix("/api/v1/")?;
    let segments: Vec<&str> = path.split('/').collect();
    // A plan of a consumer is named by the server it is for.
    let is_of_consumer = segments[0] == "consumers";
    let named = segments.chunks_exact(2).filter_map(|pair| {
        let (_, kind) = KINDS.iter().find(|(many, _)| *many == pair[0])?;
        let kind = match *kind {
            "plan" if is_of_consumer => "plan with the server",
            kind => kind,
        };
        let name = percent_decode_str(pair[1]).decode_utf8_lossy();
        Some(format!("no {kind} {name:?}"))
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| named.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_names_is_said() {
        for (path, said) in [
            ("/api/v1/providers/nope/test", Some("no provider \"nope\"")),
            (
                "/api/v1/providers/nope/keys/main",
                Some("no provider \"nope\" or no key \"main\""),
            ),
            (
                "/api/v1/models/team%2Ffast?x=1",
                Some("no model \"team/fast\""),
            ),
            (
                "/api/v1/consumers/ann/plans/shop",
                Some("no consumer \"ann\" or no plan with the server \"shop\""),
            ),
            (
                "/api/v1/servers/shop/source/sync",
                Some("no server \"shop\""),
            ),
            ("/api/v1/account/connections/7", None),
            ("/api/v1/keys", None),
            ("/healthz", None),
        ] {
            assert_eq!(missing(path).as_deref(), said, "{path}");
        }
    }
}
