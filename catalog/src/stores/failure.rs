//! What a store's error means, in words for operators.
//!
//! A store's own answer is never passed on: it may repeat what was sent, session tokens and
//! signatures included. Of an answer its status and its error code survive.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::credentials::CredentialError;

/// Why a request to a store failed, after the retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreFailure {
    pub(crate) kind: FailureKind,
    /// Scheme and authority of the store.
    store: Arc<str>,
    /// Status and code, or the transport's words.
    detail: String,
}

/// What an operator would do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// There is no such object.
    NoObject,
    /// There is no such bucket or container.
    NoBucket,
    /// The store knows who asks, or not, and says no.
    Denied,
    /// The credentials cannot be had.
    NoCredentials,
    /// Too many requests.
    Throttled,
    /// No answer, or not all of it.
    Unreachable,
    /// The store has troubles of its own.
    Faulty,
    /// The bucket is elsewhere.
    Elsewhere,
    /// The object ends before what was asked of it.
    OutOfRange,
    /// Anything else.
    Unexpected,
}

impl FailureKind {
    /// Whether waiting may be all that it takes.
    pub(crate) fn may_pass(self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable | Self::Faulty)
    }

    /// Whether the store is well, and has not what was asked for.
    pub(crate) fn is_absence(self) -> bool {
        matches!(self, Self::NoObject | Self::OutOfRange)
    }
}

impl Error for StoreFailure {}

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, store, detail } = self;
        match kind {
            FailureKind::NoObject => write!(f, "{store}: no such object ({detail})"),
            FailureKind::NoBucket => write!(
                f,
                "{store}: there is no such bucket or container ({detail}); check its name, the endpoint and \
                 the account"
            ),
            FailureKind::Denied => write!(
                f,
                "{store}: access denied ({detail}); check that the credentials of this store are in force and \
                 may list and read this location"
            ),
            FailureKind::NoCredentials => write!(f, "{store}: no credentials: {detail}"),
            FailureKind::Throttled => write!(
                f,
                "{store}: too many requests ({detail}), and no better after the retries; lower \
                 `requests.max_concurrent` of this store or ask the provider for a higher rate"
            ),
            FailureKind::Unreachable => write!(
                f,
                "{store}: no answer ({detail}); check the endpoint, the network and the provider's status"
            ),
            FailureKind::Faulty => {
                write!(f, "{store}: the store failed ({detail}), and kept failing through the retries")
            }
            FailureKind::Elsewhere => write!(
                f,
                "{store}: the bucket is in another region or at another endpoint ({detail}); check `region` \
                 and `endpoint`"
            ),
            FailureKind::OutOfRange => {
                write!(f, "{store}: the object is shorter than it should be ({detail})")
            }
            FailureKind::Unexpected => write!(f, "{store}: unexpected answer ({detail})"),
        }
    }
}

impl StoreFailure {
    /// An answer that was cut short.
    pub(super) fn truncated(store: &Arc<str>, expected: u64, got: u64) -> Self {
        let detail = format!("{got} bytes of an answer of {expected}");
        Self { kind: FailureKind::Unreachable, store: Arc::clone(store), detail }
    }

    /// What `error`, as object_store gives it, means.
    pub(super) fn of(store: &Arc<str>, error: &object_store::Error) -> Self {
        let (kind, detail) = classify(error);
        Self { kind, store: Arc::clone(store), detail }
    }

    /// The failure in the chain of causes of `error`.
    pub(crate) fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        chain(error).find_map(|cause| cause.downcast_ref::<Self>())
    }
}

/// An error and its causes, outermost first.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn classify(error: &object_store::Error) -> (FailureKind, String) {
    use object_store::Error as E;
    if let Some(failed) = chain(error).find_map(|cause| cause.downcast_ref::<CredentialError>()) {
        let kind = match failed {
            CredentialError::Unreachable(_) => FailureKind::Unreachable,
            CredentialError::Unusable(_) | CredentialError::Refused(_) => FailureKind::NoCredentials,
        };
        return (kind, failed.to_string());
    }
    let answer = Answer::of(error);
    let kind = match (error, answer.status, answer.code.as_deref()) {
        (_, _, Some("NoSuchBucket" | "ContainerNotFound" | "InvalidBucketName" | "ResourceNotFound")) => {
            FailureKind::NoBucket
        }
        (_, _, Some(code)) if REFUSED.contains(&code) => FailureKind::Denied,
        (E::NotFound { .. }, ..) => FailureKind::NoObject,
        // object_store reports a listing's 404 so: there is nothing to list in.
        (_, Some(404), _) => FailureKind::NoBucket,
        (E::PermissionDenied { .. } | E::Unauthenticated { .. }, ..) | (_, Some(401 | 403), _) => {
            FailureKind::Denied
        }
        (_, Some(416), _) => FailureKind::OutOfRange,
        (_, Some(429), _) | (_, _, Some("SlowDown" | "ServerBusy" | "TooManyRequests")) => {
            FailureKind::Throttled
        }
        (_, Some(500..=599), _) => FailureKind::Faulty,
        (_, Some(300..=399), _) | (_, _, Some("PermanentRedirect" | "AuthorizationHeaderMalformed")) => {
            FailureKind::Elsewhere
        }
        (_, Some(_), _) => FailureKind::Unexpected,
        // No answer at all, or one that broke off.
        (E::Generic { .. } | E::JoinError { .. }, None, _) => match answer.redirect {
            true => FailureKind::Elsewhere,
            false => FailureKind::Unreachable,
        },
        _ => FailureKind::Unexpected,
    };
    let detail = match (answer.status, answer.code) {
        (Some(status), Some(code)) => format!("{status} {code}"),
        (Some(status), None) => status.to_string(),
        (None, Some(code)) => code,
        (None, None) => innermost(error),
    };
    (kind, detail)
}

