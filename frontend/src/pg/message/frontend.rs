//! What clients say. Decoding never panics: every read is checked against the frame.

use bytes::{Buf, Bytes};

use super::super::error::{CHARACTER_NOT_IN_REPERTOIRE, PROTOCOL_VIOLATION, WireError};

/// A message after the start-up phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// Simple query.
    Query(String),
    /// Prepare a statement; oid 0 leaves a parameter's type to the server.
    Parse { statement: String, sql: String, types: Vec<u32> },
    /// Give a statement its parameters.
    Bind(Bind),
    /// Describe a statement or a portal.
    Describe(Target),
    /// Close a statement or a portal.
    Close(Target),
    /// Run a portal; 0 rows means all.
    Execute { portal: String, rows: u64 },
    /// Send what there is.
    Flush,
    /// End of a series.
    Sync,
    /// Good bye.
    Terminate,
    /// The old function call interface, which nobody uses.
    FunctionCall,
    /// Copy data, its end or its failure: ignored outside COPY, as PostgreSQL does.
    Copy,
}

/// A name with its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Statement(String),
    Portal(String),
}

/// The body of Bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    /// None, one for all or one each.
    pub(crate) parameter_formats: Vec<i16>,
    /// None is NULL.
    pub(crate) parameters: Vec<Option<Bytes>>,
    /// None, one for all or one each.
    pub(crate) result_formats: Vec<i16>,
}

impl Message {
    /// Whether an error in it makes the server skip to the next Sync.
    pub(crate) fn is_extended(kind: u8) -> bool {
        matches!(kind, b'P' | b'B' | b'D' | b'C' | b'E' | b'H')
    }

    /// Decodes the body of a message.
    ///
    /// # Errors
    /// 08P01 (ending the connection only where the type is unknown), 22021 for text that is not UTF-8.
    pub(crate) fn decode(kind: u8, body: Bytes) -> Result<Self, WireError> {
        let mut body = Body(body);
        let message = match kind {
            b'Q' => Self::Query(body.string()?),
            b'P' => {
                let (statement, sql) = (body.string()?, body.string()?);
                let count = body.count()?;
                let types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
                Self::Parse { statement, sql, types }
            }
            b'B' => Self::Bind(body.bind()?),
            b'D' => Self::Describe(body.target()?),
            b'C' => Self::Close(body.target()?),
            b'E' => {
                let portal = body.string()?;
                let rows = body.u32()? as i32;
                // Zero and less mean no limit.
                Self::Execute { portal, rows: u64::try_from(rows).unwrap_or(0) }
            }
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'F' => return Ok(Self::FunctionCall),
            b'd' | b'c' | b'f' => return Ok(Self::Copy),
            other => {
                return Err(WireError::fatal(
                    PROTOCOL_VIOLATION,
                    format!("invalid frontend message type {other}"),
                ));
            }
        };
        if body.0.has_remaining() {
            return Err(WireError::protocol("invalid message format"));
        }
        Ok(message)
    }
}

/// Mechanism and first data of a SASLInitialResponse.
pub(crate) fn sasl_initial_response(body: Bytes) -> Result<(String, Bytes), WireError> {
    let mut body = Body(body);
    let mechanism = body.string()?;
    match body.value()? {
        Some(data) if !body.0.has_remaining() => Ok((mechanism, data)),
        _ => Err(WireError::protocol("malformed SASL message")),
    }
}

/// A body that is read from its front.
struct Body(Bytes);

impl Body {
    fn short() -> WireError {
        WireError::protocol("insufficient data left in message")
    }

    fn u16(&mut self) -> Result<u16, WireError> {
        self.0.try_get_u16().map_err(|_| Self::short())
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        self.0.try_get_u32().map_err(|_| Self::short())
    }

    fn count(&mut self) -> Result<usize, WireError> {
        self.u16().map(usize::from)
    }

    /// A string ended by a zero.
    fn string(&mut self) -> Result<String, WireError> {
        let end = self
            .0
            .iter()
            .position(|&byte| byte == 0)
            .ok_or_else(|| WireError::protocol("invalid string in message"))?;
        let bytes = self.0.split_to(end);
        self.0.advance(1);
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(not_utf8()),
        }
    }

    /// A value with its length in front, -1 for none.
    fn value(&mut self) -> Result<Option<Bytes>, WireError> {
        let length = self.u32()? as i32;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Self::short())?;
        if length > self.0.len() {
            return Err(Self::short());
        }
        Ok(Some(self.0.split_to(length)))
    }

    fn formats(&mut self) -> Result<Vec<i16>, WireError> {
        let count = self.count()?;
        (0..count).map(|_| self.u16().map(|code| code as i16)).collect()
    }

    fn bind(&mut self) -> Result<Bind, WireError> {
        let (portal, statement) = (self.string()?, self.string()?);
        let parameter_formats = self.formats()?;
        let count = self.count()?;
        let parameters = (0..count).map(|_| self.value()).collect::<Result<_, _>>()?;
        let result_formats = self.formats()?;
        Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
    }

    fn target(&mut self) -> Result<Target, WireError> {
        let kind = self.0.try_get_u8().map_err(|_| Self::short())?;
        let name = self.string()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            other => Err(WireError::protocol(format!("invalid message subtype {other}"))),
        }
    }
}

/// Text in another encoding, or no text at all.
pub(crate) fn not_utf8() -> WireError {
    WireError::error(CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn bodies_as_libpq_sends_them() {
        assert_eq!(
            Message::decode(b'Q', Bytes::from_static(b"select 1\0")).unwrap(),
            Message::Query("select 1".to_owned())
        );
        let bind = Message::decode(
            b'B',
            Bytes::from_static(b"\0s1\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\x00"),
        );
        assert_eq!(
            bind.unwrap(),
            Message::Bind(Bind {
                portal: String::new(),
                statement: "s1".to_owned(),
                parameter_formats: vec![1],
                parameters: vec![Some(Bytes::from_static(b"ab")), None],
                result_formats: vec![0],
            })
        );
        assert_eq!(
            Message::decode(b'E', Bytes::from_static(b"c\0\0\0\0\x64")).unwrap(),
            Message::Execute { portal: "c".to_owned(), rows: 100 }
        );
    }

    #[test]
    fn short_and_overlong_bodies_are_violations_of_the_protocol() {
        for (kind, body) in [
            (b'Q', &b"select"[..]),
            (b'Q', b"select\0x"),
            (b'P', b"a\0b\0\0\x05\0\0\0\x01"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
            (b'D', b"Q\0"),
            (b'E', b"\0\0"),
            (b'S', b"x"),
        ] {
            let error = Message::decode(kind, Bytes::from_static(body)).unwrap_err();
            assert_eq!((error.code, error.fatal), ("08P01", false), "{}", char::from(kind));
        }
        assert!(Message::decode(b'?', Bytes::new()).unwrap_err().fatal);
    }

    #[test]
    fn text_is_utf8_or_refused() {
        let error = Message::decode(b'Q', Bytes::from_static(b"select '\xff'\0")).unwrap_err();
        assert_eq!(error.code, "22021");
    }
}
