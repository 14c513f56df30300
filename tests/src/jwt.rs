//! An issuer of JSON Web Tokens (RFC 7519), honest or not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// Signs with ES256 and a key of its own.
pub struct Issuer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    /// A new one, its key made now.
    ///
    /// # Panics
    ///
    /// When the system has no randomness; so too below.
    #[expect(
        clippy::new_without_default,
        reason = "it makes a key, which no default should"
    )]
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        Self {
            pair: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("its own key"),
            random,
        }
    }

    /// Its public key as a JWK set (RFC 7517).
    pub fn jwks(&self) -> Value {
        // An uncompressed point: 4, then both coordinates.
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }] })
    }

    /// A signed token with these claims.
    ///
    /// # Panics
    ///
    /// See [`Self::new`].
    pub fn sign(&self, claims: &Value) -> String {
        let input = format!("{}.{}", encoded(&header("ES256")), encoded(claims));
        let signature = self.pair.sign(&self.random, input.as_bytes()).expect("signed");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A token that needs no key: `alg` is `none`, the signature empty (RFC 7519, section 6).
pub fn unsecured(claims: &Value) -> String {
    format!("{}.{}.", encoded(&header("none")), encoded(claims))
}

/// `token` with other claims and its old signature.
///
/// # Panics
///
/// When it is no token.
pub fn altered(token: &str, claims: &Value) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts[1] = encoded(claims);
    parts.join(".")
}

fn header(algorithm: &str) -> Value {
    json!({ "alg": algorithm, "typ": "JWT", "kid": "1" })
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
