//! End users that an account acts on behalf of: JSON Web Tokens (RFC 7519) signed by an issuer whose public
//! key the configuration names.
//!
//! A token never widens anything: what its bearer sees is what the account and the end user may both
//! see. So its claims need no directory; who issues tokens vouches for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use super::names::{check_attribute_key, check_attribute_value, check_name};
use crate::Principal;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 << 10;
/// Longest time that a token may have left: one that is good for months is a password in clear text.
const LONGEST_LIFE: TimeDelta = TimeDelta::hours(24);
/// Difference between the clocks of issuer and service, in seconds.
const LEEWAY: u64 = 30;

/// How an issuer signs. Only signatures whose key the service cannot make tokens with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

/// One issuer of tokens.
pub struct EndUserIssuer {
    name: String,
    key: DecodingKey,
    rules: Validation,
}

impl fmt::Debug for EndUserIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndUserIssuer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The issuers whose tokens are accepted. Without any, no end user is.
#[derive(Debug, Default)]
pub struct EndUsers {
    issuers: Vec<EndUserIssuer>,
}

/// An end user as a token names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndUser {
    /// `iss` of the token.
    pub issuer: String,
    /// User, tenant, roles, attributes; expires with the token.
    pub principal: Principal,
}

/// Why a token is not accepted. Nothing of the token is in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndUserError {
    /// No issuer is configured.
    #[error("the service accepts no end users")]
    NotAccepted,
    /// Not a token, or its claims are not as they should be.
    #[error(
        "it is not a JSON Web Token with `iss`, `aud`, `sub`, `exp` and, if wanted, `tenant`, `roles` and `attributes`"
    )]
    Malformed,
    /// A name in it is none.
    #[error("a name, role or attribute in it is not acceptable")]
    Name,
    /// None of the issuers signed it.
    #[error("none of the known issuers signed it for this service")]
    Signature,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYet,
    /// Its time is too long.
    #[error("it is valid for longer than 24 hours")]
    TooLong,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    roles: BTreeSet<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl EndUserIssuer {
    /// The issuer `name` (`iss`), which signs for `audience` (`aud`) with the private key of the public one in
    /// `key_file` (PEM). Blocking.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn load(
        name: &str,
        audience: &str,
        algorithm: TokenAlgorithm,
        key_file: &Path,
    ) -> Result<Self, String> {
        let pem = std::fs::read(key_file).map_err(|error| format!("cannot be read: {error}"))?;
        Self::new(name, audience, algorithm, &pem)
    }

    /// The same with the key's PEM.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn new(name: &str, audience: &str, algorithm: TokenAlgorithm, pem: &[u8]) -> Result<Self, String> {
        let (algorithm, key) = match algorithm {
            TokenAlgorithm::EdDsa => (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)),
            TokenAlgorithm::Es256 => (Algorithm::ES256, DecodingKey::from_ec_pem(pem)),
            TokenAlgorithm::Rs256 => (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)),
        };
        let key = key.map_err(|_| format!("is no public key for {algorithm:?} in PEM"))?;
        let mut rules = Validation::new(algorithm);
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_issuer(&[name]);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        Ok(Self { name: name.to_owned(), key, rules })
    }
}

impl EndUsers {
    /// Accepts the tokens of `issuers`.
    #[must_use]
    pub fn new(issuers: Vec<EndUserIssuer>) -> Self {
        Self { issuers }
    }

    /// The end user that `token` names.
    ///
    /// # Errors
    /// Why it is not accepted at `now`, which is the clock's time but in tests.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<EndUser, EndUserError> {
        if self.issuers.is_empty() {
            return Err(EndUserError::NotAccepted);
        }
        if token.len() > MAX_TOKEN {
            return Err(EndUserError::Malformed);
        }
        let mut refused = EndUserError::Signature;
        for issuer in &self.issuers {
            match decode::<Claims>(token, &issuer.key, &issuer.rules) {
                Ok(token) => return end_user(token.claims, now),
                Err(error) => match error.kind() {
                    // The signature was right: what this issuer's token lacks is the answer.
                    ErrorKind::ExpiredSignature => refused = EndUserError::Expired,
                    ErrorKind::ImmatureSignature => refused = EndUserError::NotYet,
                    ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => {
                        refused = EndUserError::Malformed;
                    }
                    ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => {
                        return Err(EndUserError::Malformed);
                    }
                    _ => {}
                },
            }
        }
        Err(refused)
    }
}

fn end_user(claims: Claims, now: DateTime<Utc>) -> Result<EndUser, EndUserError> {
    let expires = DateTime::from_timestamp(claims.exp, 0).ok_or(EndUserError::Malformed)?;
    if expires <= now {
        return Err(EndUserError::Expired);
    }
    if expires - now > LONGEST_LIFE {
        return Err(EndUserError::TooLong);
    }
    let names = std::iter::once(&claims.sub).chain(&claims.tenant).chain(&claims.roles);
    let named = names.into_iter().all(|name| check_name(name).is_ok());
    let attributed = claims
        .attributes
        .iter()
        .all(|(key, value)| check_attribute_key(key).is_ok() && check_attribute_value(value).is_ok());
    if !named || !attributed {
        return Err(EndUserError::Name);
    }
    let principal = Principal {
        user: claims.sub,
        tenant: claims.tenant,
        roles: claims.roles,
        attributes: claims.attributes,
        expires_at: Some(expires),
    };
    Ok(EndUser { issuer: claims.iss, principal })
}
