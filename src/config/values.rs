//! The kinds of values that settings have, and how each is written.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::node::{Content, Node, Origin};
use super::setting::{Reader, Setting, Shape};

/// Implements [`Setting`] for a scalar from "what is expected" and a parser of its text.
macro_rules! scalar {
    ($ty:ty, $expected:expr, |$text:ident, $plain:ident| $parse:expr) => {
        impl Setting for $ty {
            fn shape() -> Shape {
                Shape::Scalar
            }

            fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
                let Content::Scalar { text: $text, plain: $plain } = &node.content else {
                    return reader.expected(node, $expected);
                };
                let _ = $plain;
                let parsed: Option<Self> = $parse;
                match parsed {
                    Some(value) => Some(value),
                    None => reader.expected(node, $expected),
                }
            }
        }
    };
}

scalar!(bool, "true or false", |text, plain| match text.as_str() {
    "true" if *plain => Some(true),
    "false" if *plain => Some(false),
    _ => None,
});

scalar!(String, "text (quote what looks like a number or a truth value)", |text, plain| {
    let other_type = *plain && (text.parse::<f64>().is_ok() || matches!(text.as_str(), "true" | "false"));
    (!other_type).then(|| text.clone())
});

/// A whole number between two bounds, both allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

impl<const MIN: u32, const MAX: u32> Setting for Count<MIN, MAX> {
    fn shape() -> Shape {
        Shape::Scalar
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let what = format!("a whole number from {MIN} to {MAX}");
        match &node.content {
            Content::Scalar { text, plain: true } => match text.parse::<u32>() {
                Ok(number) if (MIN..=MAX).contains(&number) => Some(Self(number)),
                _ => reader.expected(node, what),
            },
            _ => reader.expected(node, what),
        }
    }
}

/// A length of time, written `250ms`, `30s`, `5m`, `2h` or `1d`, or several in a row (`1h30m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(Duration);

impl Period {
    /// The length of time.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }

    /// None where it is zero, which settings use for "no limit".
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, tail) = rest.split_at(digits);
            let number: u64 = number.parse().ok()?;
            let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let part = match unit {
                "ms" => Duration::from_millis(number),
                "s" => Duration::from_secs(number),
                "m" => Duration::from_secs(number.checked_mul(60)?),
                "h" => Duration::from_secs(number.checked_mul(3600)?),
                "d" => Duration::from_secs(number.checked_mul(86_400)?),
                _ => return None,
            };
            total = total.checked_add(part)?;
            rest = tail;
        }
        (!text.is_empty()).then_some(Self(total))
    }
}

scalar!(Period, "a length of time such as 250ms, 30s, 5m, 2h or 1d", |text, _plain| Period::parse(text));

/// A number of bytes, written `512MiB`, `4GiB` (powers of 1024) or `4GB` (powers of 1000).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(u64);

impl Size {
    /// Bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let factor: u64 = match unit.trim_start() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            _ => return None,
        };
        number.checked_mul(factor).filter(|bytes| *bytes > 0).map(Self)
    }
}

scalar!(Size, "a size such as 512MiB or 4GiB", |text, _plain| Size::parse(text));

/// A name that SQL can use without surprises: a schema, a table, the database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is such a name.
    pub(super) fn is_valid(text: &str) -> bool {
        let mut characters = text.chars();
        characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
            && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && text.len() <= 63
    }

    /// What is expected of a name.
    pub(super) const EXPECTED: &'static str =
        "a name of lower-case letters, digits and underscores, at most 63, not starting with a digit";
}

scalar!(Name, Name::EXPECTED, |text, _plain| Name::is_valid(text).then(|| Name(text.clone())));

/// An address and port to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// Address and port.
    pub address: SocketAddr,
    /// Where it was set.
    pub origin: Origin,
}

impl ListenAddress {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

impl Setting for ListenAddress {
    fn shape() -> Shape {
        Shape::Scalar
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let what = "an IP address and port such as 127.0.0.1:5433 or [::1]:5433";
        let text = reader.text(node, what)?;
        let address = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        match address.as_deref().unwrap_or(text).parse() {
            Ok(address) => Some(Self { address, origin: node.origin.clone() }),
            Err(_) => reader.expected(node, what),
        }
    }
}

/// A file or directory; relative ones start where the configuration file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigPath {
    /// The path, no longer relative to the configuration file.
    pub path: PathBuf,
    /// Where it was set.
    pub origin: Origin,
}

impl Setting for ConfigPath {
    fn shape() -> Shape {
        Shape::Scalar
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a path")?;
        if text.is_empty() || text.contains('\0') {
            return reader.expected(node, "a path");
        }
        Some(Self { path: reader.base().join(text), origin: node.origin.clone() })
    }
}

/// Declares a setting that is one of a few words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal ),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[$variant_meta])* $variant ),+ }

        scalar!($name, concat!("one of" $(, " ", $word)+), |text, _plain| match text.as_str() {
            $($word => Some(Self::$variant),)+
            _ => None,
        });
    };
}

words! {
    /// Where requests to S3 name the bucket.
    Addressing {
        /// In the path.
        Path = "path",
        /// In the host name.
        VirtualHosted = "virtual_hosted",
    }
}

words! {
    /// Whose keys encrypt what is written to S3.
    EncryptionKind {
        /// Keys of S3.
        SseS3 = "sse_s3",
        /// A key of KMS.
        SseKms = "sse_kms",
    }
}

words! {
    /// How tokens are signed.
    Signing {
        /// Ed25519.
        EdDsa = "eddsa",
        /// ECDSA over P-256 with SHA-256.
        Es256 = "es256",
        /// RSA (PKCS 1, version 1.5) with SHA-256.
        Rs256 = "rs256",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people on a terminal, JSON elsewhere.
        Auto = "auto",
        /// One readable line each.
        Human = "human",
        /// One JSON object each.
        Json = "json",
    }
}

words! {
    /// The least important log lines that are written.
    LogLevel {
        /// Only what needs someone.
        Error = "error",
        /// And what may soon need someone.
        Warn = "warn",
        /// And what the service does.
        Info = "info",
        /// And how.
        Debug = "debug",
        /// And every step.
        Trace = "trace",
    }
}

impl LogLevel {
    /// The word, as filters know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn lengths_of_time() {
        assert_eq!(Period::parse("250ms").unwrap().get(), Duration::from_millis(250));
        assert_eq!(Period::parse("1h30m").unwrap().get(), Duration::from_secs(5400));
        assert_eq!(Period::parse("0s").unwrap().limit(), None);
        for wrong in ["", "5", "s", "5 s", "-5s", "5sec", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(Size::parse("4GiB").unwrap().bytes(), 4 << 30);
        assert_eq!(Size::parse("1 MB").unwrap().bytes(), 1_000_000);
        for wrong in ["", "4", "0GiB", "GiB", "4gib", "-1GiB", "18446744073709551615KiB"] {
            assert_eq!(Size::parse(wrong), None, "{wrong}");
        }
    }
}
