//! SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) in PostgreSQL's stored form.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Iterations of a new verifier, and the fewest accepted (RFC 7677, section 4).
pub const DEFAULT_ITERATIONS: u32 = 4096;

/// The client does the work, so a file may not ask a client for minutes of it.
const MAX_ITERATIONS: u32 = 10_000_000;
const SALT_LENGTH: usize = 16;
const MIN_SALT_LENGTH: usize = 8;
const MAX_SALT_LENGTH: usize = 64;
const PREFIX: &str = "SCRAM-SHA-256$";

/// Length in bytes of the stored key and of the server key.
pub(super) const KEY_LENGTH: usize = 32;

/// What the server keeps of a password: enough to check it, not enough to log in with.
///
/// Its text form is PostgreSQL's `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the
/// last three in base64. Key material is wiped when the value is dropped.
#[derive(Clone)]
pub struct ScramVerifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Zeroizing<[u8; KEY_LENGTH]>,
    server_key: Zeroizing<[u8; KEY_LENGTH]>,
}

/// Why no verifier could be made of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing is left of it, or there was nothing.
    #[error("the password is empty")]
    Empty,
    /// The operating system gave no random salt.
    #[error("the operating system's random generator failed")]
    Random,
}

/// Why a text is not a verifier. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// Not the four parts with their separators.
    #[error("expected SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")]
    Form,
    /// Iterations are not a number in the accepted range.
    #[error("expected from {DEFAULT_ITERATIONS} to {MAX_ITERATIONS} iterations")]
    Iterations,
    /// Salt is not base64 or of an unusual length.
    #[error("expected a salt of {MIN_SALT_LENGTH} to {MAX_SALT_LENGTH} bytes in base64")]
    Salt,
    /// A key is not base64 or not 32 bytes.
    #[error("expected StoredKey and ServerKey of {KEY_LENGTH} bytes each in base64")]
    Keys,
}

impl ScramVerifier {
    /// Makes a verifier with a fresh random salt and [`DEFAULT_ITERATIONS`].
    ///
    /// # Errors
    /// An empty password, or no randomness from the operating system.
    pub fn generate(password: &str) -> Result<Self, PasswordError> {
        let mut salt = [0u8; SALT_LENGTH];
        OsRng.try_fill_bytes(&mut salt).map_err(|_| PasswordError::Random)?;
        Self::derive(password, &salt, DEFAULT_ITERATIONS)
    }

    /// Makes the verifier that belongs to a given salt and iteration count.
    ///
    /// # Errors
    /// An empty password.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Result<Self, PasswordError> {
        let prepared = prepare(password);
        if prepared.is_empty() {
            return Err(PasswordError::Empty);
        }
        let mut salted = Zeroizing::new([0u8; KEY_LENGTH]);
        pbkdf2::pbkdf2_hmac::<Sha256>(prepared.as_bytes(), salt, iterations, salted.as_mut());
        let client_key = keyed(salted.as_ref(), b"Client Key");
        let stored_key = Zeroizing::new(Sha256::digest(client_key.as_ref()).into());
        let server_key = keyed(salted.as_ref(), b"Server Key");
        Ok(Self { iterations, salt: salt.to_vec(), stored_key, server_key })
    }

    /// A verifier that no password is known to fit.
    pub(super) fn from_parts(
        iterations: u32,
        salt: Vec<u8>,
        stored_key: [u8; KEY_LENGTH],
        server_key: [u8; KEY_LENGTH],
    ) -> Self {
        Self {
            iterations,
            salt,
            stored_key: Zeroizing::new(stored_key),
            server_key: Zeroizing::new(server_key),
        }
    }

    /// How often the client hashes the password.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Salt, as the client is sent it.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// `H(ClientKey)`: what a client's proof is checked against.
    #[must_use]
    pub fn stored_key(&self) -> &[u8; KEY_LENGTH] {
        &self.stored_key
    }

    /// `HMAC(SaltedPassword, "Server Key")`: what the server proves itself with.
    #[must_use]
    pub fn server_key(&self) -> &[u8; KEY_LENGTH] {
        &self.server_key
    }

    /// Checks a client's proof over the exchanged messages and answers the server's signature, or
    /// None where the proof is wrong. The comparison takes the same time either way.
    #[must_use]
    pub fn check_proof(&self, auth_message: &[u8], proof: &[u8]) -> Option<[u8; KEY_LENGTH]> {
        let signature = keyed(self.stored_key.as_ref(), auth_message);
        // A proof of another length is compared as zeros, so that it costs the same.
        let mut client_key = Zeroizing::new([0u8; KEY_LENGTH]);
        let right_length = proof.len() == KEY_LENGTH;
        for (index, byte) in client_key.iter_mut().enumerate() {
            *byte = signature[index] ^ proof.get(index).copied().unwrap_or(0);
        }
        let computed: [u8; KEY_LENGTH] = Sha256::digest(client_key.as_ref()).into();
        let equal = bool::from(computed.ct_eq(self.stored_key.as_ref()));
        let answer = keyed(self.server_key.as_ref(), auth_message);
        (equal & right_length).then_some(*answer)
    }

    /// Checks a password that came in clear (over TLS); runs all iterations.
    #[must_use]
    pub fn check_password(&self, password: &str) -> bool {
        match Self::derive(password, &self.salt, self.iterations) {
            Ok(candidate) => bool::from(candidate.stored_key.ct_eq(self.stored_key.as_ref())),
            Err(_) => false,
        }
    }
}