/// Codes of answers that say: not you. Some come with status 400.
const REFUSED: &[&str] = &[
    "AccessDenied",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
];

/// Whether `error` says that the credentials were not accepted, so that newer ones might be.
pub(super) fn is_refusal(error: &object_store::Error) -> bool {
    classify(error).0 == FailureKind::Denied
}

/// What an HTTP answer said, as far as it can be repeated.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    redirect: bool,
}

impl Answer {
    /// Out of the text of an error: object_store keeps the types that hold these to itself.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let text = error.to_string();
        let status = text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        Self { status, code: code(&text), redirect: text.contains("redirect without LOCATION") }
    }
}

/// The error code of a body in XML (S3, Azure, Google, STS) or JSON (Azure, Entra ID, Google).
pub(super) fn code(body: &str) -> Option<String> {
    let xml = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let json = || {
        let (_, rest) = body.split_once("\"error\"").or_else(|| body.split_once("\"code\""))?;
        rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split_once('"')
    };
    let (code, _) = xml.or_else(json)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
    (!code.is_empty() && code.len() <= 64 && code.chars().all(plain)).then(|| code.to_owned())
}

/// The words of the cause at the bottom: the system's or the transport's.
fn innermost(error: &object_store::Error) -> String {
    let words = chain(error).last().map(ToString::to_string).unwrap_or_default();
    // Of a longer text nobody knows what it holds.
    if words.len() > 200 || words.contains("://") { "no usable answer".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str);

    fn generic(text: &'static str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: Box::new(Said(text)) }
    }

    #[test]
    fn answers_are_named_by_what_to_do() {
        let start = "Error performing list request: Error performing GET https://e/b in 3ms - Server returned \
                     non-2xx status code: ";
        for (text, kind) in [
            ("503 Service Unavailable: <Error><Code>SlowDown</Code></Error>", FailureKind::Throttled),
            ("429 Too Many Requests: ", FailureKind::Throttled),
            ("503 Service Unavailable: ", FailureKind::Faulty),
            ("500 Internal Server Error: <Code>InternalError</Code>", FailureKind::Faulty),
            ("403 Forbidden: <Error><Code>AccessDenied</Code></Error>", FailureKind::Denied),
            ("400 Bad Request: <Error><Code>ExpiredToken</Code></Error>", FailureKind::Denied),
            ("404 Not Found: <Error><Code>NoSuchBucket</Code></Error>", FailureKind::NoBucket),
            ("301 Moved Permanently: ", FailureKind::Elsewhere),
            ("416 Range Not Satisfiable: <Error><Code>InvalidRange</Code></Error>", FailureKind::OutOfRange),
            ("418 I'm a teapot: ", FailureKind::Unexpected),
        ] {
            let text: &'static str = Box::leak(format!("{start}{text}").into_boxed_str());
            assert_eq!(StoreFailure::of(&Arc::from("s3://b"), &generic(text)).kind, kind, "{text}");
        }
        let refused = generic("tcp connect error: Connection refused (os error 111)");
        let failure = StoreFailure::of(&Arc::from("s3://b"), &refused);
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(failure.to_string().contains("Connection refused"), "{failure}");
    }

    #[test]
    fn what_was_sent_is_never_repeated() {
        let error = generic(
            "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>\
             <CanonicalRequest>GET / x-amz-security-token:FwoGZXIvYXdz</CanonicalRequest></Error>",
        );
        let failure = StoreFailure::of(&Arc::from("s3://b"), &error);
        assert_eq!(
            failure.to_string(),
            "s3://b: access denied (403 SignatureDoesNotMatch); check that the credentials of this store are in \
             force and may list and read this location"
        );
        assert!(!format!("{failure:?}").contains("FwoGZXIvYXdz"));
        let odd = generic("https://account.blob.core.windows.net/c?sig=abc failed");
        assert!(!StoreFailure::of(&Arc::from("az://c"), &odd).to_string().contains("sig="));
    }

    #[test]
    fn codes_of_bodies() {
        assert_eq!(code("<Error><Code>X.Y</Code>").as_deref(), Some("X.Y"));
        assert_eq!(code("{\"error\": \"invalid_client\", \"x\": 1}").as_deref(), Some("invalid_client"));
        assert_eq!(code("{\"error\": {\"code\": 403}}"), None);
        assert_eq!(code("<Code>a b</Code>"), None);
    }
}
