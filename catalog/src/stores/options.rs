//! Settings of object stores, as plain options.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;
use zeroize::Zeroizing;

/// A secret that may change while the service runs, known by where it is.
///
/// Implementations read a file or a variable; they print the place, never the value.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// The value now. May block. The error names the place and what to do, never the value.
    fn read(&self) -> Result<Zeroizing<String>, String>;
}

/// A shared [`SecretSource`].
pub type Secret = Arc<dyn SecretSource>;

/// Settings of all stores whose URLs begin with a prefix.
///
/// Nothing in here is a secret itself, so it may be printed.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Name of the settings, for messages.
    pub name: String,
    /// Which locations they hold for: `s3://` (every bucket), `s3://lake/` or `s3://lake/silver/`. The
    /// longest prefix that a location begins with wins.
    pub prefix: String,
    /// What kind of store it is, and who to be there.
    pub provider: StoreProvider,
    /// How to talk to it.
    pub connection: ConnectionOptions,
}

/// A kind of store.
#[derive(Debug, Clone)]
pub enum StoreProvider {
    /// Amazon S3 and what speaks its protocol. `s3://bucket/…`, `s3a://bucket/…`.
    S3(S3Options),
    /// Azure Blob Storage, with or without hierarchical namespace. `az://container/…`,
    /// `abfss://container@account.dfs.core.windows.net/…`.
    Azure(AzureOptions),
    /// Google Cloud Storage. `gs://bucket/…`.
    Gcs(GcsOptions),
}

/// How to talk to a store.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// Allows endpoints without TLS: what is read and the right to read it cross the network in
    /// clear text.
    pub allow_http: bool,
    /// PEM file of authorities to trust besides the system's.
    pub ca_certificate: Option<PathBuf>,
    /// Time for one attempt of a request, its whole answer included.
    pub request_timeout: Duration,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Most attempts after the first: after 429, 5xx, a broken connection or no answer in time.
    pub max_retries: usize,
    /// No further attempt starts this long after the first one.
    pub retry_timeout: Duration,
    /// Most requests at a time; others wait.
    pub max_concurrent_requests: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            allow_http: false,
            ca_certificate: None,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_retries: 8,
            retry_timeout: Duration::from_secs(30),
            max_concurrent_requests: 128,
        }
    }
}

/// Settings of S3.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// Region; `AWS_REGION` or `AWS_DEFAULT_REGION` where it is not given, else `us-east-1`.
    pub region: Option<String>,
    /// Endpoint without a bucket in it; Amazon's of the region where it is not given.
    pub endpoint: Option<Url>,
    /// Where requests name the bucket.
    pub addressing: S3Addressing,
    /// Who to be.
    pub credentials: S3Credentials,
    /// A role to take on; needed with a web identity.
    pub role: Option<S3Role>,
    /// How what is written is encrypted in the store; the bucket's default where it is not given.
    pub encryption: Option<S3Encryption>,
    /// Whether the store honours conditions on writes.
    pub conditional_put: S3ConditionalPut,
}

/// Whether a store honours `If-None-Match` and `If-Match` on writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum S3ConditionalPut {
    /// Yes, as Amazon's does.
    #[default]
    ETag,
    /// No: a write that must not overwrite is refused.
    Disabled,
}

/// Where requests name the bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum S3Addressing {
    /// `https://endpoint/bucket/key`.
    #[default]
    Path,
    /// `https://bucket.endpoint/key`.
    VirtualHosted,
}

/// Who to be at S3, before a role is taken on.
#[derive(Debug, Clone, Default)]
pub enum S3Credentials {
    /// What the environment gives: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity
    /// (`AWS_WEB_IDENTITY_TOKEN_FILE`), a container's or pod's identity, the instance's.
    #[default]
    Default,
    /// Nobody: requests are not signed. For public buckets.
    Anonymous,
    /// An access key.
    Keys {
        /// Its id.
        access_key_id: Secret,
        /// Its secret part.
        secret_access_key: Secret,
        /// The session token of a temporary one.
        session_token: Option<Secret>,
    },
    /// A token that the platform puts into a file and renews (EKS, any OpenID Connect provider).
    WebIdentity {
        /// The file.
        token_file: PathBuf,
    },
}

/// A role to take on through STS.
#[derive(Debug, Clone)]
pub struct S3Role {
    /// ARN of the role.
    pub arn: String,
    /// Name of the session, as CloudTrail shows it.
    pub session_name: String,
    /// External id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// How long a session lasts; renewed well before its end.
    pub duration: Duration,
    /// Endpoint of STS; the region's where it is not given.
    pub sts_endpoint: Option<Url>,
}

/// Server-side encryption of what is written to S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// With keys of S3 (SSE-S3).
    S3,
    /// With a key of KMS (SSE-KMS).
    Kms {
        /// Id or ARN of the key; the account's default key for S3 where it is not given.
        key_id: Option<String>,
        /// Whether to use a bucket key, which saves calls to KMS; the bucket's default where not given.
        bucket_key: Option<bool>,
    },
}

/// Settings of Azure.
#[derive(Debug, Clone, Default)]
pub struct AzureOptions {
    /// Storage account, for URLs that name none; else `AZURE_STORAGE_ACCOUNT_NAME`.
    pub account: Option<String>,
    /// Endpoint of the account's blob service; the public cloud's where it is not given.
    pub endpoint: Option<Url>,
    /// Who to be.
    pub credentials: AzureCredentials,
    /// Where tokens of Microsoft Entra ID come from; the public cloud's where it is not given.
    pub authority_host: Option<Url>,
}

/// Who to be at Azure.
#[derive(Debug, Clone, Default)]
pub enum AzureCredentials {
    /// What the environment gives: `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`, a service
    /// principal (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`), a workload identity
    /// (`AZURE_FEDERATED_TOKEN_FILE`), else the managed identity.
    #[default]
    Default,
    /// Nobody. For public containers.
    Anonymous,
    /// The account's key.
    AccessKey(Secret),
    /// A shared access signature, as the query string that Azure gives.
    SasToken(Secret),
    /// A service principal with a client secret.
    ClientSecret {
        /// Its tenant.
        tenant_id: String,
        /// Its application (client) id.
        client_id: String,
        /// The client secret.
        client_secret: Secret,
    },
    /// A service principal that trusts the platform's tokens.
    WorkloadIdentity {
        /// Its tenant.
        tenant_id: String,
        /// Its application (client) id.
        client_id: String,
        /// The file where the platform puts its token.
        token_file: PathBuf,
    },
    /// The identity that Azure gives to the machine.
    ManagedIdentity {
        /// Client id, where the machine has several.
        client_id: Option<String>,
        /// Where to ask, instead of the instance metadata service.
        endpoint: Option<Url>,
    },
}

/// Settings of Google Cloud Storage.
#[derive(Debug, Clone, Default)]
pub struct GcsOptions {
    /// Endpoint; Google's where it is not given.
    pub endpoint: Option<Url>,
    /// Who to be.
    pub credentials: GcsCredentials,
}

/// Who to be at Google Cloud Storage.
#[derive(Debug, Clone, Default)]
pub enum GcsCredentials {
    /// Application default credentials: the file in `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's own, else
    /// the machine's service account.
    #[default]
    Default,
    /// Nobody. For public buckets.
    Anonymous,
    /// The key of a service account, as the JSON that Google gives.
    ServiceAccountKey(Secret),
}
