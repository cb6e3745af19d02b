//! How requests travel: clients, time-outs, retries, the limit on concurrent requests.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use object_store::client::{HttpClient, HttpConnector as _, ReqwestConnector};
use object_store::limit::LimitStore;
use object_store::{BackoffConfig, Certificate, ClientOptions, HeaderValue, ObjectStore, RetryConfig};
use url::Url;

use super::credentials::Renew;
use super::guarded::GuardedStore;
use super::options::ConnectionOptions;

/// What stores see of who asks.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("lakeward/", env!("CARGO_PKG_VERSION")));

/// The options of one store, ready to use.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) options: ConnectionOptions,
    pub(super) client: ClientOptions,
    pub(super) retry: RetryConfig,
}

impl Connection {
    /// Reads the authorities to trust: blocking.
    pub(super) fn new(options: &ConnectionOptions) -> Result<Self, String> {
        let mut client = ClientOptions::new()
            .with_user_agent(USER_AGENT)
            .with_allow_http(options.allow_http)
            .with_timeout(options.request_timeout)
            .with_connect_timeout(options.connect_timeout);
        if let Some(file) = &options.ca_certificate {
            let problem =
                |error: String| format!("cannot use the authorities in {}: {error}", file.display());
            let pem = std::fs::read(file).map_err(|error| problem(error.to_string()))?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(|error| problem(error.to_string()))?;
            if certificates.is_empty() {
                return Err(problem("it holds no certificate in PEM".to_owned()));
            }
            for certificate in certificates {
                client = client.with_root_certificate(certificate);
            }
        }
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: options.max_retries,
            retry_timeout: options.retry_timeout,
        };
        Ok(Self { options: options.clone(), client, retry })
    }

    /// Retries towards a metadata service of the machine: it answers at once or is not there.
    pub(super) fn metadata_retry(&self) -> RetryConfig {
        RetryConfig {
            max_retries: self.retry.max_retries.min(2),
            retry_timeout: self.retry.retry_timeout.min(Duration::from_secs(5)),
            ..self.retry.clone()
        }
    }

    /// A client for requests that no store makes: to who gives credentials out.
    pub(super) fn http(&self) -> Result<HttpClient, String> {
        ReqwestConnector::default().connect(&self.client).map_err(|error| error.to_string())
    }

    /// Refuses an endpoint without TLS unless that is allowed.
    pub(super) fn check(&self, endpoint: &Url) -> Result<(), String> {
        match endpoint.scheme() {
            "https" => Ok(()),
            "http" if self.options.allow_http => Ok(()),
            "http" => Err(format!(
                "the endpoint {endpoint} has no TLS, so rows would cross the network in clear text; use \
                 https, or knowingly `allow_http: true`"
            )),
            _ => Err(format!("the endpoint {endpoint} is no http or https URL")),
        }
    }

    /// The store as everything else sees it.
    pub(super) fn wrap(
        &self,
        name: &str,
        store: impl ObjectStore,
        credentials: Option<Arc<dyn Renew>>,
    ) -> Opened {
        let failures = Arc::new(AtomicU64::new(0));
        let guarded = GuardedStore::new(name, Arc::new(store), credentials, Arc::clone(&failures));
        let limited = LimitStore::new(guarded, self.options.max_concurrent_requests);
        Opened { objects: Arc::new(limited), failures }
    }
}

/// A store that was opened.
pub(super) struct Opened {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// Counts requests that failed for the store's sake, after their retries.
    pub(super) failures: Arc<AtomicU64>,
}
