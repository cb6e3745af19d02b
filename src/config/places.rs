//! Settings that are places: where tables are, which URLs a store's settings hold for, where services are.

use std::path::{Path, PathBuf};

use url::Url;

use super::node::{Node, Origin};
use super::setting::{Reader, Setting, Shape};

/// Schemes of object stores that are reached over the network.
const REMOTE: [&str; 6] = ["s3", "s3a", "az", "abfs", "abfss", "gs"];

/// Why a text is no URL of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoStoreUrl {
    /// It is something else.
    Other,
    /// It carries credentials, and so is not repeated.
    Credentials,
}

/// A folder in an object store; the URL ends in a slash.
fn store_url(text: &str) -> Result<Url, NoStoreUrl> {
    let mut url = Url::parse(text).map_err(|_| NoStoreUrl::Other)?;
    if !REMOTE.contains(&url.scheme()) {
        return Err(NoStoreUrl::Other);
    }
    let azure = !matches!(url.scheme(), "s3" | "s3a" | "gs");
    let user = !url.username().is_empty() && !azure;
    if user || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(NoStoreUrl::Credentials);
    }
    if url.host_str().unwrap_or_default().is_empty() || url.port().is_some() {
        return Err(NoStoreUrl::Other);
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn complain_of_url<T>(node: &Node, reader: &mut Reader<'_>, what: &str, problem: NoStoreUrl) -> Option<T> {
    match problem {
        NoStoreUrl::Other => reader.expected(node, what),
        NoStoreUrl::Credentials => {
            reader.complain(
                &node.origin,
                "credentials do not belong into URLs; a section of `stores` refers to them",
            );
            None
        }
    }
}

/// A place that holds Delta tables: a directory or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The place, ending in a slash.
    pub url: Url,
    /// Where it was set.
    pub origin: Origin,
}

impl Location {
    const EXPECTED: &'static str =
        "a directory, or a URL that begins with file:///, s3://, az://, abfss:// or gs://";

    /// The directory, where the place is on this machine.
    #[must_use]
    pub fn directory(&self) -> Option<PathBuf> {
        if self.url.scheme() != "file" {
            return None;
        }
        self.url.to_file_path().ok()
    }

    fn parse(text: &str, base: &Path) -> Result<Url, NoStoreUrl> {
        if text.starts_with("file://") {
            let mut url = Url::parse(text).map_err(|_| NoStoreUrl::Other)?;
            url.to_file_path().map_err(|()| NoStoreUrl::Other)?;
            if !url.path().ends_with('/') {
                url.set_path(&format!("{}/", url.path()));
            }
            return Ok(url);
        }
        if text.contains("://") {
            return store_url(text);
        }
        if text.is_empty() || text.contains('\0') {
            return Err(NoStoreUrl::Other);
        }
        let path = std::path::absolute(base.join(text)).map_err(|_| NoStoreUrl::Other)?;
        Url::from_directory_path(path).map_err(|()| NoStoreUrl::Other)
    }
}

impl Setting for Location {
    fn shape() -> Shape {
        Shape::Scalar
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, Self::EXPECTED)?;
        match Self::parse(text, reader.base()) {
            Ok(url) => Some(Self { url, origin: node.origin.clone() }),
            Err(problem) => complain_of_url(node, reader, Self::EXPECTED, problem),
        }
    }
}

/// What the URLs of a store's locations begin with: a scheme, a bucket or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePrefix {
    /// The prefix, ending in a slash: `s3://`, `s3://lake/`, `s3://lake/silver/`.
    pub prefix: String,
    /// Where it was set.
    pub origin: Origin,
}

impl StorePrefix {
    const EXPECTED: &'static str = "a URL that begins with s3://, az://, abfss:// or gs://";

    /// The scheme, such as `s3`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.prefix.split_once("://").map_or("", |(scheme, _)| scheme)
    }

    fn parse(text: &str) -> Result<String, NoStoreUrl> {
        match text.strip_suffix("://") {
            Some(scheme) if REMOTE.contains(&scheme) => Ok(text.to_owned()),
            _ => store_url(text).map(String::from),
        }
    }
}

impl Setting for StorePrefix {
    fn shape() -> Shape {
        Shape::Scalar
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, Self::EXPECTED)?;
        match Self::parse(text) {
            Ok(prefix) => Some(Self { prefix, origin: node.origin.clone() }),
            Err(problem) => complain_of_url(node, reader, Self::EXPECTED, problem),
        }
    }
}

/// The address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// An http or https URL without credentials.
    pub url: Url,
    /// Where it was set.
    pub origin: Origin,
}

impl Endpoint {
    fn parse(text: &str) -> Result<Url, NoStoreUrl> {
        let url = Url::parse(text).map_err(|_| NoStoreUrl::Other)?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(NoStoreUrl::Other);
        }
        let credentials = !url.username().is_empty() || url.password().is_some() || url.query().is_some();
        if credentials { Err(NoStoreUrl::Credentials) } else { Ok(url) }
    }
}

impl Setting for Endpoint {
    fn shape() -> Shape {
        Shape::Scalar
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let what = "an https:// URL";
        let text = reader.text(node, what)?;
        match Self::parse(text) {
            Ok(url) => Some(Self { url, origin: node.origin.clone() }),
            Err(problem) => complain_of_url(node, reader, what, problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_directories() {
        let base = Path::new("/etc/lakeward");
        let parse = |text| Location::parse(text, base).map(String::from);
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(parse("lake/gold"), ok("file:///etc/lakeward/lake/gold/"));
        assert_eq!(parse("/data"), ok("file:///data/"));
        assert_eq!(parse("file:///data"), ok("file:///data/"));
        assert_eq!(parse("https://example.org/x"), Err(NoStoreUrl::Other));
    }

    #[test]
    fn locations_are_in_stores() {
        let parse = |text| Location::parse(text, Path::new("/")).map(String::from);
        for (text, url) in [
            ("s3://lake", "s3://lake/"),
            ("s3://lake/silver", "s3://lake/silver/"),
            ("gs://lake/a b/", "gs://lake/a%20b/"),
            ("az://lake/x", "az://lake/x/"),
            ("abfss://lake@trust.dfs.core.windows.net/x", "abfss://lake@trust.dfs.core.windows.net/x/"),
        ] {
            assert_eq!(parse(text), Ok(url.to_owned()));
        }
        for text in ["s3://", "s3:///x", "ftp://a/b", "s3://lake:80/x"] {
            assert_eq!(parse(text), Err(NoStoreUrl::Other), "{text}");
        }
        for text in ["s3://KEY:SECRET@lake/", "s3://KEY@lake/", "az://lake/x?sig=SECRET", "gs://a/b#SECRET"] {
            assert_eq!(parse(text), Err(NoStoreUrl::Credentials), "{text}");
        }
        assert_eq!(StorePrefix::parse("s3://"), Ok("s3://".to_owned()));
        assert_eq!(StorePrefix::parse("s3://lake"), Ok("s3://lake/".to_owned()));
        assert_eq!(StorePrefix::parse("file://"), Err(NoStoreUrl::Other));
    }
}