impl FromStr for ScramVerifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let rest = text.strip_prefix(PREFIX).ok_or(VerifierError::Form)?;
        let (parameters, keys) = rest.split_once('$').ok_or(VerifierError::Form)?;
        let (iterations, salt) = parameters.split_once(':').ok_or(VerifierError::Form)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(VerifierError::Form)?;
        Ok(Self {
            iterations: parse_iterations(iterations)?,
            salt: parse_salt(salt)?,
            stored_key: parse_key(stored_key)?,
            server_key: parse_key(server_key)?,
        })
    }
}

impl fmt::Display for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}{}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key.as_ref()),
            STANDARD.encode(self.server_key.as_ref()),
        )
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramVerifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl PartialEq for ScramVerifier {
    fn eq(&self, other: &Self) -> bool {
        let keys = self.stored_key.ct_eq(other.stored_key.as_ref())
            & self.server_key.ct_eq(other.server_key.as_ref());
        self.iterations == other.iterations && self.salt == other.salt && bool::from(keys)
    }
}

impl Eq for ScramVerifier {}

/// SASLprep, or the password as it is where that fails: what PostgreSQL and its clients do.
fn prepare(password: &str) -> Zeroizing<String> {
    let prepared = stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password));
    Zeroizing::new(prepared.into_owned())
}

fn keyed(key: &[u8], message: &[u8]) -> Zeroizing<[u8; KEY_LENGTH]> {
    // RFC 2104 takes keys of every length, so this cannot fail; zeros would match nothing.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            Zeroizing::new(mac.finalize().into_bytes().into())
        }
        Err(_) => Zeroizing::new([0u8; KEY_LENGTH]),
    }
}

fn parse_iterations(text: &str) -> Result<u32, VerifierError> {
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits_only || text.starts_with('0') {
        return Err(VerifierError::Iterations);
    }
    let count: u32 = text.parse().map_err(|_| VerifierError::Iterations)?;
    if (DEFAULT_ITERATIONS..=MAX_ITERATIONS).contains(&count) {
        Ok(count)
    } else {
        Err(VerifierError::Iterations)
    }
}

fn parse_salt(text: &str) -> Result<Vec<u8>, VerifierError> {
    let salt = STANDARD.decode(text).map_err(|_| VerifierError::Salt)?;
    if (MIN_SALT_LENGTH..=MAX_SALT_LENGTH).contains(&salt.len()) {
        Ok(salt)
    } else {
        Err(VerifierError::Salt)
    }
}

