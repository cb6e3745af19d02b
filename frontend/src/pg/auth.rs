//! SCRAM-SHA-256 with stored verifiers, bound to the TLS certificate where the client wants it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lakeward_policy::Principal;
use lakeward_policy::identity::{IdentityError, IdentityStore};
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth};
use pgwire::api::auth::sasl::{SCRAM_SHA_256_METHOD, SCRAM_SHA_256_PLUS_METHOD};
use pgwire::error::PgWireError;
use rustls::pki_types::CertificateDer;

use super::error::{INVALID_AUTHORIZATION, INVALID_PASSWORD, PROTOCOL_VIOLATION, WireError};
use super::message::backend;
use super::message::frontend::sasl_initial_response;
use super::startup::Refusal;
use super::wire::{ReadError, Wire};

/// Messages before authentication are short.
pub(super) const MAX_BEFORE_AUTH: usize = 10_000;

/// Proves who the client is; on success the final server message is in the output, not sent yet.
///
/// # Errors
/// 28P01 for a wrong password and for an unknown user alike, 28000 for an account that is disabled or over.
pub(super) async fn authenticate(
    wire: &mut Wire,
    accounts: &IdentityStore,
    user: &str,
    certificate: Option<&CertificateDer<'_>>,
) -> Result<Principal, Refusal> {
    let mut scram = ScramServerAuth::new();
    // Some signature algorithms (Ed25519) have no channel binding: then it is not offered.
    let bound = certificate.is_some_and(|leaf| scram.configure_certificate(&pem(leaf)).is_ok());
    let offered: &[&str] =
        if bound { &[SCRAM_SHA_256_PLUS_METHOD, SCRAM_SHA_256_METHOD] } else { &[SCRAM_SHA_256_METHOD] };
    backend::authentication_sasl(&mut wire.output, offered);
    wire.flush().await?;

    let (mechanism, first) = sasl_initial_response(password_message(wire).await?)?;
    if !offered.contains(&mechanism.as_str()) {
        return Err(violation("client selected an invalid SASL authentication mechanism").into());
    }
    // Binding is asked for in the message exactly where the mechanism says so.
    if first.starts_with(b"p=") != (mechanism == SCRAM_SHA_256_PLUS_METHOD) {
        return Err(violation("malformed SCRAM message").into());
    }
    let verifier = accounts.verifier(user);
    let secret = ScramSecret::Verifier {
        salt: verifier.salt().to_vec(),
        iterations: verifier.iterations() as usize,
        stored_key: verifier.stored_key().to_vec(),
        server_key: verifier.server_key().to_vec(),
    };
    let (challenge, waiting) = scram
        .on_client_first_message_with_secret(&first, secret)
        .map_err(|error| scram_error(&error, user))?;
    backend::authentication_sasl_continue(&mut wire.output, challenge.as_bytes());
    wire.flush().await?;

    let last = password_message(wire).await?;
    let proof = waiting.on_client_final_message(&last).map_err(|error| scram_error(&error, user))?;
    let principal = accounts.principal(user).map_err(|error| match error {
        // No decoy has a password, so this is a user removed while logging in.
        IdentityError::Unknown => wrong_password(user),
        IdentityError::Disabled => {
            WireError::fatal(INVALID_AUTHORIZATION, format!("account \"{user}\" is disabled"))
        }
        IdentityError::Expired => {
            WireError::fatal(INVALID_AUTHORIZATION, format!("account \"{user}\" has expired"))
        }
    })?;
    backend::authentication_sasl_final(&mut wire.output, proof.as_bytes());
    Ok(principal)
}

async fn password_message(wire: &mut Wire) -> Result<bytes::Bytes, Refusal> {
    match wire.frame(MAX_BEFORE_AUTH).await {
        Ok(Some((b'p', body))) => Ok(body),
        Ok(Some((kind, _))) => {
            Err(violation(format!("expected SASL response, got message type {kind}")).into())
        }
        Ok(None) | Err(ReadError::Gone) => Err(Refusal::Gone),
        Err(ReadError::Violation(error)) => Err(error.into()),
    }
}

fn violation(message: impl Into<String>) -> WireError {
    WireError::fatal(PROTOCOL_VIOLATION, message)
}

fn wrong_password(user: &str) -> WireError {
    WireError::fatal(INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
}

fn scram_error(error: &PgWireError, user: &str) -> WireError {
    match error {
        PgWireError::InvalidPassword(_) => wrong_password(user),
        // Its text repeats what was sent: nonces and proofs have no place in an answer.
        _ => violation("malformed SCRAM message"),
    }
}

/// pgwire takes the certificate in PEM only.
fn pem(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let body = STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n").into_bytes()
}
