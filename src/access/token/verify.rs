//! Keys an issuer shows (RFC 7517), and signatures made with them (RFC 7518). Pure.
//!
//! An algorithm is verified with a key of its own type only, whatever a token says of itself.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::token::{Token, TokenFault, strings};

/// Keys of one issuer.
const KEYS_MAX: usize = 100;
/// Of 2,048 to 8,192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
const EXPONENT_BYTES_MAX: usize = 8;

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// What is accepted where nothing else was chosen.
    pub const USUAL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(Value::from(name)).ok()
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

/// The keys an issuer shows, as far as a token can be verified with them.
#[derive(Debug)]
pub struct KeySet(Vec<VerifyingKey>);

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    kid: Option<String>,
    /// The only algorithm it is for, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a JWK set. Keys that are of no use here are left out; `None`: there is no other.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(bytes).ok()?;
        let keys = document.get("keys")?.as_array()?;
        let usable: Vec<_> = keys
            .iter()
            .take(KEYS_MAX)
            .filter_map(VerifyingKey::parse)
            .collect();
        (!usable.is_empty()).then_some(Self(usable))
    }

    /// The key a token says it is signed with; the only one of its kind where it does not say.
    pub fn key_of(&self, token: &Token<'_>) -> Option<&VerifyingKey> {
        let mut fitting = self.0.iter().filter(|key| key.is_for(token.algorithm));
        match &token.kid {
            Some(kid) => fitting.find(|key| key.kid.as_ref() == Some(kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }

    pub fn holds(&self, key: &VerifyingKey) -> bool {
        self.0.contains(key)
    }
}

impl VerifyingKey {
    fn parse(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops")
            && !strings(operations).any(|operation| operation == "verify")
        {
            return None;
        }
        let point = |length: usize| {
            let coordinate = |name| bytes(name).filter(|bytes| bytes.len() == length);
            Some([vec![4], coordinate("x")?, coordinate("y")?].concat())
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::rsa(bytes("n")?, bytes("e")?)?,
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => {
                Material::Ed25519(bytes("x").filter(|bytes| bytes.len() == 32)?)
            }
            _ => return None,
        };
        let algorithm = match text("alg") {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        Some(Self {
            kid: text("kid").map(str::to_owned),
            algorithm,
            material,
        })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let fits = match &self.material {
            Material::Rsa { .. } => algorithm.rsa().is_some(),
            Material::P256(_) => algorithm == Algorithm::Es256,
            Material::P384(_) => algorithm == Algorithm::Es384,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        fits && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// # Errors
    /// [`TokenFault::Signature`] unless this key made the signature of the token.
    pub fn verify(&self, token: &Token<'_>) -> Result<(), TokenFault> {
        let (signed, signature) = (token.signed, token.signature.as_slice());
        let with = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(signed, signature)
        };
        let algorithm = Some(token.algorithm).filter(|algorithm| self.is_for(*algorithm));
        let algorithm = algorithm.ok_or(TokenFault::Algorithm)?;
        let verified = match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                let parameters = algorithm.rsa().ok_or(TokenFault::Algorithm)?;
                key.verify(parameters, signed, signature)
            }
            Material::P256(point) => with(&ECDSA_P256_SHA256_FIXED, point),
            Material::P384(point) => with(&ECDSA_P384_SHA384_FIXED, point),
            Material::Ed25519(key) => with(&ED25519, key),
        };
        verified.map_err(|_| TokenFault::Signature)
    }
}

impl Material {
    fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Option<Self> {
        let trimmed = |bytes: Vec<u8>| -> Vec<u8> {
            bytes.into_iter().skip_while(|byte| *byte == 0).collect()
        };
        let (modulus, exponent) = (trimmed(modulus), trimmed(exponent));
        let fits = MODULUS_BYTES.contains(&modulus.len())
            && (1..=EXPONENT_BYTES_MAX).contains(&exponent.len());
        fits.then_some(Self::Rsa { modulus, exponent })
    }
}