fn parse_key(text: &str) -> Result<Zeroizing<[u8; KEY_LENGTH]>, VerifierError> {
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| VerifierError::Keys)?);
    let key = bytes.as_slice().try_into().map_err(|_| VerifierError::Keys)?;
    Ok(Zeroizing::new(key))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3: user "user", password "pencil".
    #[test]
    fn the_exchange_of_the_rfc_is_accepted() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = ScramVerifier::derive("pencil", &salt, 4096).unwrap();
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let signature = verifier.check_proof(message.as_bytes(), &proof).unwrap();
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

        let mut wrong = proof.clone();
        wrong[0] ^= 1;
        assert!(verifier.check_proof(message.as_bytes(), &wrong).is_none());
        assert!(verifier.check_proof(message.as_bytes(), &proof[..31]).is_none());
        assert!(verifier.check_proof(message.as_bytes(), &[]).is_none());
        let longer = [proof.as_slice(), &[0]].concat();
        assert!(verifier.check_proof(message.as_bytes(), &longer).is_none());
    }

    #[test]
    fn text_form_survives_a_round_trip_and_checks_the_password() {
        let verifier = ScramVerifier::generate("correct horse").unwrap();
        let text = verifier.to_string();
        let parsed: ScramVerifier = text.parse().unwrap();
        assert_eq!(parsed, verifier);
        assert_eq!(parsed.to_string(), text);
        assert!(parsed.check_password("correct horse"));
        assert!(!parsed.check_password("correct horsf"));
        assert!(!parsed.check_password(""));
    }

    #[test]
    fn every_verifier_has_its_own_salt_of_16_bytes() {
        let one = ScramVerifier::generate("same").unwrap();
        let two = ScramVerifier::generate("same").unwrap();
        assert_eq!(one.salt().len(), 16);
        assert_ne!(one.salt(), two.salt());
        assert_ne!(one, two);
    }

    #[test]
    fn passwords_are_normalised_as_clients_do() {
        // U+2168 is the Roman numeral nine, which NFKC turns into "IX" (RFC 4013, section 3).
        let verifier = ScramVerifier::generate("\u{2168}").unwrap();
        assert!(verifier.check_password("IX"));
        // A password that SASLprep refuses is used as it is.
        let verifier = ScramVerifier::generate("bell\u{7}").unwrap();
        assert!(verifier.check_password("bell\u{7}"));
        assert_eq!(ScramVerifier::generate("").unwrap_err(), PasswordError::Empty);
        assert_eq!(ScramVerifier::generate("\u{ad}").unwrap_err(), PasswordError::Empty);
    }

    #[test]
    fn anything_but_the_exact_form_is_refused() {
        let good = ScramVerifier::generate("x").unwrap().to_string();
        assert!(good.parse::<ScramVerifier>().is_ok());
        let refuse = |text: String, why: VerifierError| {
            assert_eq!(text.parse::<ScramVerifier>().unwrap_err(), why, "{text}");
        };
        refuse(String::new(), VerifierError::Form);
        refuse("md5d41d8cd98f00b204e9800998ecf8427e".into(), VerifierError::Form);
        refuse(good.replace("SHA-256", "SHA-1"), VerifierError::Form);
        refuse(good.replace("SCRAM", "scram"), VerifierError::Form);
        refuse(format!(" {good}"), VerifierError::Form);
        refuse(format!("{good} "), VerifierError::Keys);
        refuse(format!("{good}:x"), VerifierError::Keys);
        for count in ["4095", "0", "", "+4096", "04096", "4096.0", "99999999999", "10000001"] {
            refuse(good.replacen("4096", count, 1), VerifierError::Iterations);
        }
        let keys = good.split_once("4096:").unwrap().1.split_once('$').unwrap().1;
        refuse(format!("SCRAM-SHA-256$4096:AAAA${keys}"), VerifierError::Salt);
        refuse(format!("SCRAM-SHA-256$4096:****${keys}"), VerifierError::Salt);
        refuse(format!("SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==${}", &keys[1..]), VerifierError::Keys);
    }

    #[test]
    fn debug_output_holds_no_key() {
        let verifier = ScramVerifier::generate("x").unwrap();
        let debug = format!("{verifier:?}");
        assert!(!debug.contains(&STANDARD.encode(verifier.stored_key())));
        assert_eq!(debug, "ScramVerifier { iterations: 4096, .. }");
    }
}
