//! Characters that the JSON reader below takes for others.
//!
//! arrow-json joins the two halves of an escaped surrogate pair by OR where RFC 8259 (section 7) means a
//! sum: U+20000 becomes U+10000, and so for every second plane. So it gets such characters unescaped,
//! which means the same in JSON; what stands as JSON in JSON, as statistics do, it gets as it is.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// A store whose JSON files have no escaped pairs. Sizes are those of the files as they are stored.
#[derive(Debug)]
pub(super) struct DecodedEscapes(pub(super) Arc<dyn ObjectStore>);

impl fmt::Display for DecodedEscapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodedEscapes({})", self.0)
    }
}

/// Whether a JSON text has an escaped pair of surrogates.
pub(crate) fn has_escaped_pair(text: &str) -> bool {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return false;
    }
    let mut decoder = Decoder::default();
    let mut decoded = Vec::with_capacity(text.len());
    decoder.push(text.as_bytes(), &mut decoded);
    decoder.end(&mut decoded);
    decoded.len() < text.len()
}

/// Replaces escaped pairs in a text that comes in parts.
#[derive(Debug, Default)]
struct Decoder {
    /// The beginning of what may be a pair: at most twelve bytes.
    held: Vec<u8>,
}

impl Decoder {
    fn push(&mut self, mut text: &[u8], decoded: &mut Vec<u8>) {
        while !text.is_empty() {
            if self.held.is_empty() {
                let plain = memchr::memchr(b'\\', text).unwrap_or(text.len());
                let (before, rest) = text.split_at(plain);
                decoded.extend_from_slice(before);
                text = rest;
            }
            let Some((&byte, rest)) = text.split_first() else { return };
            self.push_byte(byte, decoded);
            text = rest;
        }
    }

    fn push_byte(&mut self, byte: u8, decoded: &mut Vec<u8>) {
        loop {
            match self.held.len() {
                // Nothing is held, and this begins no escape.
                0 if byte != b'\\' => return decoded.push(byte),
                // Another escape: a backslash that is escaped escapes nothing.
                1 | 7 if byte != b'u' => {
                    self.end(decoded);
                    return decoded.push(byte);
                }
                2..=5 | 8..=11 if !byte.is_ascii_hexdigit() => self.end(decoded),
                6 if byte != b'\\' => self.end(decoded),
                _ => break,
            }
        }
        self.held.push(byte);
        match self.held.len() {
            6 if half(&self.held, 0xD800).is_none() => self.end(decoded),
            12 => self.join(decoded),
            _ => {}
        }
    }

    /// Two escapes are held, and the first is a high surrogate.
    fn join(&mut self, decoded: &mut Vec<u8>) {
        let (first, second) = self.held.split_at(6);
        let pair = half(first, 0xD800).zip(half(second, 0xDC00));
        if let Some(character) = pair.and_then(|(high, low)| char::from_u32(0x1_0000 + (high << 10) + low)) {
            decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            self.held.clear();
        } else if half(second, 0xD800).is_some() {
            // May be the first half of a pair itself; the one before is for the reader to refuse.
            decoded.extend(self.held.drain(..6));
        } else {
            self.end(decoded);
        }
    }

    /// What is held was no pair.
    fn end(&mut self, decoded: &mut Vec<u8>) {
        decoded.append(&mut self.held);
    }
}

/// The lower ten bits of an escape, if it is of a surrogate of those from `from`.
fn half(escape: &[u8], from: u32) -> Option<u32> {
    let digits = std::str::from_utf8(escape.strip_prefix(br"\u")?).ok()?;
    let unit = u32::from_str_radix(digits, 16).ok()?;
    (from..from + 0x400).contains(&unit).then(|| unit - from)
}

fn decoded(body: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
    futures::stream::try_unfold(Some((body, Decoder::default())), |state| async move {
        let Some((mut body, mut decoder)) = state else { return Ok(None) };
        let mut decoded = Vec::new();
        let Some(bytes) = body.next().await.transpose()? else {
            decoder.end(&mut decoded);
            return Ok(Some((Bytes::from(decoded), None)));
        };
        if decoder.held.is_empty() && memchr::memchr(b'\\', &bytes).is_none() {
            return Ok(Some((bytes, Some((body, decoder)))));
        }
        decoded.reserve(bytes.len());
        decoder.push(&bytes, &mut decoded);
        Ok(Some((Bytes::from(decoded), Some((body, decoder)))))
    })
    .boxed()
}

#[async_trait]
impl ObjectStore for DecodedEscapes {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let result = self.0.get_opts(location, options).await?;
        if head || !location.as_ref().ends_with(".json") {
            return Ok(result);
        }
        let (meta, range, attributes) =
            (result.meta.clone(), result.range.clone(), result.attributes.clone());
        let payload = GetResultPayload::Stream(decoded(result.into_stream()));
        Ok(GetResult { payload, meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    async fn in_parts(text: &str, cut: usize) -> String {
        let (before, after) = text.as_bytes().split_at(cut);
        let parts = [before, after].map(|part| Ok(Bytes::copy_from_slice(part)));
        let parts: Vec<_> = decoded(futures::stream::iter(parts).boxed()).collect().await;
        let parts: Vec<Bytes> = parts.into_iter().collect::<Result<_>>().unwrap();
        String::from_utf8(parts.concat()).unwrap()
    }

    #[tokio::test]
    async fn pairs_become_characters_wherever_the_text_is_cut() {
        for (text, wanted) in [
            (r#"{"a":"x\ud840\udc00y"}"#, r#"{"a":"x𠀀y"}"#),
            (r#"{"a":"\uD83D\uDE00\udbff\udfff"}"#, "{\"a\":\"😀\u{10ffff}\"}"),
            // An escaped backslash, and after it a pair.
            (r#"{"a":"\\\ud840\udc00"}"#, r#"{"a":"\\𠀀"}"#),
            // No pairs: text about one, JSON in JSON, halves, other escapes.
            (r#"{"a":"\\ud840\\udc00"}"#, r#"{"a":"\\ud840\\udc00"}"#),
            (r#"{"stats":"{\"a\":\"\\ud840\\udc00\"}"}"#, r#"{"stats":"{\"a\":\"\\ud840\\udc00\"}"}"#),
            (r#"{"a":"\ud840 \udc00\ud840"}"#, r#"{"a":"\ud840 \udc00\ud840"}"#),
            (r#"{"a":"\ud840\ud840\udc00"}"#, r#"{"a":"\ud840𠀀"}"#),
            (r#"{"a":"\u00e9\n\ud84x\ud840\n\ud840\u12"}"#, r#"{"a":"\u00e9\n\ud84x\ud840\n\ud840\u12"}"#),
            (r"\ud840\udc0", r"\ud840\udc0"),
        ] {
            for cut in 0..=text.len() {
                assert_eq!(in_parts(text, cut).await, wanted, "{text} cut at {cut}");
            }
            assert_eq!(has_escaped_pair(text), text != wanted, "{text}");
        }
    }
}
