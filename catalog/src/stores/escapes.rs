//! Characters that the JSON reader below takes for others.
//!
//! arrow-json joins the two halves of an escaped surrogate pair by OR where RFC 8259 (section 7) means a
//! sum: U+20000 becomes U+10000, and so for every second plane. What would be read wrongly is refused;
//! characters that are not escaped, which is how nearly all writers have them, are read right.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

pub(super) const REFUSAL: &str = "characters beyond U+FFFF that the log writes as escapes";

/// Bytes of a pair of escapes, each with a second backslash where JSON stands in JSON.
const LONGEST: usize = 16;

/// A store whose JSON files have no escape that would be read wrongly; reading such a file fails.
#[derive(Debug)]
pub(super) struct CheckedEscapes(pub(super) Arc<dyn ObjectStore>);

impl fmt::Display for CheckedEscapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckedEscapes({})", self.0)
    }
}

/// Whether a JSON text has an escaped pair of a plane that is read as another.
pub(super) fn is_misread(text: &[u8]) -> bool {
    text.windows(2).enumerate().any(|(at, two)| {
        two == br"\u"
            && half(&text[at..], 0xD800).is_some_and(|(high, length)| {
                // Bit 16 of the offset is the one that the OR swallows.
                high & 0x40 != 0 && half(&text[at + length..], 0xDC00).is_some()
            })
    })
}

/// The lower ten bits of the escaped surrogate at the start of `text`, and the length of the escape.
fn half(text: &[u8], from: u32) -> Option<(u32, usize)> {
    let slashes = text.iter().take(2).take_while(|&&byte| byte == b'\\').count();
    let digits = text.get(slashes..)?.strip_prefix(b"u")?.get(..4)?;
    let unit = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (slashes > 0 && (from..from + 0x400).contains(&unit)).then(|| (unit - from, slashes + 5))
}

fn checked(body: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
    futures::stream::try_unfold((body, Vec::new()), |(mut body, mut tail): (_, Vec<u8>)| async move {
        let Some(bytes) = body.next().await.transpose()? else { return Ok(None) };
        // A pair may stand across two parts.
        tail.extend_from_slice(&bytes[..bytes.len().min(LONGEST)]);
        if is_misread(&tail) || is_misread(&bytes) {
            return Err(Error::NotSupported { source: REFUSAL.into() });
        }
        let last = if bytes.len() >= LONGEST { &bytes[..] } else { &tail[..] };
        let tail = last[last.len().saturating_sub(LONGEST)..].to_vec();
        Ok(Some((bytes, (body, tail))))
    })
    .boxed()
}

#[async_trait]
impl ObjectStore for CheckedEscapes {
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
        let payload = GetResultPayload::Stream(checked(result.into_stream()));
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
    use super::*;

    #[test]
    fn pairs_of_every_second_plane_are_found() {
        for (text, misread) in [
            (r#"{"a":"\ud840\udc00"}"#, true),
            (r#"{"a":"\uD840\uDC00"}"#, true),
            (r#"{"stats":"{\"a\":\"\\ud840\\udc00\"}"}"#, true),
            // U+1F600 is of an odd plane, which comes out right.
            (r#"{"a":"\ud83d\ude00"}"#, false),
            (r#"{"a":"\ud840"}"#, false),
            (r#"{"a":"𠀀"}"#, false),
            (r#"{"a":"\u00e9"}"#, false),
        ] {
            assert_eq!(is_misread(text.as_bytes()), misread, "{text}");
        }
    }

    #[tokio::test]
    async fn a_pair_across_parts_is_found() {
        let text = br#"{"a":"some text before \ud840\udc00 and after"}"#;
        for cut in 1..text.len() {
            let parts = [&text[..cut], &text[cut..]].map(|part| Ok(Bytes::copy_from_slice(part)));
            let parts: Vec<_> = checked(futures::stream::iter(parts).boxed()).collect().await;
            assert!(parts.iter().any(Result::is_err), "cut at {cut}");
        }
    }
}
